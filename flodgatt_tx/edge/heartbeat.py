"""
A sign of life, now and then, for every open connection.

Proxies cut what has been silent for a minute, and a client that has vanished without a word is
noticed only by writing to it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from typing_extensions import override

from flodgatt_tx.edge.rounds import Rounds


class Beating(Hashable, Protocol):
    """A connection that wants to be reminded."""

    def beat(self) -> None:
        """Send the sign of life that is due."""
        ...


class Heartbeat(Rounds[Beating]):
    """Calls `beat` on its connections, each once in *period* seconds, a slice every second."""

    def __init__(self, period: int, clock: IReactorTime) -> None:
        super().__init__(clock, period, period)

    def __iter__(self) -> Iterator[Beating]:
        return iter(self.items)

    def add(self, connection: Beating) -> None:
        """Remind *connection* from now on."""
        self.items.add(connection)

    def discard(self, connection: Beating) -> None:
        """Remind *connection* no more."""
        self.items.discard(connection)

    @override
    def visit(self, items: Sequence[Beating]) -> None:
        """Let a slice of the connections beat; one that cannot shall not silence the others."""
        for connection in items:
            try:
                connection.beat()
            except Exception:
                self._log.failure("a connection gave no sign of life")
