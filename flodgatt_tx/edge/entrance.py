"""
Where connections come in: HTTP to the site, WebSockets to Autobahn.

The two share ports and paths, so the head of each request tells them apart. A WebSocket is
recognised before a Request exists, which would cost it more than all the rest of the handshake.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure
from twisted.web.server import Site
from typing_extensions import override

from flodgatt_tx.edge.handover import hand_over

LARGEST_HEAD = 16 * 1024  # bytes, Node's and Twisted's
TIMEOUT = 60  # seconds for the head of a request

_END = b"\r\n\r\n"
_UPGRADE = re.compile(rb"^upgrade:[^\r\n]*\bwebsocket\b", re.IGNORECASE | re.MULTILINE)
# Every origin is welcome, also those that Autobahn cannot read, and extensions are declined.
_IGNORED = re.compile(rb"\r\n(?:origin|sec-websocket-extensions):[^\r\n]*", re.IGNORECASE)
_CONNECTION = re.compile(rb"^connection:[^\r\n]*\bupgrade\b", re.IGNORECASE | re.MULTILINE)


def wants_websocket(head: bytes) -> bool:
    """Whether the head of a request asks for a WebSocket, and nothing but that."""
    return bool(_UPGRADE.search(head) and _CONNECTION.search(head))


class Entrance(Protocol):
    """
    Reads the head of a request and hands the connection to who understands it.

    It stays in front of the site, for a proxy may send a handshake over a connection that has
    served requests before.
    """

    def __init__(self, factory: EntranceFactory, address: IAddress) -> None:
        self._factory = factory
        self._address = address
        self._unread = b""
        self._reading = False
        self._timeout: IDelayedCall | None = None
        self._channel: Any = None  # a `StreamingChannel`

    @override
    def connectionMade(self) -> None:
        self._timeout = self._factory.reactor.callLater(TIMEOUT, self._give_up)

    @override
    def dataReceived(self, data: bytes) -> None:
        self._unread += data
        if not self._reading:
            self._reading = True
            while self._unread and self._read():
                pass
            self._reading = False

    def _read(self) -> bool:
        """Hand over what can be; return whether there may be more."""
        transport: Any = self.transport
        if transport.disconnecting:
            self._unread = b""
            return False
        if self._channel and self._channel.requests:
            # A body; what comes behind it comes back when the request has been answered.
            unread, self._unread = self._unread, b""
            self._channel.dataReceived(unread)
            return True
        end = self._unread.find(_END)
        if end < 0 and len(self._unread) <= LARGEST_HEAD:
            return False
        self._cancel_timeout()
        if wants_websocket(self._unread[: max(end, 0)]):
            self._hand_to_websocket()
        else:
            self._hand_to_site(end + len(_END) if end >= 0 else len(self._unread))
        return True

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._cancel_timeout()
        if self._channel:
            self._channel.connectionLost(reason)

    def _hand_to_site(self, size: int) -> None:
        head, self._unread = self._unread[:size], self._unread[size:]
        if self._channel is None:
            self._channel = self._factory.site.buildProtocol(self._address)
            self._channel.behind = self.dataReceived
            self._channel.makeConnection(self.transport)
        self._channel.dataReceived(head)

    def _hand_to_websocket(self) -> None:
        transport: Any = self.transport
        received, self._unread = self._unread, b""
        if self._channel is not None:
            # It was served over HTTP before; the channel shall not hear of it any more.
            self._channel.setTimeout(None)
            transport.unregisterProducer()
            self._channel = None
        protocol = self._factory.websockets.buildProtocol(self._address)
        hand_over(transport, protocol)
        head, end, rest = received.partition(_END)
        protocol.dataReceived(_IGNORED.sub(b"", head) + end + rest)

    def _give_up(self) -> None:
        self._timeout = None
        transport: Any = self.transport
        transport.abortConnection()

    def _cancel_timeout(self) -> None:
        if self._timeout:
            self._timeout.cancel()
            self._timeout = None


class EntranceFactory(ServerFactory):
    """Lets connections in to a *site* and to *websockets*."""

    noisy = False

    def __init__(self, reactor: Any, site: Site, websockets: Any) -> None:
        self.reactor = reactor
        self.site = site
        self.websockets = websockets

    @override
    def buildProtocol(self, addr: IAddress | None) -> Entrance:
        assert addr is not None
        return Entrance(self, addr)

    @override
    def startFactory(self) -> None:
        self.site.doStart()
        self.websockets.doStart()

    @override
    def stopFactory(self) -> None:
        self.websockets.doStop()
        self.site.doStop()
