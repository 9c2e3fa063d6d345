"""
How many there may be at once of something.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Quota(Generic[Key]):
    """
    Counts, for each key, how many there are now, of *most* that may be; 0 is no limit.

    Nothing is remembered of keys of which there are none.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._here: dict[Key, int] = {}

    def __len__(self) -> int:
        return len(self._here)

    def take(self, key: Key) -> bool:
        """Count one more, unless there are as many as may be; return whether it was counted."""
        here = self._here.get(key, 0)
        if here >= self._most > 0:
            return False
        if self._most:
            self._here[key] = here + 1
        return True

    def release(self, key: Key) -> None:
        """Count one less of those that have been counted."""
        here = self._here.get(key, 0)
        if here > 1:
            self._here[key] = here - 1
        else:
            self._here.pop(key, None)
