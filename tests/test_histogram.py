"""
Counting values by size.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.histogram import Histogram


class HistogramTests(SynchronousTestCase):
    """Buckets as Prometheus has them."""

    def test_buckets(self) -> None:
        """Each holds what is at most as large as its bound, and so all that the one before has."""
        histogram = Histogram((0.5, 1, 2))
        for value in (0.1, 0.5, 1, 1.5, 3):
            histogram.observe(value)
        self.assertEqual([("0.5", 2), ("1.0", 3), ("2.0", 4), ("+Inf", 5)], histogram.buckets())
        self.assertEqual(6.1, histogram.total)

    def test_times(self) -> None:
        """A value may have come several times, or not at all."""
        histogram = Histogram((1,))
        histogram.observe(2.5, 4)
        histogram.observe(0.5, 0)
        self.assertEqual(([("1.0", 0), ("+Inf", 4)], 10), (histogram.buckets(), histogram.total))

    def test_backwards(self) -> None:
        """A time before its beginning counts as none: the sum is never less than it was."""
        histogram = Histogram((1,))
        histogram.observe(-3)
        self.assertEqual(([("1.0", 1), ("+Inf", 1)], 0), (histogram.buckets(), histogram.total))
