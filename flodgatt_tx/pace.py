"""
How fast somebody may go on doing something.
"""

from __future__ import annotations


class Pace:
    """
    A token bucket: *per_second* of something, and *burst* of them at once; 0 is no limit.

    Of each who does it one number is kept, which begins at 0: the time at which the bucket would
    be full again. Times are in seconds, of any clock that does not go back.
    """

    def __init__(self, per_second: float, burst: int) -> None:
        self._costs = 1 / per_second if per_second else 0
        self._lends = burst * self._costs

    def spend(self, full_at: float, now: float) -> float | None:
        """Take one out of the bucket: return when it will be full again, or None if it is empty."""
        full_at = max(full_at, now) + self._costs
        # Sums of fractions are not exact; a thousandth of one does not matter.
        return full_at if full_at - now <= self._lends + self._costs / 1000 else None
