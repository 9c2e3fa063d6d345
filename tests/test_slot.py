"""
The place of a worker.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.workers.process import WorkerEndedError, WorkerProcess
from flodgatt_tx.workers.slot import FIRST_DELAY, GRACE, MOST_DELAY, NEWCOMER, PROVEN, Slot

DRAIN = 8.0


class Hand:
    """A worker that does as the test says."""

    def __init__(self, cautious: bool) -> None:
        self.cautious = cautious
        self.drain_seconds = DRAIN
        self.listening: Deferred[None] = Deferred()
        self.ended: Deferred[str] = Deferred()
        self.leaving = self.draining = False
        self.done: list[str] = []

    def stop_listening(self) -> None:
        """Take no more clients."""
        self.leaving = True
        self.done.append("stop_listening")

    def drain(self) -> None:
        """Send clients away."""
        self.leaving = self.draining = True
        self.done.append("drain")

    def kill(self) -> None:
        """End at once."""
        self.done.append("kill")
        self.end("signal 9")

    def end(self, how: str = "it ended by itself") -> None:
        """Be gone."""
        if not self.listening.called:
            self.listening.errback(WorkerEndedError(how))
        self.listening.addErrback(lambda failure: None)
        self.ended.callback(how)


class SlotTests(SynchronousTestCase):
    """Who follows whom."""

    def setUp(self) -> None:
        """Fill one."""
        self.clock = Clock()
        self.hands: list[Hand] = []
        self.struck_off: list[tuple[Hand, bool]] = []
        self.slot = Slot(self.clock, 1, self.start, lambda *given: self.struck_off.append(given))
        self.slot.fill()
        self.first = self.hands[0]
        self.addCleanup(lambda: self.assertEqual([], self.clock.getDelayedCalls()))

    def start(self, slot: Slot, cautious: bool) -> WorkerProcess:
        """Start a worker."""
        self.hands.append(Hand(cautious))
        return cast(WorkerProcess, self.hands[-1])

    def prepare(self) -> tuple[Hand, Deferred[Any]]:
        """Begin to replace the worker."""
        prepared = Deferred.fromCoroutine(self.slot.prepare())
        return self.hands[-1], prepared

    def test_deaths(self) -> None:
        """Who dies is followed by another, later and later, until one has proven itself."""
        delays = []
        for _ in range(12):
            self.hands[-1].end()
            (call,) = self.clock.getDelayedCalls()
            delays.append(call.getTime() - self.clock.seconds())
            self.clock.advance(delays[-1])
        self.assertEqual([FIRST_DELAY, FIRST_DELAY * 2], [round(each, 3) for each in delays[:2]])
        self.assertAlmostEqual(MOST_DELAY, delays[-1])
        self.clock.advance(PROVEN)
        self.hands[-1].end()
        self.clock.advance(FIRST_DELAY)
        self.assertEqual(14, len(self.hands))
        self.assertEqual({False}, {meant for _, meant in self.struck_off})
        self.flushLoggedErrors()

    def test_replaced(self) -> None:
        """The next comes first, then the last takes no more, and then sends its clients away."""
        new, prepared = self.prepare()
        self.assertTrue(new.cautious)
        self.assertNoResult(prepared)
        self.assertEqual([], self.first.done)
        new.listening.callback(None)
        self.successResultOf(prepared)
        old = self.slot.switch()
        self.assertEqual(["stop_listening"], self.first.done)
        assert old
        retired = Deferred.fromCoroutine(self.slot.retire(old))
        self.assertNoResult(retired)
        self.first.end()
        self.successResultOf(retired)
        self.assertEqual(["stop_listening", "drain"], self.first.done)
        self.assertEqual([(self.first, True)], self.struck_off)
        self.assertIs(new, self.slot.worker)

    def test_obstinate(self) -> None:
        """Who does not leave in time is ended."""
        gone = self.slot.close()
        self.clock.advance(DRAIN + GRACE - 1)
        self.assertNoResult(gone)
        self.clock.advance(1)
        self.successResultOf(gone)
        self.assertEqual(["drain", "kill"], self.first.done)

    def test_next_fails(self) -> None:
        """If the next does not come up, the worker stays."""
        new, prepared = self.prepare()
        new.listening.addErrback(lambda failure: failure)
        self.clock.advance(NEWCOMER)
        self.failureResultOf(prepared, WorkerEndedError)
        self.slot.abandon()
        self.assertEqual(["kill"], new.done)
        self.assertIs(self.first, self.slot.worker)
        self.assertEqual([], self.first.done)

    def test_abandoned(self) -> None:
        """A next that came up in vain sends its clients away."""
        new, prepared = self.prepare()
        new.listening.callback(None)
        self.successResultOf(prepared)
        self.slot.abandon()
        self.assertEqual(["drain"], new.done)
        new.end()
        self.assertIs(self.first, self.slot.worker)

    def test_next_dies(self) -> None:
        """A next that died before it was needed is followed by another."""
        new, prepared = self.prepare()
        new.listening.callback(None)
        self.successResultOf(prepared)
        new.end()
        self.slot.switch()
        self.assertEqual(3, len(self.hands))
        self.assertIs(self.hands[2], self.slot.worker)

    def test_closing(self) -> None:
        """When all go nobody follows."""
        self.first.end()
        gone = self.slot.close()
        self.successResultOf(gone)
        self.clock.advance(PROVEN)
        self.assertEqual(1, len(self.hands))

    def test_kill(self) -> None:
        """All are ended at once."""
        new, prepared = self.prepare()
        prepared.addErrback(lambda failure: None)
        self.slot.kill()
        self.assertEqual((["kill"], ["kill"]), (self.first.done, new.done))
