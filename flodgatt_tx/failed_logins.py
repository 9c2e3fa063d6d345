"""
Who tries tokens that are none, and how often.
"""

from __future__ import annotations

WINDOW = 60  # seconds
# Addresses that are remembered: some MB, whatever the number of those that try.
MOST_ADDRESSES = 20_000


class FailedLogins:
    """
    Counts failures by address in the minute that begins with an address's first, *most* of which
    are let through; 0 is no limit.

    If too many addresses fail within a minute, those that began first are forgotten first. Times
    are in seconds, of any clock that does not go back.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        # Address: failures, and the end of their minute. The minutes are all as long as each
        # other, so the first that began is the first that ends.
        self._failures: dict[bytes, tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._failures)

    def add(self, address: bytes, now: float) -> None:
        """Count a failure."""
        if not self._most:
            return
        self._forget(now)
        number, ends = self._failures.get(address, (0, now + WINDOW))
        self._failures[address] = (number + 1, ends)

    def wait(self, address: bytes, now: float) -> float:
        """Return for how many seconds an address may not try again; 0 if it may now."""
        number, ends = self._failures.get(address, (0, now))
        return max(ends - now, 0) if number >= self._most else 0

    def _forget(self, now: float) -> None:
        while self._failures:
            address, (_, ends) = next(iter(self._failures.items()))
            if ends > now and len(self._failures) < MOST_ADDRESSES:
                return
            del self._failures[address]
