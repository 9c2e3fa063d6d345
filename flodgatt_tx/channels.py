"""
What Redis was asked to send, and what it has confirmed.

SUBSCRIBE and UNSUBSCRIBE are answered later, channel by channel and in order, and readers come
and go meanwhile: a channel counts as confirmed only when the answer to its *last* SUBSCRIBE is in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice


class Channels:
    """The channels of one pub/sub connection; it outlives the connection."""

    def __init__(self) -> None:
        self._wanted: dict[str, None] = {}
        self._asked: set[str] = set()
        self._touched: dict[str, None] = {}
        self._answers_due: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._wanted)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._wanted))

    def want(self, channels: Iterable[str]) -> None:
        """These shall be subscribed."""
        for channel in channels:
            self._wanted[channel] = self._touched[channel] = None

    def drop(self, channels: Iterable[str]) -> None:
        """These need not be subscribed any more."""
        for channel in channels:
            self._wanted.pop(channel, None)
            self._touched[channel] = None

    @property
    def changing(self) -> bool:
        """Whether there may be changes left to take."""
        return bool(self._touched)

    def take_changes(self, most: int | None = None) -> tuple[list[str], list[str]]:
        """
        Say what to SUBSCRIBE and what to UNSUBSCRIBE, and count it as asked.

        At *most* so many channels are looked at.

        Who was wanted and dropped since the last time is not asked for, and who was neither is
        not even looked at: there may be very many.
        """
        touched = list(islice(self._touched, most))
        for channel in touched:
            del self._touched[channel]
        changed = [each for each in touched if (each in self._wanted) != (each in self._asked)]
        subscribe = [channel for channel in changed if channel in self._wanted]
        unsubscribe = [channel for channel in changed if channel not in self._wanted]
        for channel in subscribe:
            self._answers_due[channel] = self._answers_due.get(channel, 0) + 1
        self._asked.update(subscribe)
        self._asked.difference_update(unsubscribe)
        return subscribe, unsubscribe

    def answered(self, channel: str) -> bool:
        """Take note of one answer to SUBSCRIBE; return whether the channel is now confirmed."""
        due = self._answers_due.get(channel, 0)
        if due > 1:
            self._answers_due[channel] = due - 1
            return False
        self._answers_due.pop(channel, None)
        return self.is_confirmed(channel)

    def is_confirmed(self, channel: str) -> bool:
        """Whether what is published on *channel* from now on will reach us."""
        return (
            channel in self._asked and channel in self._wanted and channel not in self._answers_due
        )

    def forget(self) -> None:
        """The connection is gone: everything that is wanted has to be asked for again."""
        self._asked.clear()
        self._answers_due.clear()
        self._touched = dict(self._wanted)
