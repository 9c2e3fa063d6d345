"""
Clients that come for a moment: in any number, by either door, leaving as they please.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
from collections.abc import Iterator

from chaos.population import TAGS, token
from chaos.readers import API, HOST, get, handshake

GOODBYE = b"\x88\x82\0\0\0\0\x03\xe8"  # a close frame with code 1000, masked with zeroes
_RESET = struct.pack("ii", 1, 0)
_PATHS = ("user", "public", "public/local", f"hashtag?tag={TAGS[0]}", "direct")
_QUERIES = ("?stream=user", "?stream=public", "", f"?stream=hashtag&tag={TAGS[1]}")


class Guest:
    """A connection; *websocket* is its door."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, websocket: bool):
        self.reader = reader
        self.writer = writer
        self.websocket = websocket

    def leave(self, how: str) -> None:
        """Leave: `politely`, by a `reset`, or by hanging up, unless one was sent away before."""
        if self.writer.is_closing():
            return
        if how == "politely" and self.websocket:
            self.writer.write(GOODBYE)
        if how == "reset":
            sock: socket.socket = self.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.writer.transport.abort()
        else:
            self.writer.close()

    async def status(self) -> int:
        """
        Wait for the answer; one who is let in over SSE has been greeted then.

        :raises ConnectionError: if there is none.
        """
        head = await self.reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        if status == 200:
            await self.reader.readuntil(b":)\n")
        return status


async def come(port: int, request: bytes, websocket: bool) -> Guest:
    """Connect, and make a request."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(request)
    return Guest(reader, writer, websocket)


def requests(people: int) -> Iterator[tuple[bytes, bool]]:
    """Write one request after another, by different people, by both doors in turn."""
    for number in itertools.count():
        who = token(number % people)
        if number % 2:
            yield get(f"{API}/{_PATHS[number // 2 % len(_PATHS)]}", who), False
        else:
            yield handshake(who, _QUERIES[number // 2 % len(_QUERIES)]), True


def ways() -> Iterator[str]:
    """Say in what ways one after another leaves."""
    return itertools.cycle(("politely", "politely", "reset", "reset", "hanging up"))
