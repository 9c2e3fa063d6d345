"""
Signs of life.
"""

from __future__ import annotations

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.heartbeat import Heartbeat


class Drum:
    """A connection that counts its beats."""

    def __init__(self) -> None:
        self.beats = 0

    def beat(self) -> None:
        """Count."""
        self.beats += 1

    def go_away(self) -> None:
        """Never called here."""
        raise NotImplementedError


class BrokenDrum(Drum):
    """One that cannot be beaten."""

    def beat(self) -> None:
        """Fail."""
        raise ZeroDivisionError


class HeartbeatTests(SynchronousTestCase):
    """Whom it reminds, and when."""

    def setUp(self) -> None:
        """Start."""
        self.clock = MemoryReactorClock()
        self.heart = Heartbeat(15, self.clock)
        self.heart.startService()
        self.addCleanup(lambda: self.assertEqual([], self.clock.getDelayedCalls()))
        self.addCleanup(self.heart.stopService)

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        for _ in range(seconds):
            self.clock.advance(1)

    def test_period(self) -> None:
        """Each is reminded once in every period, beginning a period after it came."""
        first, second = Drum(), Drum()
        self.heart.add(first)
        self.wait(7)
        self.heart.add(second)
        self.wait(7)
        self.assertEqual((0, 0), (first.beats, second.beats))
        self.wait(1)
        self.assertEqual((1, 0), (first.beats, second.beats))
        self.wait(7)
        self.assertEqual((1, 1), (first.beats, second.beats))
        self.wait(150)
        self.assertEqual((11, 11), (first.beats, second.beats))

    def test_broken(self) -> None:
        """One that fails silences neither the others nor itself."""
        for drum in (BrokenDrum(), good := Drum()):
            self.heart.add(drum)
        self.wait(30)
        self.assertEqual(2, good.beats)
        self.assertEqual(2, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_discarded(self) -> None:
        """Who has left is reminded no more, and may leave twice."""
        drum = Drum()
        self.heart.add(drum)
        self.assertEqual([drum], list(self.heart))
        for _ in range(2):
            self.heart.discard(drum)
        self.wait(20)
        self.assertEqual(0, drum.beats)

    def test_leaving_on_beat(self) -> None:
        """Who leaves when reminded does not disturb the others."""
        leaving, staying = Drum(), Drum()
        self.heart.add(leaving)
        self.heart.add(staying)
        leaving.beat = lambda: self.heart.discard(leaving)  # type: ignore[method-assign]
        self.wait(15)
        self.assertEqual(1, staying.beats)

    def test_stopped(self) -> None:
        """It can be stopped without having been started."""
        Heartbeat(15, self.clock).stopService()
