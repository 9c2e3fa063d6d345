"""
A sign of life, now and then, for every open connection.

Proxies cut what has been silent for a minute, and a client that has vanished without a word is
noticed only by writing to it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Protocol

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from typing_extensions import override

from flodgatt_tx.wheel import Wheel


class Beating(Hashable, Protocol):
    """A connection that wants to be reminded."""

    def beat(self) -> None:
        """Send the sign of life that is due."""
        ...

    def go_away(self) -> None:
        """End because the server goes down."""
        ...


class Heartbeat(Service):
    """Calls `beat` on its connections, each once in *period* seconds, a slice every second."""

    def __init__(self, period: int, clock: IReactorTime) -> None:
        self._wheel: Wheel[Beating] = Wheel(period)
        self._beating = LoopingCall(self._beat)
        self._beating.clock = clock

    def __iter__(self) -> Iterator[Beating]:
        return iter(self._wheel)

    @override
    def startService(self) -> None:
        Service.startService(self)
        self._beating.start(1, now=False)

    @override
    def stopService(self) -> None:
        Service.stopService(self)
        if self._beating.running:
            self._beating.stop()

    def add(self, connection: Beating) -> None:
        """Remind *connection* from now on."""
        self._wheel.add(connection)

    def discard(self, connection: Beating) -> None:
        """Remind *connection* no more."""
        self._wheel.discard(connection)

    def _beat(self) -> None:
        for connection in self._wheel.turn():
            connection.beat()
