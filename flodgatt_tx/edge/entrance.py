"""
Where connections come in: HTTP to the site, WebSockets to Autobahn.

The two share ports and paths, so the head of each request tells them apart. A WebSocket is
recognised before a Request exists, which would cost it more than all the rest of the handshake.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from twisted.web.server import Site
from typing_extensions import override

from flodgatt_tx.edge.admission import ANTEROOM_TIMEOUT, Admission, Visit
from flodgatt_tx.edge.api import request_id
from flodgatt_tx.edge.handover import hand_over
from flodgatt_tx.errors import RefusalError
from flodgatt_tx.refusing import write_refusal

_END = b"\r\n\r\n"
# Headers, none of which is the first line.
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*\bwebsocket\b", re.IGNORECASE)
_CONNECTION = re.compile(rb"\r\nconnection:[^\r\n]*\bupgrade\b", re.IGNORECASE)
_FORWARDED = re.compile(rb"\r\nx-forwarded-for:([^\r\n]*)", re.IGNORECASE)
_REQUEST_ID = re.compile(rb"\r\nx-request-id:([^\r\n]*)", re.IGNORECASE)
# Every origin is welcome, also those that Autobahn cannot read, and extensions are declined.
_IGNORED = re.compile(rb"\r\n(?:origin|sec-websocket-extensions):[^\r\n]*", re.IGNORECASE)
# What asks how the server is.
_PROBE = re.compile(rb"(?:GET|HEAD) (?:/api/v1/streaming/health(?:/ready)?|/metrics)/?[ ?]")


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
        self._visit: Visit | None = None
        self._timeout: IDelayedCall | None = None
        self._channel: Any = None  # a `StreamingChannel`

    @override
    def connectionMade(self) -> None:
        transport: Any = self.transport
        # Who is wrapped may be named yet, by the PROXY protocol.
        peer = None if isinstance(transport, ProtocolWrapper) else self._peer
        self._visit = visit = self._factory.admission.arrive(peer)
        if visit is None:
            transport.abortConnection()
            return
        timeout = self._factory.admission.limits.handshake_timeout
        if visit.late:
            timeout = min(timeout or ANTEROOM_TIMEOUT, ANTEROOM_TIMEOUT)
        if timeout:
            self._timeout = self._factory.reactor.callLater(timeout, self._give_up, visit)

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
        if transport.disconnecting or self._visit is None:
            self._unread = b""
            return False
        if self._channel and self._channel.requests:
            # A body; what comes behind it comes back when the request has been answered.
            unread, self._unread = self._unread, b""
            self._channel.dataReceived(unread)
            return True
        end = self._unread.find(_END)
        size = len(self._unread) if end < 0 else end
        too_long = size > (self._factory.admission.limits.header_size or size)
        if end < 0 and not too_long:
            return False
        self._cancel_timeout()
        return self._receive(self._visit, self._unread[:size], too_long)

    def _receive(self, visit: Visit, head: bytes, too_long: bool) -> bool:
        """Let in whoever sends a *head*; return whether there may be more."""
        is_websocket = wants_websocket(head)
        try:
            self._admit(visit, head, too_long)
        except RefusalError as refusal:
            self._refuse(refusal, head, is_websocket)
            return False
        if is_websocket:
            self._hand_to_websocket(visit)
        else:
            self._hand_to_site(visit, len(head) + len(_END))
        return True

    def _admit(self, visit: Visit, head: bytes, too_long: bool) -> None:
        if too_long:
            visit.too_long()
        self._factory.check(head)
        forwarded = [each.decode("latin-1") for each in _FORWARDED.findall(head)]
        visit.ask(self._peer, forwarded, bool(_PROBE.match(head)))

    @property
    def _peer(self) -> str | None:
        transport: Any = self.transport
        # UNIX sockets have no hosts.
        return getattr(transport.getPeer(), "host", None)

    def _refuse(self, refusal: RefusalError, head: bytes, is_websocket: bool) -> None:
        self._unread = b""
        named = _REQUEST_ID.search(head)
        name = request_id(named and named[1].decode("latin-1").strip(" \t"))
        bodiless = is_websocket or head.startswith(b"HEAD ")
        transport: Any = self.transport
        transport.write(write_refusal(refusal, name, bodiless))
        # The channel is the transport's producer, and has to let go of it.
        (self._channel or transport).loseConnection()

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._cancel_timeout()
        if self._channel:
            self._channel.connectionLost(reason)
        if self._visit:
            self._visit.leave()

    def _hand_to_site(self, visit: Visit, size: int) -> None:
        head, self._unread = self._unread[:size], self._unread[size:]
        if self._channel is None:
            self._channel = self._factory.site.buildProtocol(self._address)
            self._channel.behind = self.dataReceived
            self._channel.visit = visit
            self._channel.makeConnection(self.transport)
        self._channel.dataReceived(head)

    def _hand_to_websocket(self, visit: Visit) -> None:
        transport: Any = self.transport
        received, self._unread = self._unread, b""
        if self._channel is not None:
            # It was served over HTTP before; the channel shall not hear of it any more.
            self._channel.setTimeout(None)
            transport.unregisterProducer()
            self._channel = None
        protocol = self._factory.websockets.buildProtocol(self._address)
        protocol.visit = visit
        hand_over(transport, protocol)
        head, end, rest = received.partition(_END)
        protocol.dataReceived(_IGNORED.sub(b"", head) + end + rest)

    def _give_up(self, visit: Visit) -> None:
        self._timeout = None
        visit.time_out()
        transport: Any = self.transport
        transport.abortConnection()

    def _cancel_timeout(self) -> None:
        if self._timeout:
            self._timeout.cancel()
            self._timeout = None


class EntranceFactory(ServerFactory):
    """
    Lets connections in to a *site* and to *websockets*, as *admission* has it.

    *check* is given the head of each request; it raises a `RefusalError` where nobody is let in.
    """

    noisy = False

    def __init__(
        self,
        reactor: Any,
        site: Site,
        websockets: Any,
        admission: Admission,
        check: Callable[[bytes], object] = lambda head: None,
    ) -> None:
        self.reactor = reactor
        self.site = site
        self.websockets = websockets
        self.admission = admission
        self.check = check

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
