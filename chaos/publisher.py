"""
Rails' half: events with numbers, over one connection to Redis.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Iterable, Iterator

import hiredis
import orjson

from chaos.bus import Address, encode
from chaos.ledger import Event, Ledger
from chaos.population import FIRST_ACCOUNT
from flodgatt_tx.streams import is_filtered

TURN = 0.05  # seconds
PRIVATE = 4  # events of single people in each turn, beside one that many hear
MOST_UNANSWERED = 50  # as of so many threads of Sidekiq, which wait for Redis
_TEXT = "<p>" + "Lorem ipsum dolor sit amet, consetetur sadipscing elitr. " * 10 + "</p>"
_AUTHOR = {"id": str(FIRST_ACCOUNT), "username": "reader0", "acct": "reader0"}


class Publisher:
    """Publishes on *channels* in turns, for as long as it runs; *address* says where."""

    def __init__(self, ledger: Ledger, channels: Iterable[str], address: Address) -> None:
        names = dict.fromkeys(channels)
        common = list(filter(is_filtered, names))
        private = list(itertools.filterfalse(is_filtered, names))
        self._common = itertools.cycle(common)
        self._private = itertools.cycle(private)
        self._ledger = ledger
        self._address = address
        self._unanswered: deque[Event] = deque()

    async def run(self) -> None:
        """Publish, and come back to a Redis that was away."""
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", await self._address())
            except OSError:
                await asyncio.sleep(0.02)
                continue
            listening = asyncio.create_task(self._listen(reader))
            try:
                await self._talk(writer, listening)
            finally:
                listening.cancel()
                writer.close()
                self._unanswered.clear()

    async def _talk(self, writer: asyncio.StreamWriter, listening: asyncio.Task[None]) -> None:
        while not listening.done():
            for channel in self._turn():
                if len(self._unanswered) < MOST_UNANSWERED:
                    event = self._ledger.publish(channel, time.monotonic())
                    self._unanswered.append(event)
                    writer.write(encode("PUBLISH", channel, message(event)))
            await asyncio.wait([listening], timeout=TURN)

    def _turn(self) -> Iterator[str]:
        yield next(self._common)
        yield from itertools.islice(self._private, PRIVATE)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        replies = hiredis.Reader()
        try:
            while received := await reader.read(65536):
                replies.feed(received)
                while (reply := replies.gets()) is not False:
                    event = self._unanswered.popleft()
                    if isinstance(reply, int):
                        event.answered = time.monotonic()
        except OSError:
            return


def message(event: Event) -> bytes:
    """Write an event as Rails does."""
    kind = "notification" if event.channel.endswith(":notifications") else "update"
    payload = {
        "id": str(event.number + 1),
        "chaos": [event.channel, event.number],
        "content": _TEXT,
        "spoiler_text": "",
        "language": "en",
        "visibility": "public",
        "account": _AUTHOR,
        "mentions": [],
        "tags": [],
        "media_attachments": [],
        "reblog": None,
    }
    return orjson.dumps({"event": kind, "payload": payload})
