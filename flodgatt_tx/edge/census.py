"""
Counting who is here, and what waits for them.

Nothing is kept: all is counted when somebody asks, so that it costs nothing while nobody does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from heapq import nlargest
from typing import Any

from flodgatt_tx.edge.broadcast import Broadcast
from flodgatt_tx.edge.metrics import TRANSPORTS
from flodgatt_tx.edge.readers import Reader
from flodgatt_tx.status import CONNECTIONS, LONGEST, QUEUE, TIMELINES

MOST = 20


class Census:
    """Counts the *readers*, and what waits in the *broadcast*."""

    def __init__(self, readers: Iterable[Reader], broadcast: Broadcast) -> None:
        self._readers = readers
        self._broadcast = broadcast

    def count(self) -> dict[str, dict[str, int]]:
        """Count all, by kinds and never by accounts, in the shape of `flodgatt_tx.status`."""
        connections = Counter(dict.fromkeys(TRANSPORTS, 0))
        timelines: Counter[str] = Counter()
        queues = []
        for reader in self._readers:
            connections[reader.transport] += 1
            timelines.update(each.stream.kind for each in reader.subscriptions.values())
            if reader.outlet and reader.outlet.unsent:
                queues.append(reader.outlet.unsent)
        queue = {
            "clients": len(queues),
            LONGEST: max(queues, default=0),
            "unsent": sum(queues),
            "judging": self._broadcast.judging,
        }
        return {CONNECTIONS: dict(connections), TIMELINES: dict(timelines), QUEUE: queue}

    def timelines(self) -> list[dict[str, Any]]:
        """
        Count the readers of each channel: `{"channel": …, "readers": n}`.

        Channels name accounts, lists and tags, which are not everybody's business.
        """
        streams = self._broadcast.streams
        return [
            {"channel": channel, "readers": len(streams.hearing(channel))}
            for channel in streams.channels()
        ]

    def busiest(self) -> list[dict[str, Any]]:
        """Give those of the `timelines` with most readers."""
        return nlargest(MOST, self.timelines(), key=lambda each: each["readers"])
