"""
WebSockets as bytes: what clients send, right or wrong, and what a server may send.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from websockets.frames import Opcode

TEXT, BINARY, CONT = Opcode.TEXT, Opcode.BINARY, Opcode.CONT
PING, PONG, CLOSE = Opcode.PING, Opcode.PONG, Opcode.CLOSE

# The key and its answer are those of section 1.3.
TARGET = "/api/v1/streaming?access_token=ann&stream=direct"
HEADERS = {
    "Host": "localhost",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def head(
    *more: str, without: str = "", line: str = f"GET {TARGET} HTTP/1.1", **changed: str
) -> bytes:
    """Write a handshake that is right but for what is asked for."""
    changes = {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [
        f"{name}: {value}" for name, value in {**HEADERS, **changes}.items() if name != without
    ]
    return "\r\n".join([line, *lines, *more, "", ""]).encode("latin-1")


def frame(
    opcode: int,
    data: bytes = b"",
    fin: bool = True,
    reserved: int = 0,
    mask: bytes | None = b"\x37\xfa\x21\x3d",
    form: int = 0,
    size: int | None = None,
) -> bytes:
    """
    Write a frame, also a wrong one.

    *form* is 126 or 127 for a length that takes more bytes than it needs; *size* says another
    length than that of *data*.
    """
    size = len(data) if size is None else size
    form = max(form, size if size < 126 else 126 if size < 1 << 16 else 127)
    length = {126: struct.pack("!H", size & 0xFFFF), 127: struct.pack("!Q", size)}.get(form, b"")
    first = fin << 7 | reserved << 4 | opcode
    masked = data if mask is None else bytes(b ^ mask[at % 4] for at, b in enumerate(data))
    return bytes([first, (mask is not None) << 7 | form]) + length + (mask or b"") + masked


def closing(code: int, reason: bytes = b"") -> bytes:
    """Write a close frame."""
    return frame(CLOSE, struct.pack("!H", code) + reason)


class Frame(NamedTuple):
    """A frame as a server may send it."""

    opcode: int
    data: bytes


def read_frames(data: bytes) -> Iterator[Frame]:
    """Take frames apart, and be strict about what a server may send."""
    while data:
        assert len(data) >= 2, "half a header"
        first, form = data[0], data[1]
        assert first & 0x80 and not first & 0x70, "a fragment, or reserved bits"
        assert not form & 0x80, "a server does not mask"
        start = {126: 4, 127: 10}.get(form, 2)
        size = form if form < 126 else int.from_bytes(data[2:start], "big")
        assert len(data) >= start + size, "half a frame"
        assert (size < 126) == (start == 2), "a length in the wrong form"
        assert (size < 1 << 16) == (start < 10), "a length in the wrong form"
        yield Frame(first & 15, data[start : start + size])
        data = data[start + size :]
