"""
Redis, as whoever breaks it sees it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import hiredis

HOST = "127.0.0.1"
Address = Callable[[], Awaitable[int]]  # finds the port where Redis is now


def encode(*words: object) -> bytes:
    """Write a command as Redis reads it."""
    encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    command = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)
    return b"*%d\r\n%b" % (len(encoded), command)


class Bus:
    """A connection that sends one command at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._replies = hiredis.Reader(encoding="utf-8", errors="replace")

    @classmethod
    async def connect(cls, port: int) -> Bus:
        """
        Connect.

        :raises OSError: if nobody listens.
        """
        return cls(*await asyncio.open_connection(HOST, port))

    async def __call__(self, *words: object) -> Any:
        """
        Send a command, and return the reply.

        :raises OSError: if the connection ends.
        :raises hiredis.ReplyError: if Redis refuses.
        """
        self._writer.write(encode(*words))
        while (reply := self._replies.gets()) is False:
            received = await self._reader.read(65536)
            if not received:
                raise ConnectionError("Redis has closed the connection")
            self._replies.feed(received)
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def back(address: Address) -> tuple[Bus, float]:
    """Connect to a Redis that comes back, as soon as it does what it is asked; say when."""
    while True:
        try:
            bus = await Bus.connect(await address())
        except OSError:
            await asyncio.sleep(0.01)
            continue
        try:
            await bus("EXISTS", "anything")  # which a Redis that loads its data refuses
            if (await bus("ROLE"))[0] == "master":
                return bus, time.monotonic()
        except (OSError, hiredis.ReplyError):
            await asyncio.sleep(0.01)
        bus.close()


async def subscribed(bus: Bus, channels: list[str]) -> None:
    """Wait until one connection alone is subscribed, and *channels* all are."""
    seen = 0
    while seen < 2:  # what has died may still be counted when Redis has just woken up
        listed = (await bus("CLIENT", "LIST", "TYPE", "pubsub")).splitlines()
        listed = [line for line in listed if " name=sentinel-" not in line]
        counts = (await bus("PUBSUB", "NUMSUB", *channels))[1::2]
        seen = seen + 1 if len(listed) == 1 and all(counts) else 0
        await asyncio.sleep(0.01)


async def has_keys(bus: Bus, keys: list[str]) -> None:
    """Wait until all *keys* exist."""
    while await bus("EXISTS", *keys) < len(keys):
        await asyncio.sleep(0.01)
