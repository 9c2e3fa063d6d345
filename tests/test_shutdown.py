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

from flodgatt_tx.edge.readers import WEBSOCKET, Reader
from flodgatt_tx.edge.shutdown import LINGER, PACE, PATIENCE, TICK, Shutdown
from tests.stage import API, StageTestCase, viewer

SECONDS = 8


class Reactor(MemoryReactorClock):
    """A reactor that does at once what other threads ask for."""

    def callFromThread(self, call: Callable[..., object], *given: Any, **named: Any) -> None:  # noqa: N802 # Twisted's
        """Call."""
        call(*given, **named)


class Guest:
    """A connection that leaves when it is told to, or does not."""

    def __init__(self, test: ShutdownTests, obstinate: bool = False, opening: bool = False) -> None:
        self.test = test
        self.obstinate = obstinate
        self.told: list[float] = []
        self.reader = Reader(WEBSOCKET, viewer(), self)
        self.reader.entered = True
        self.reader.ready = not opening
        test.readers[self.reader] = None

    def kill(self) -> None:
        """Never called here."""
        raise NotImplementedError

    def go_away(self) -> None:
        """Leave."""
        self.told.append(self.test.reactor.seconds())
        if not self.obstinate:
            self.leave()

    def leave(self) -> None:
        """Be gone."""
        del self.test.readers[self.reader]


