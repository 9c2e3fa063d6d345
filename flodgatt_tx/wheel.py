"""
Something to be done for each of many things, once in a while, and never for all of them at once.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)


class Wheel(Generic[Item]):
    """
    A wheel with *slots*, one of which comes up with every turn.

    An item's slot comes up once in *slots* turns, for the first time after a full revolution. One
    timer that turns the wheel serves where else each item would need a timer of its own.
    """

    def __init__(self, slots: int) -> None:
        self._slots: list[dict[Item, None]] = [{} for _ in range(slots)]
        self._slot_of: dict[Item, int] = {}
        self._at = 0

    def __len__(self) -> int:
        return len(self._slot_of)

    def __iter__(self) -> Iterator[Item]:
        return iter(list(self._slot_of))

    def add(self, item: Item) -> None:
        """Put an item on the wheel, to come up a revolution from now; it stays where it is."""
        if item not in self._slot_of:
            self._slot_of[item] = self._at
            self._slots[self._at][item] = None

    def discard(self, item: Item) -> None:
        """Take an item off, if it is there."""
        slot = self._slot_of.pop(item, None)
        if slot is not None:
            del self._slots[slot][item]

    def turn(self) -> list[Item]:
        """Turn by one slot and return what is in it."""
        self._at = (self._at + 1) % len(self._slots)
        return list(self._slots[self._at])
