"""
The way out to one client: bytes to a socket, and what becomes of clients that do not read.

A transport writes when the reactor comes round: it registers the socket, polls, sends, and
registers the opposite, three system calls where one would do. So while nothing waits there, a
frame is given to the socket at once. What the socket does not take goes through the transport, and
what the transport has no room for waits here, as bytes that readers share.

The conditions for that are private to Twisted; they are here and nowhere else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.tcp import Connection
from typing_extensions import override
from zope.interface import implementer

MOST_UNSENT = 1024 * 1024
MOST_UNSENT_TOTAL = 256 * MOST_UNSENT
# Why somebody has too much: one alone does not read, or all together do not.
SLOW, CROWDED = "slow", "crowded"


class Backlog:
    """
    What waits for clients beyond what their transports and the kernel hold, in bytes.

    *most* is what may wait for one of them and *most_total* for all together; 0 is no limit.
    *clients* counts those for whom something waits.
    """

    def __init__(self, most: int = MOST_UNSENT, most_total: int = MOST_UNSENT_TOTAL) -> None:
        self.total = 0
        self.clients = 0
        self._most = most or inf
        self._most_total = most_total or inf

    def excess(self, unsent: int) -> str:
        """Why a client for which so much waits, counted in the total, has too much, if it has."""
        if unsent > self._most:
            return SLOW
        return CROWDED if self.total > self._most_total else ""


def open_outlet(transport: Any, backlog: Backlog, overflow: Callable[[str], object]) -> Outlet:
    """
    Make the outlet to a *transport*, whose producer it becomes.

    *overflow* is called, once and with the cause, when too much waits for the client.
    """
    plain = isinstance(transport, Connection) and not getattr(transport, "TLS", False)
    outlet = (SocketOutlet if plain else Outlet)(transport, backlog, overflow)
    transport.registerProducer(outlet, True)
    return outlet


@implementer(IPushProducer)
class Outlet:
    """
    Writes through the transport, which says, as to any producer, when it has enough.

    What is *unsent* waits here, in bytes.
    """

    __slots__ = ("_backlog", "_overflow", "_transport", "_waiting", "blocked", "unsent")

    def __init__(self, transport: Any, backlog: Backlog, overflow: Callable[[str], object]) -> None:
        self._transport = transport
        self._backlog = backlog
        self._overflow: Callable[[str], object] | None = overflow
        self._waiting: deque[bytes] | None = None
        self.unsent = 0
        self.blocked = False

    def send(self, frame: bytes) -> None:
        """Write a frame, behind all others."""
        if self.blocked:
            self._queue(frame)
        else:
            self._transport.write(frame)

    def discard(self) -> None:
        """Forget what waits here: what is written from now on comes next."""
        self._waiting = None
        self._count(-self.unsent)

    def close(self) -> None:
        """Let go of the transport, which would not close while somebody has more to write."""
        self.discard()
        self._overflow = None
        self._transport.unregisterProducer()

    def _queue(self, frame: bytes) -> None:
        if self._overflow is None:
            return
        self._count(len(frame))
        if cause := self._backlog.excess(self.unsent):
            overflow, self._overflow = self._overflow, None
            self.discard()
            overflow(cause)
        elif self._waiting is None:
            self._waiting = deque((frame,))
        else:
            self._waiting.append(frame)

    def pauseProducing(self) -> None:  # noqa: N802 # Twisted's
        """Take note that the client does not read as fast as it is written to."""
        self.blocked = True

    def resumeProducing(self) -> None:  # noqa: N802 # Twisted's
        """Take note that the client has read all, and go on with what waits here."""
        self.blocked = False
        while self._waiting and not self.blocked:
            frame = self._waiting.popleft()
            self._count(-len(frame))
            self._transport.write(frame)
        if not self._waiting:
            self._waiting = None
            if self._transport.disconnecting:
                # Or it would wait for more, and never close.
                self._transport.unregisterProducer()

    def stopProducing(self) -> None:  # noqa: N802 # Twisted's
        """Take note of the end."""
        self.discard()

    def _count(self, size: int) -> None:
        waited = self.unsent > 0
        self.unsent += size
        self._backlog.total += size
        self._backlog.clients += (self.unsent > 0) - waited


class SocketOutlet(Outlet):
    """Writes to the socket of a plain TCP or UNIX transport itself while nothing waits."""

    __slots__ = ()

    @override
    def send(self, frame: bytes) -> None:
        """Write a frame, behind all others."""
        transport = self._transport
        if self.blocked:
            self._queue(frame)
        elif (
            transport.dataBuffer
            or transport._tempDataLen
            or transport.disconnecting
            or not transport.connected
            or transport._writeDisconnecting
            or transport._writeDisconnected
        ):
            transport.write(frame)
        else:
            try:
                sent = transport.socket.send(frame)
            except OSError:
                # Full for now, or broken: the reactor finds out which, and cleans up.
                sent = 0
            if sent < len(frame):
                transport.write(frame[sent:] if sent else frame)
