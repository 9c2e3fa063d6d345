"""
Events as the bytes that clients read.

Over SSE (https://html.spec.whatwg.org/multipage/server-sent-events.html):

    event: update
    data: {"id": …}

Over WebSocket, one unmasked text frame (RFC 6455, section 5.2) holding

    {"stream": ["hashtag", "cats"], "event": "update", "payload": "{\\"id\\": …}"}

where a payload that is an object is a string of JSON, and `filters_changed` has none.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from functools import lru_cache

import orjson

from flodgatt_tx.envelope import Event

SSE_HELLO = b":)\n"
SSE_HEARTBEAT = b":thump\n\n"
PING = b"\x89\x00"
# How Server-Sent Events are framed: for HTTP/1.1 in chunks, whose end tells a stream that was ended
# from one that broke, and for HTTP/1.0 as they are.
CHUNKED = b"chunked"
PLAIN = b"plain"
LAST_CHUNK = b"0\r\n\r\n"

_TEXT = 0x81  # FIN and the opcode of a text frame
_LINE_BREAK = re.compile(rb"\r\n|\r|\n")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def frame_sse(event: Event) -> bytes:
    """Write an event for an EventSource; a payload with line breaks takes several lines."""
    data = b"null" if event.payload is None else event.payload
    if data.startswith(b'"'):
        data = _utf8(str(event.value))
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(_LINE_BREAK.split(data))
    return b"event: %b\ndata: %b\n\n" % (_utf8(event.name), data)


def frame_chunk(data: bytes) -> bytes:
    """Put bytes into a chunk of an HTTP/1.1 body (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def frame_websocket(event: Event, stream: bytes) -> bytes:
    """Write an event for a WebSocket; *stream* is the stream's name as `encode_stream` has it."""
    name = _json_string(event.name)
    if event.payload is None:
        return frame_text(b'{"stream":%b,"event":%b}' % (stream, name))
    payload = event.payload
    if event.is_structured:
        payload = orjson.dumps(payload.decode())
    return frame_text(b'{"stream":%b,"event":%b,"payload":%b}' % (stream, name, payload))


def frame_error(message: str, status: int | None) -> bytes:
    """Write the error that answers a client's message."""
    body: dict[str, object] = {"error": message}
    if status is not None:
        body["status"] = status
    return frame_text(orjson.dumps(body))


def frame_text(payload: bytes) -> bytes:
    """Put a text into one WebSocket frame, as a server sends it."""
    size = len(payload)
    if size < 126:
        return bytes((_TEXT, size)) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", _TEXT, 126, size) + payload
    return struct.pack("!BBQ", _TEXT, 127, size) + payload


@lru_cache(maxsize=4096)
def encode_stream(name: Sequence[str | int]) -> bytes:
    """Write a stream's name for the frames of its events."""
    words = [_utf8(word).decode() if isinstance(word, str) else word for word in name]
    # As a copy, for what orjson returns holds all the memory that it might have needed.
    return b"%b" % orjson.dumps(words)


def with_filtered(event: Event, results: bytes) -> Event:
    """Add `"filtered": RESULTS` to a status; its other bytes stay as they came."""
    status = (event.payload or b"")[:-1].rstrip()
    comma = b"" if status == b"{" else b","
    return Event(event.name, b'%b%b"filtered":%b}' % (status, comma, results))


@lru_cache(maxsize=256)
def _json_string(text: str) -> bytes:
    return orjson.dumps(_utf8(text).decode())


def _utf8(text: str) -> bytes:
    """Encode text; half a surrogate pair, which JSON can write and UTF-8 cannot, is U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub("\ufffd", text).encode()
