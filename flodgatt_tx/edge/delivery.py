"""
From events and their recipients to one write for each reader.

Events that came together leave together: what was put before one flush is joined, in order. A
fan-out to very many readers is made in slices, between which the reactor is free; what is flushed
meanwhile waits behind it, and who feeds us pauses.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from flodgatt_tx.edge.metrics import TRANSPORTS, Metrics
from flodgatt_tx.edge.readers import Reader, Subscription, frame_for
from flodgatt_tx.envelope import Event

# So many writes take about 3 ms.
SLICE = 250

_Run = tuple[list[Event], Sequence[Subscription]]
_Writes = Iterator[tuple[Reader, bytes]]


class Producer(Protocol):
    """Where events come from, in Twisted's terms."""

    def pauseProducing(self) -> None:  # noqa: N802 # Twisted's
        """Send nothing more for now."""
        ...

    def resumeProducing(self) -> None:  # noqa: N802 # Twisted's
        """Go on."""
        ...


class Delivery:
    """
    Sends events to readers; *kill* is called for one that they cannot be sent to.

    A *producer*, if there is one, is paused while there is more than one slice to send.
    """

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, metrics: Metrics, kill: Callable[[Reader], object]
    ) -> None:
        self.producer: Producer | None = None
        self._clock = clock
        self._metrics = metrics
        self._kill = kill
        self._batch: list[_Run] = []
        self._unsent: deque[_Writes] = deque()
        self._flushing = False
        self._sent = dict.fromkeys(TRANSPORTS, 0)

    def put(self, event: Event, recipients: Sequence[Subscription]) -> None:
        """Send an event with the next flush; equal neighbours share one list of *recipients*."""
        if self._batch and self._batch[-1][1] is recipients:
            self._batch[-1][0].append(event)
        else:
            self._batch.append(([event], recipients))

    def flush_soon(self) -> None:
        """Flush when all that happens in this moment has happened."""
        if not self._flushing:
            self._flushing = True
            self._clock.callLater(0, self.flush)

    def flush(self) -> None:
        """Send what was put, behind what is still being sent."""
        self._flushing = False
        if self._batch:
            batch, self._batch = self._batch, []
            busy = bool(self._unsent)
            self._unsent.append(self._writes(*batch[0]) if len(batch) == 1 else self._merged(batch))
            if not busy:
                self._send()
                if self._unsent and self.producer:
                    self.producer.pauseProducing()

    def _writes(self, events: Sequence[Event], recipients: Sequence[Subscription]) -> _Writes:
        """Say what each recipient is to be written; only when its turn has come."""
        frames: dict[bytes, bytes] = {}
        for each in recipients:
            reader, kind = each.reader, each.kind
            if reader.ready and each.listening:
                if kind not in frames:
                    frames[kind] = b"".join([frame_for(kind, event) for event in events])
                self._sent[reader.transport] += len(events)
                yield reader, frames[kind]

    def _merged(self, batch: Sequence[_Run]) -> _Writes:
        """Say what each recipient of several runs is to be written at once."""
        writes: dict[Reader, list[bytes]] = defaultdict(list)
        for events, recipients in batch:
            for reader, frames in self._writes(events, recipients):
                writes[reader].append(frames)
        for reader, joined in writes.items():
            yield reader, b"".join(joined)

    def _send(self) -> None:
        """Send a slice."""
        room = SLICE
        while self._unsent and room:
            try:
                for reader, frames in islice(self._unsent[0], room):
                    room -= 1
                    self._send_to(reader, frames)
            except Exception:
                self._log.failure("events could not be put together")
                room = max(room, 1)  # there is no more of them
            if room:
                self._unsent.popleft()
        self._count()
        if self._unsent:
            self._clock.callLater(0, self._go_on)

    def _send_to(self, reader: Reader, frames: bytes) -> None:
        if reader.ready and reader.outlet:
            try:
                reader.outlet.send(frames)
            except Exception:
                self._log.failure("an event could not be sent")
                self._kill(reader)

    def _count(self) -> None:
        for transport, count in self._sent.items():
            self._metrics.messages_sent.labels(transport).inc(count)
        self._sent = dict.fromkeys(TRANSPORTS, 0)

    def _go_on(self) -> None:
        self._send()
        if not self._unsent and self.producer:
            self.producer.resumeProducing()
