"""
Waiting for several things at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, succeed


class _Wait:
    """How many of its things somebody still waits for."""

    __slots__ = ("done", "left")

    def __init__(self, left: int) -> None:
        self.left = left
        self.done: Deferred[None] = Deferred()


class Awaiting:
    """Who waits for which names: one Deferred for each wait, however many names it is for."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[_Wait]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._waiting

    def wait(self, names: Sequence[str]) -> Deferred[None]:
        """Fire when all of *names* have been told of; it may be cancelled."""
        if not names:
            return succeed(None)
        wait = _Wait(len(names))
        for name in names:
            self._waiting.setdefault(name, []).append(wait)
        return wait.done

    def tell(self, name: str) -> None:
        """Let nobody wait for *name* any longer."""
        for wait in self._waiting.pop(name, ()):
            wait.left -= 1
            if not wait.left and not wait.done.called:
                wait.done.callback(None)
