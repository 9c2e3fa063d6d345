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
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.server import Site
from typing_extensions import override

LARGEST_HEAD = 16 * 1024  # bytes, Node's and Twisted's
TIMEOUT = 60  # seconds for the head of a request

_UPGRADE = re.compile(rb"^upgrade:[^\r\n]*\bwebsocket\b", re.IGNORECASE | re.MULTILINE)
_ORIGIN = re.compile(rb"\r\norigin:[^\r\n]*", re.IGNORECASE)
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
        self._head = b""
        self._timeout: IDelayedCall | None = None
        self._channel: HTTPChannel | None = None

    @override
    def connectionMade(self) -> None:
        self._timeout = self._factory.reactor.callLater(TIMEOUT, self._give_up)

    @override
    def dataReceived(self, data: bytes) -> None:
        if self._channel and self._channel.requests:
            self._channel.dataReceived(data)
            return
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end >= 0 or len(self._head) > LARGEST_HEAD:
            received, self._head = self._head, b""
            self._hand_over(received, wants_websocket(received[: max(end, 0)]))

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._cancel_timeout()
        if self._channel:
            self._channel.connectionLost(reason)

    def _hand_over(self, received: bytes, websocket: bool) -> None:
        self._cancel_timeout()
        if websocket:
            self._hand_to_websocket(received)
            return
        if self._channel is None:
            self._channel = self._factory.site.buildProtocol(self._address)
            self._channel.makeConnection(self.transport)
        self._channel.dataReceived(received)

    def _hand_to_websocket(self, received: bytes) -> None:
        transport: Any = self.transport
        if self._channel is not None:
            # It was served over HTTP before; the channel shall not hear of it any more.
            self._channel.setTimeout(None)
            transport.unregisterProducer()
            self._channel = None
        protocol = self._factory.websockets.buildProtocol(self._address)
        if isinstance(transport, ProtocolWrapper):
            transport.wrappedProtocol = protocol
        else:
            transport.protocol = protocol
        protocol.makeConnection(transport)
        # Autobahn refuses origins that it cannot read; here every origin is welcome.
        head, end, rest = received.partition(b"\r\n\r\n")
        protocol.dataReceived(_ORIGIN.sub(b"", head) + end + rest)

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
