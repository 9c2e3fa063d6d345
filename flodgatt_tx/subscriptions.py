"""
Who hears which channel.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from typing import Generic, TypeVar

Listener = TypeVar("Listener", bound=Hashable)


class Subscriptions(Generic[Listener]):
    """
    The listeners of each channel, in the order in which they came.

    A channel is open while it has a listener; both ways of changing that say which channels
    thereby opened or closed, so that Redis is told once however many listeners there are.
    """

    def __init__(self) -> None:
        self._listeners: dict[str, dict[Listener, None]] = {}
        self._nobody: dict[Listener, None] = {}

    def add(self, listener: Listener, channels: Iterable[str]) -> list[str]:
        """Let *listener* hear *channels*; return those that nobody heard before."""
        opened = []
        for channel in channels:
            if channel not in self._listeners:
                self._listeners[channel] = {}
                opened.append(channel)
            self._listeners[channel][listener] = None
        return opened

    def remove(self, listener: Listener, channels: Iterable[str]) -> list[str]:
        """Take *listener* off *channels*; return those that nobody hears any more."""
        closed = []
        for channel in channels:
            listeners = self._listeners.get(channel, {})
            if listener in listeners:
                del listeners[listener]
                if not listeners:
                    del self._listeners[channel]
                    closed.append(channel)
        return closed

    def hearing(self, channel: str) -> Collection[Listener]:
        """The listeners of a channel; do not keep it, it changes with them."""
        return self._listeners.get(channel, self._nobody)

    def channels(self) -> Collection[str]:
        """The channels that are open."""
        return self._listeners.keys()
