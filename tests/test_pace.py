"""
How fast somebody may go on.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.pace import Pace


class PaceTests(SynchronousTestCase):
    """A bucket of which one number is kept."""

    def spent(self, pace: Pace, full_at: float, now: float) -> tuple[int, float]:
        """How many may be taken at once, up to a thousand, and what is to be kept then."""
        for number in range(1000):
            after = pace.spend(full_at, now)
            if after is None:
                return number, full_at
            full_at = after
        return 1000, full_at

    def test_burst(self) -> None:
        """At first the bucket is full, whatever the time is; it is filled again with time."""
        for per_second, burst in ((20, 200), (3, 30), (1, 1), (7, 70), (0.5, 4)):
            pace = Pace(per_second, burst)
            for began in (0.0, 1e9):
                number, full_at = self.spent(pace, 0, began)
                self.assertEqual(burst, number)
                number, full_at = self.spent(pace, full_at, began + 2)
                self.assertEqual(min(int(2 * per_second), burst), number)
                number, full_at = self.spent(pace, full_at, began + 1000)
                self.assertEqual(burst, number)

    def test_steady(self) -> None:
        """Who keeps to the pace can go on for ever."""
        pace, full_at = Pace(20, 200), 0.0
        for turn in range(10_000):
            after = pace.spend(full_at, turn / 20)
            assert after is not None
            full_at = after

    def test_off(self) -> None:
        """0 is no limit."""
        self.assertEqual(1000, self.spent(Pace(0, 0), 0, 5)[0])
