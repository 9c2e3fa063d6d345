"""
Very many durations, of which the distribution is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import ceil, exp, log

_STEP = 0.01  # each class is 1 % wider than the one before
_LEAST = 1e-6  # seconds; shorter ones count as that


class Latencies:
    """Durations in seconds, each known to about 1 %; the longest is known as it was."""

    def __init__(self) -> None:
        self.count = 0
        self.longest = 0.0
        self._classes: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """Count one."""
        self.count += 1
        if seconds > self.longest:
            self.longest = seconds
        self._classes[int(log(max(seconds, _LEAST) / _LEAST) / _STEP)] += 1

    def below(self, shares: Sequence[float]) -> list[float]:
        """
        Say below how many seconds each of these *shares*, from 0 to 1 and ascending, of them are.

        Where there are none it is 0.
        """
        classes = sorted(self._classes.items())
        found, counted, at = [], 0, -1
        for share in shares:
            while counted < ceil(share * self.count):
                at += 1
                counted += classes[at][1]
            upper = _LEAST * exp((classes[at][0] + 1) * _STEP) if at >= 0 else 0.0
            found.append(min(upper, self.longest))
        return found
