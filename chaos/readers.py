"""
Clients that do as they should: they read, answer pings, and tell the ledger what they hear.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import orjson
from typing_extensions import override
from websockets.client import ClientProtocol
from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from chaos.ledger import Ledger
from chaos.population import Seat, token

API = "/api/v1/streaming"
HOST = "127.0.0.1"


class Reader(asyncio.Protocol):
    """A reader in its *seat*; *left* is called when it loses the connection."""

    def __init__(self, port: int, seat: Seat, ledger: Ledger, left: Callable[[Reader], object]):
        self.seat = seat
        self.ended: str | None = None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._port = port
        self._ledger = ledger
        self._left = left
        self._transport: Any = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = self._farewell(exc)
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(self.ended))
        self._left(self)

    def close(self) -> None:
        """Hang up."""
        self._transport.abort()

    def _hear(self, payload: bytes | str) -> None:
        channel, number = orjson.loads(payload)["chaos"]
        self._ledger.hear(self.seat.number, channel, number, time.monotonic())

    def _farewell(self, exc: Exception | None) -> str:
        return type(exc).__name__ if exc else "end"


class SocketReader(Reader):
    """A reader over WebSocket, by the library `websockets`, which minds the rules strictly."""

    _protocol: ClientProtocol

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        uri = parse_uri(f"ws://{HOST}:{self._port}{API}")
        word = Subprotocol(token(self.seat.number))
        self._protocol = ClientProtocol(uri, subprotocols=[word])
        self._protocol.send_request(self._protocol.connect())
        self._flush()

    @override
    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if not isinstance(event, Frame):
                self._greet()
            elif event.opcode is Opcode.TEXT:
                message = orjson.loads(event.data)
                self._hear(message["payload"])
        self._flush()

    def _greet(self) -> None:
        if self._protocol.handshake_exc:
            self._transport.abort()
            return
        for stream in self.seat.streams:
            command = {"type": "subscribe", "stream": stream.kind, **stream.parameters}
            self._protocol.send_text(orjson.dumps(command))
        self.opened.set_result(None)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)

    @override
    def _farewell(self, exc: Exception | None) -> str:
        if isinstance(self._protocol.parser_exc, ProtocolError):
            return f"broken frames: {self._protocol.parser_exc}"
        if self._protocol.close_rcvd:
            return str(self._protocol.close_rcvd.code)
        return super()._farewell(exc)


class StreamReader(Reader):
    """A reader of server-sent events."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._body = Body()
        self._text = b""
        target = f"{API}/{self.seat.streams[0].path}"
        self._transport.write(get(target, token(self.seat.number)))

    @override
    def data_received(self, data: bytes) -> None:
        self._text += self._body.feed(data)
        if not self.opened.done() and self._text.startswith(b":)\n"):
            self._text = self._text[3:]
            self.opened.set_result(None)
        *events, self._text = self._text.split(b"\n\n")
        for event in events:
            for line in event.split(b"\n"):
                if line.startswith(b"data: "):
                    self._hear(line[6:])


class Body:
    """The body of a response, which may come in chunks."""

    def __init__(self) -> None:
        self.status = 0
        self.head = b""
        self._rest = b""
        self._chunked = False

    def feed(self, data: bytes) -> bytes:
        """Take what came; return what of it belongs to the body."""
        self._rest += data
        if not self.status:
            head, end, rest = self._rest.partition(b"\r\n\r\n")
            if not end:
                return b""
            self.head, self._rest = head.lower(), rest
            self.status = int(head.split(b" ", 2)[1])
            self._chunked = b"\r\ntransfer-encoding: chunked" in self.head
        if self._chunked:
            return b"".join(iter(self._chunk, b""))
        body, self._rest = self._rest, b""
        return body

    def _chunk(self) -> bytes:
        line, end, rest = self._rest.partition(b"\r\n")
        if not end:
            return b""
        size = int(line, 16)
        if len(rest) < size + 2:
            return b""
        self._rest = rest[size + 2 :]
        return rest[:size]


def get(target: str, bearer: str) -> bytes:
    """Write a request for a stream."""
    lines = [f"GET {target} HTTP/1.1", f"Host: {HOST}", f"Authorization: Bearer {bearer}", "", ""]
    return "\r\n".join(lines).encode()


def handshake(bearer: str, query: str = "") -> bytes:
    """Write a WebSocket handshake."""
    lines = [
        f"GET {API}{query} HTTP/1.1",
        f"Host: {HOST}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        f"Sec-WebSocket-Protocol: {bearer}",
        *("", ""),
    ]
    return "\r\n".join(lines).encode()
