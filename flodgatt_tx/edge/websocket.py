"""
One client that listens over a WebSocket, to as many streams as it likes.

The token comes with the handshake. The client says `{"type": "subscribe", "stream": "public"}`,
or names its first stream in the query; what goes the other way is in `flodgatt_tx.framing`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override

from flodgatt_tx.commands import Subscribe, parse_command
from flodgatt_tx.credentials import subprotocols
from flodgatt_tx.edge.admission import Visit
from flodgatt_tx.edge.api import Api, refusal_of, request_id, shown_path
from flodgatt_tx.edge.farewell import LEFT, LOST, SHUTDOWN, say_farewell
from flodgatt_tx.edge.frugal import forget_handshake, share_options
from flodgatt_tx.edge.metrics import REVOKED, SILENT
from flodgatt_tx.edge.outlet import Outlet, open_outlet
from flodgatt_tx.edge.readers import WEBSOCKET, Reader
from flodgatt_tx.errors import NOT_UNSUBSCRIBED, TOO_MANY_MESSAGES, UNEXPECTED, RefusalError
from flodgatt_tx.framing import PING, frame_error
from flodgatt_tx.query import split_target
from flodgatt_tx.streams import Parameters

LARGEST_MESSAGE = 64 * 1024  # bytes, from a client
NO_BINARY = "The mastodon streaming server does not support binary messages"
CLOSE_TIMEOUT = 5

# Not an attribute, for that would keep connections as the sources of what is logged.
_log = Logger()
_GOING_AWAY = 1001
_UNSUPPORTED_DATA = 1003
_POLICY_VIOLATION = 1008
_TRY_AGAIN_LATER = 1013


class StreamingSocket(WebSocketServerProtocol):
    """
    Autobahn's protocol on one side, a `Reader` on the other.

    The *visit* is what the connection is counted as; it is given before anything is received.
    """

    visit: Visit
    # Whether nobody listens any more to what the client says; of the few for whom this is so.
    _muted = False

    def __init__(self, api: Api) -> None:
        super().__init__()
        self._api = api
        self._request_id = ""
        self._parameters: dict[str, str] = {}
        self._refusal: RefusalError | None = None
        self._pending: set[Deferred[Any]] = set()
        self._reader: Reader | None = None
        self._asked = False
        self._alive = True
        self._outlet: Outlet | None = None

    @override
    def processHandshake(self) -> None:
        # Frames that arrive while the token is looked up wait; they are no second handshake.
        if not self._asked:
            super().processHandshake()
        elif len(self.data) > LARGEST_MESSAGE:
            self.dropConnection(abort=True)

    @override
    def onConnect(self, request: ConnectionRequest) -> Deferred[Any]:
        self._asked = True
        self._request_id = request_id(request.headers.get("x-request-id"))
        path, self._parameters = split_target(self.http_request_uri.encode("latin-1"))
        path = shown_path(path)
        _log.debug("WebSocket {path}", path=path, request_id=self._request_id)
        return self._owned(Deferred.fromCoroutine(self._log_in(request.headers)))

    async def _log_in(self, headers: dict[str, str]) -> tuple[str | None, dict[str, str]]:
        offered = headers.get("sec-websocket-protocol")
        try:
            viewer = await self._api.log_in(
                self.visit,
                headers.get("authorization"),
                self._parameters.get("access_token"),
                offered,
            )
        except RefusalError as refusal:
            self._refusal = refusal
            raise ConnectionDeny(refusal.status, refusal.message) from None
        except CancelledError:
            # The client is gone; of anything else Autobahn would make an accident.
            raise ConnectionDeny(HTTPStatus.SERVICE_UNAVAILABLE.value) from None
        named, now = self._request_id, self._api.clock.seconds()
        self._reader = Reader(WEBSOCKET, viewer, self, b"", named, now)
        # Browsers insist on hearing the subprotocol that they offered.
        return next(iter(subprotocols(offered)), None), {"X-Request-Id": self._request_id}

    @override
    def failHandshake(self, reason: str, code: int = 400, responseHeaders: Any = None) -> None:
        if self.state == self.STATE_CLOSED:
            return
        if self._refusal is None:
            # Autobahn's own words quote what was sent, and with it tokens.
            phrase = HTTPStatus(code).phrase
            reason = UNEXPECTED if code == HTTPStatus.INTERNAL_SERVER_ERROR else phrase
        self.wasNotCleanReason = reason
        named = self._request_id or request_id(None)
        _log.info("WebSocket refused: {code} {reason}", code=code, reason=reason, request_id=named)
        headers = [
            *(responseHeaders or ()),
            ("Connection", "close"),
            ("Content-Type", "text/plain"),
            ("Content-Length", "0"),
            ("X-Request-Id", named),
            ("X-Error-Message", reason),
        ]
        if self._refusal and self._refusal.retry_after is not None:
            headers.append(("Retry-After", str(self._refusal.retry_after)))
        self.sendHttpErrorResponse(code, HTTPStatus(code).phrase, headers)
        self.dropConnection(abort=False)

    @override
    def onOpen(self) -> None:
        if self._reader is None or self.state == self.STATE_CLOSED:
            return  # the client left while its token was looked up
        forget_handshake(self)
        self._outlet = open_outlet(self.transport, self._api.backlog, self._overflow)
        parameters, self._parameters = self._parameters, {}
        self._reader.outlet = self._outlet
        self._reader.ready = True
        self._api.subscriber.enter(self._reader)
        self._api.pings.add(self)
        if kind := parameters.get("stream"):
            self._subscribe(kind, parameters)

    @override
    def dataReceived(self, data: bytes) -> None:
        if not self._muted:
            super().dataReceived(data)

    @override
    def onFrameBegin(self) -> None:
        # Frames, since pings and pieces of messages are work, too.
        if self.state == self.STATE_OPEN and not self.visit.speak():
            self._muted = True
            self.data = b""
            self.sendCloseFrame(_POLICY_VIOLATION, TOO_MANY_MESSAGES.encode())
        super().onFrameBegin()

    @override
    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self._alive = True
        if self.state != self.STATE_OPEN:
            return  # a close frame is the last that either side may send
        if isBinary:
            self.sendCloseFrame(_UNSUPPORTED_DATA, NO_BINARY.encode())
            return
        command = parse_command(payload)
        if self._reader is None:
            return
        if command is None:
            self._api.metrics.messages_ignored.inc()
            account = self._reader.viewer.account_id
            _log.debug("account {account} said what is no command", account=account)
            return
        if isinstance(command, Subscribe):
            self._subscribe(command.kind, command.parameters)
        else:
            self._unsubscribe(self._reader, command.kind, command.parameters)

    @override
    def onPing(self, payload: bytes) -> None:
        # Who asks without reading the answers gets none.
        if self._outlet and not self._outlet.blocked:
            super().onPing(payload)

    @override
    def onPong(self, payload: bytes) -> None:
        self._alive = True

    @override
    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        for pending in list(self._pending):
            pending.cancel()
        self._api.pings.discard(self)
        reader, self._reader = self._reader, None
        self._discard()
        self._outlet = None
        if reader:
            if reader.entered:
                say_farewell(reader, self._api.clock.seconds(), LEFT if wasClean else LOST)
            self._api.subscriber.leave(reader)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.visit.leave()
        # It holds its protocol, which would so be kept until the garbage is collected.
        self.is_closed = None

    @override
    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        # Nothing may follow a close frame, whoever was the first to close.
        if self._reader:
            self._reader.ready = False
            if not isReply:
                self._note(f"code {code}")
        self._discard()
        # The client's own code is answered, but not its words.
        super().sendCloseFrame(code, None if isReply else reasonUtf8, isReply)

    def _discard(self) -> None:
        if self._outlet:
            self._outlet.discard()

    def _send(self, frame: bytes) -> None:
        if self._outlet:
            self._outlet.send(frame)

    def beat(self) -> None:
        """Ask for a sign of life; drop a client that has given none since the last time."""
        if self._alive:
            self._alive = False
            if self.state == self.STATE_OPEN:
                self._send(PING)
        else:
            if self._reader:
                self._api.metrics.readers_dropped.counts[WEBSOCKET, SILENT] += 1
                self._reader.end = SILENT
            self.transport.abortConnection()

    def kill(self) -> None:
        """
        Close without a code, as Mastodon's server does.

        What waits for a client that does not read is not for it any more: it is cut off.
        """
        self._note(REVOKED)
        if self._outlet and self._outlet.blocked:
            self.transport.abortConnection()
        else:
            self.sendCloseFrame()

    def _overflow(self, cause: str) -> None:
        self._api.metrics.readers_dropped.counts[WEBSOCKET, cause] += 1
        self._note(cause)
        # It goes behind the frames that the transport has begun with; if they are not read soon,
        # Autobahn drops the connection.
        self.sendCloseFrame(_TRY_AGAIN_LATER)

    def go_away(self) -> None:
        """Close with the code that brings clients back."""
        self._note(SHUTDOWN)
        self.sendCloseFrame(_GOING_AWAY)

    def _note(self, end: str) -> None:
        """Take note of why the connection is to end, unless that is known."""
        if self._reader:
            self._reader.end = self._reader.end or end

    def _subscribe(self, kind: str, parameters: Parameters) -> None:
        reader = self._reader
        if reader:
            subscribing = self._api.subscriber.subscribe(reader, kind, parameters)
            self._owned(Deferred.fromCoroutine(subscribing)).addErrback(self._refuse)

    def _unsubscribe(self, reader: Reader, kind: str, parameters: Parameters) -> None:
        try:
            self._api.subscriber.unsubscribe(reader, kind, parameters)
        except RefusalError:
            self._send(frame_error(NOT_UNSUBSCRIBED, None))

    def _refuse(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        refusal = refusal_of(failure, _log)
        if self.state == self.STATE_OPEN:
            self._send(frame_error(refusal.message, refusal.status))

    def _owned(self, pending: Deferred[Any]) -> Deferred[Any]:
        """Keep what is under way, to end it with the connection."""
        self._pending.add(pending)

        def done(outcome: Any) -> Any:
            self._pending.discard(pending)
            return outcome

        return pending.addBoth(done)


class StreamingSocketFactory(WebSocketServerFactory):
    """Makes the protocols of WebSocket clients."""

    noisy = False

    def __init__(self, api: Api) -> None:
        super().__init__(server="")
        self._api = api
        self.setProtocolOptions(
            webStatus=False,
            allowNullOrigin=True,  # `Origin: null` is what files and sandboxed pages say
            failByDrop=False,  # tell a client what it did wrong instead of cutting it off
            openHandshakeTimeout=0,  # what it waits for, the login, gives up by itself
            closeHandshakeTimeout=CLOSE_TIMEOUT,
            echoCloseCodeReason=True,
            maxFramePayloadSize=LARGEST_MESSAGE,
            maxMessagePayloadSize=LARGEST_MESSAGE,
        )
        self._class = share_options(StreamingSocket, self)

    @override
    def buildProtocol(self, addr: object) -> StreamingSocket:
        protocol: StreamingSocket = self._class(self._api)
        protocol.factory = self
        return protocol