class ShutdownTests(SynchronousTestCase):
    """How the process ends."""

    def setUp(self) -> None:
        """Listen for signals."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.reactor = Reactor()
        self.readers: dict[Reader, None] = {}
        self.closed = 0
        self.refused = 0
        self.ended: list[int] = []
        self.make(SECONDS)
        self.reactor.run()
        self.reactor.hasStopped = False  # in memory it runs for a moment only
        self.addCleanup(lambda: self.assertEqual([], self.reactor.getDelayedCalls()))

    def make(self, seconds: float) -> None:
        """Make what is to be tested."""
        test = self

        class Readers:
            """Whoever is there at the moment."""

            def __iter__(self) -> Any:
                return iter(list(test.readers))

        self.shutdown = Shutdown(
            self.reactor, self.close, Readers(), seconds, end_at_once=self.ended.append
        )
        self.shutdown.privilegedStartService()
        self.shutdown.startService()

    def close(self) -> int:
        """Stop listening."""
        self.closed += 1
        return self.refused

    def guests(self, number: int, **how: bool) -> list[Guest]:
        """Let guests come."""
        return [Guest(self, **how) for _ in range(number)]

    def stopped(self) -> bool:
        """Whether the reactor has been told to stop."""
        return bool(self.reactor.hasStopped)

    def wait(self, seconds: float) -> None:
        """Let time pass, as the reactor sees it."""
        self.reactor.pump([TICK] * round(seconds / TICK))

    def lasts(self) -> float:
        """Wait until it has stopped; return how long that took."""
        before = self.reactor.seconds()
        while not self.stopped():
            self.wait(TICK)
            self.assertLess(self.reactor.seconds(), 60)
        return self.reactor.seconds() - before

    def test_nobody(self) -> None:
        """With nobody there the process ends at once."""
        self.shutdown.begin()
        self.assertEqual((1, True), (self.closed, self.stopped()))

    def test_refused(self) -> None:
        """Who is refused because of the end has a moment to read that."""
        self.refused = 1
        self.shutdown.begin()
        self.assertFalse(self.stopped())
        self.assertApproximates(LINGER, self.lasts(), TICK)

    def test_few(self) -> None:
        """Few are told at once, and it ends when their last bytes are on the way."""
        guests = self.guests(5)
        self.shutdown.begin()
        self.assertEqual([1] * 5, [len(guest.told) for guest in guests])
        self.assertApproximates(LINGER, self.lasts(), TICK)

    def test_pace(self) -> None:
        """Up to some hundreds leave at a fixed pace."""
        guests = self.guests(3 * PACE)
        self.shutdown.begin()
        self.assertApproximates(3 + LINGER, self.lasts(), 3 * TICK)
        self.assert_even(guests, PACE)

    def test_many(self) -> None:
        """Many leave evenly over the whole time, less the patience with the last."""
        guests = self.guests(13000)
        self.shutdown.begin()
        self.assertApproximates(SECONDS - PATIENCE + LINGER, self.lasts(), 3 * TICK)
        self.assert_even(guests, 2000)

    def assert_even(self, guests: list[Guest], pace: int) -> None:
        """Fail unless all were told once, and so many in each second but the last."""
        times = [time for guest in guests for time in guest.told]
        self.assertEqual(len(guests), len(times))
        seconds = range(len(guests) // pace)
        told = [sum(second <= time < second + 1 for time in times) for second in seconds]
        for each in told:
            self.assertApproximates(pace, each, 0.15 * pace)

    def test_few_seconds(self) -> None:
        """With very little time half of it is for taking leave."""
        self.make(1)
        guests = self.guests(1000)
        self.shutdown.begin()
        self.assertLess(self.lasts(), 1)
        self.assertApproximates(0.5, max(guest.told[0] for guest in guests), 2 * TICK)

    def test_somebody_stays(self) -> None:
        """Nobody is waited for longer than patience lasts."""
        guests = self.guests(2, obstinate=True)
        self.shutdown.begin()
        self.wait(PATIENCE - 0.1)
        self.assertFalse(self.stopped())
        self.wait(0.2)
        self.assertTrue(self.stopped())
        self.assertEqual([1, 1], [len(guest.told) for guest in guests])

    def test_leaving_late(self) -> None:
        """It ends as soon as the last one has left."""
        (guest,) = self.guests(1, obstinate=True)
        self.shutdown.begin()
        self.wait(1)
        self.assertFalse(self.stopped())
        guest.leave()
        self.wait(TICK)
        self.assertTrue(self.stopped())

    def test_opening(self) -> None:
        """Who still waits for a stream is told before all others, and so is who comes late."""
        self.guests(10 * PACE)
        opening = self.guests(400, opening=True)
        self.shutdown.begin()
        self.assertEqual({0}, {time for guest in opening for time in guest.told})
        self.wait(1)
        (late,) = self.guests(1, opening=True)
        self.wait(TICK)
        self.assertEqual(1, len(late.told))
        self.lasts()

    def test_come_and_gone(self) -> None:
        """Who leaves before their turn is not told; who has come meanwhile is, in the end."""
        guests = self.guests(2 * PACE)
        self.shutdown.begin()
        (late,) = self.guests(1)
        guests[-1].reader.entered = False
        guests[-1].leave()
        self.lasts()
        self.assertEqual(([], 1), (guests[-1].told, len(late.told)))

    def test_always_somebody(self) -> None:
        """However many come, it ends when its time is over."""
        self.guests(1)
        self.shutdown.begin()
        for _ in range(round(SECONDS / 0.1) - 1):
            self.guests(1)
            self.wait(0.1)
            self.assertFalse(self.stopped())
        self.wait(0.2)
        self.assertTrue(self.stopped())

    def test_trouble(self) -> None:
        """One that cannot be sent away does not keep the others, or the process."""
        first, second = self.guests(2)
        del self.readers[first.reader]  # so that it fails
        self.shutdown._readers = [first.reader, second.reader]
        self.shutdown.begin()
        self.assertEqual((1, 1), (len(first.told), len(second.told)))
        self.assertEqual(1, len(self.flushLoggedErrors(KeyError)))
        self.lasts()

    def test_signals(self) -> None:
        """A signal begins it; a second one ends the process."""
        (guest,) = self.guests(1, obstinate=True)
        os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual((1, [], 1), (self.closed, self.ended, len(guest.told)))
        os.kill(os.getpid(), signal.SIGINT)
        self.assertEqual((1, [1], 1), (self.closed, self.ended, len(guest.told)))
        self.lasts()


class DoorTests(StageTestCase):
    """What clients see who are still on their way in."""

    def leave(self) -> None:
        """Go down, as far as doors and readers are concerned."""
        self.stage.parts.api.login.close()
        shutdown = Shutdown(self.stage.clock, lambda: 0, self.stage.parts.readers, 8)
        self.patch(self.stage.clock, "stop", lambda: None)
        shutdown.begin()
        self.stage.turn()

    def test_looked_up(self) -> None:
        """Whose token is being looked up is told to come back later, on both transports."""
        self.stage.mastodon.held = []
        stream = self.stage.get(f"{API}/user?access_token=ann")
        socket = self.stage.websocket(f"{API}?access_token=ben")
        self.leave()
        self.assertEqual((503, "5"), (stream.status, stream.headers["retry-after"]))
        self.assertEqual((503, "5"), (socket.status, socket.headers["retry-after"]))
        self.stage.mastodon.let_go()
        self.stage.wait(2)

    def test_waiting_for_redis(self) -> None:
        """So is who waits for the first byte of a stream."""
        self.stage.redis.hung = {"SUBSCRIBE"}
        stream = self.stage.get(f"{API}/user?access_token=ann")
        self.leave()
        self.assertEqual((503, "5"), (stream.status, stream.headers["retry-after"]))
        self.stage.wait(2)

    def test_another_request(self) -> None:
        """So is who asks over a connection that was open before."""
        client = self.stage.get(f"{API}/health")
        self.leave()
        client.wire.clear()
        client.request(f"{API}/user?access_token=ann")
        self.assertEqual(503, client.status)

    def test_open(self) -> None:
        """Who listens hears the end."""
        stream = self.stage.get(f"{API}/user?access_token=ann")
        socket = self.stage.websocket(f"{API}?access_token=ben&stream=user")
        self.leave()
        self.assertTrue(stream.ended)
        self.assertEqual(1001, socket.close_code)
        self.stage.wait(2)
