"""
Going down.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.heartbeat import Heartbeat
from flodgatt_tx.edge.shutdown import PATIENCE, Shutdown


class Reactor(MemoryReactorClock):
    """A reactor that does at once what other threads ask for."""

    def callFromThread(self, call: Callable[..., object], *given: Any, **named: Any) -> None:  # noqa: N802 # Twisted's
        """Call."""
        call(*given, **named)


class Guest:
    """A connection that leaves when it is told to, or does not."""

    def __init__(self, heart: Heartbeat, obstinate: bool = False) -> None:
        self.heart = heart
        self.obstinate = obstinate
        self.told = 0
        heart.add(self)

    def beat(self) -> None:
        """Never called here."""
        raise NotImplementedError

    def go_away(self) -> None:
        """Leave."""
        self.told += 1
        if not self.obstinate:
            self.heart.discard(self)


class ShutdownTests(SynchronousTestCase):
    """How the process ends."""

    def setUp(self) -> None:
        """Listen for signals."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.reactor = Reactor()
        self.hearts = Heartbeat(30, self.reactor), Heartbeat(15, self.reactor)
        self.closed = 0
        self.ended: list[int] = []
        self.shutdown = Shutdown(self.reactor, self.close, self.hearts, self.ended.append)
        self.shutdown.privilegedStartService()
        self.shutdown.startService()
        self.reactor.run()
        self.reactor.hasStopped = False  # in memory it runs for a moment only

    def close(self) -> None:
        """Stop listening."""
        self.closed += 1

    def stopped(self) -> bool:
        """Whether the reactor has been told to stop."""
        return bool(self.reactor.hasStopped)

    def test_nobody(self) -> None:
        """With nobody there the process ends at once."""
        self.shutdown.begin()
        self.assertEqual((1, True), (self.closed, self.stopped()))
        self.assertEqual([], self.reactor.getDelayedCalls())

    def test_everybody_leaves(self) -> None:
        """Everybody is told, on both transports, and then it ends."""
        guests = [Guest(heart) for heart in self.hearts for _ in range(3)]
        self.shutdown.begin()
        self.assertEqual([1] * 6, [guest.told for guest in guests])
        self.assertTrue(self.stopped())

    def test_somebody_stays(self) -> None:
        """Nobody is waited for longer than patience lasts."""
        guests = [Guest(heart, obstinate=True) for heart in self.hearts]
        self.shutdown.begin()
        self.reactor.advance(PATIENCE - 0.1)
        self.assertFalse(self.stopped())
        self.reactor.advance(0.2)
        self.assertTrue(self.stopped())
        self.assertEqual([1, 1], [guest.told for guest in guests])
        self.assertEqual([], self.reactor.getDelayedCalls())

    def test_leaving_late(self) -> None:
        """It ends as soon as the last one has left."""
        guest = Guest(self.hearts[0], obstinate=True)
        self.shutdown.begin()
        self.reactor.advance(1)
        self.assertFalse(self.stopped())
        self.hearts[0].discard(guest)
        self.reactor.advance(0.05)
        self.assertTrue(self.stopped())

    def test_trouble(self) -> None:
        """One that cannot be sent away does not keep the others, or the process."""
        first, second = Guest(self.hearts[0]), Guest(self.hearts[0])
        first.heart = None  # type: ignore[assignment] # so that it fails
        self.shutdown.begin()
        self.assertEqual((1, 1), (first.told, second.told))
        self.assertEqual(1, len(self.flushLoggedErrors(AttributeError)))
        self.reactor.advance(PATIENCE)
        self.assertTrue(self.stopped())

    def test_signals(self) -> None:
        """A signal begins it; a second one ends the process."""
        guest = Guest(self.hearts[0], obstinate=True)
        os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual((1, [], 1), (self.closed, self.ended, guest.told))
        os.kill(os.getpid(), signal.SIGINT)
        self.assertEqual((1, [1], 1), (self.closed, self.ended, guest.told))
        self.reactor.advance(PATIENCE)
