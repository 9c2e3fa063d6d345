"""
How late the reactor is.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.lag import PERIOD, Lag
from flodgatt_tx.histogram import Histogram


class LagTests(SynchronousTestCase):
    """A reactor that stands still now and then."""

    def setUp(self) -> None:
        """Begin to measure."""
        self.clock = Clock()
        self.histogram = Histogram((0.01, 1))
        self.lag = Lag(self.clock, self.histogram)
        self.lag.startService()

    def counts(self) -> list[int]:
        """How often it was how late, in the end."""
        return [count for _, count in self.histogram.buckets()]

    def test_punctual(self) -> None:
        """Who comes in time is not late, however often."""
        self.clock.pump([PERIOD] * 4)
        self.assertEqual(([4, 4, 4], 0), (self.counts(), self.histogram.total))

    def test_late(self) -> None:
        """What held it up is seen as a whole, and the next measurement begins afresh."""
        self.clock.advance(PERIOD + 3)
        self.clock.advance(PERIOD)
        self.assertEqual(([1, 1, 2], 3), (self.counts(), self.histogram.total))

    def test_stopped(self) -> None:
        """It ends."""
        self.lag.stopService()
        self.lag.stopService()
        self.assertEqual([], self.clock.getDelayedCalls())
