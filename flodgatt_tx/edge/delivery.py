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
from math import inf
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from flodgatt_tx.edge.metrics import Metrics
from flodgatt_tx.edge.readers import Reader, Subscription, frame_for, transport_of
from flodgatt_tx.envelope import Event

# So many writes take about 3 ms.
SLICE = 250

_Run = tuple[list[Event], Sequence[Subscription]]
# A reader, what it is written, and how many events these are.
_Writes = Iterator[tuple[Reader, bytes, int]]


class _FanOut:
    """
    Writes that were flushed together.

    The oldest of their events was *heard* then, and they were flushed when it *began*.
    """

    __slots__ = ("began", "heard", "writes")

    def __init__(self, writes: _Writes, heard: float, began: float) -> None:
        self.writes = writes
        self.heard = heard
        self.began = began


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
        self._messages = metrics.sent.counts
        self._bytes = metrics.sent_bytes.counts
        self._kill = kill
        self._batch: list[_Run] = []
        self._heard = inf
        self._unsent: deque[_FanOut] = deque()
        self._flushing = False

    @property
    def unsent(self) -> int:
        """How many fan-outs are not at their end."""
        return len(self._unsent)

    def put(self, event: Event, recipients: Sequence[Subscription], heard: float) -> None:
        """
        Send an event with the next flush; equal neighbours share one list of *recipients*.

        It was *heard* then, in seconds of the clock.
        """
        if heard < self._heard:
            self._heard = heard
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
            heard, self._heard = self._heard, inf
            busy = bool(self._unsent)
            writes = self._writes(*batch[0]) if len(batch) == 1 else self._merged(batch)
            self._unsent.append(_FanOut(writes, heard, self._clock.seconds()))
            if not busy:
                self._send()
                if self._unsent and self.producer:
                    self.producer.pauseProducing()

    def _writes(self, events: Sequence[Event], recipients: Sequence[Subscription]) -> _Writes:
        """Say what each recipient is to be written; only when its turn has come."""
        frames: dict[bytes, bytes] = {}
        taken: dict[bytes, int] = {}
        number = len(events)
        try:
            for each in recipients:
                reader, kind = each.reader, each.kind
                if reader.ready and each.listening:
                    if kind not in frames:
                        frames[kind] = b"".join([frame_for(kind, event) for event in events])
                        taken[kind] = 0
                    taken[kind] += 1
                    yield reader, frames[kind], number
        finally:
            self._count(frames, taken, number)

    def _merged(self, batch: Sequence[_Run]) -> _Writes:
        """Say what each recipient of several runs is to be written at once."""
        writes: dict[Reader, list[bytes]] = defaultdict(list)
        numbers: dict[Reader, int] = defaultdict(int)
        for events, recipients in batch:
            for reader, frames, number in self._writes(events, recipients):
                writes[reader].append(frames)
                numbers[reader] += number
        for reader, joined in writes.items():
            yield reader, b"".join(joined), numbers[reader]

    def _send(self) -> None:
        """Send a slice."""
        room = SLICE
        while self._unsent and room:
            fanout, before = self._unsent[0], room
            try:
                for reader, frames, number in islice(fanout.writes, room):
                    room -= 1
                    self._send_to(reader, frames, number)
            except Exception:
                self._log.failure("events could not be put together")
                room = max(room, 1)  # there is no more of them
            now = self._clock.seconds()
            self._metrics.latency.observe(now - fanout.heard, before - room)
            if room:
                self._unsent.popleft()
                self._metrics.fanout.observe(now - fanout.began)
        if self._unsent:
            self._clock.callLater(0, self._go_on)

    def _send_to(self, reader: Reader, frames: bytes, number: int) -> None:
        if reader.ready and reader.outlet:
            reader.events += number
            reader.bytes += len(frames)
            try:
                reader.outlet.send(frames)
            except Exception:
                self._log.failure("an event could not be sent")
                self._kill(reader)

    def _count(self, frames: dict[bytes, bytes], taken: dict[bytes, int], events: int) -> None:
        """Count what was *taken* of each kind of frames, each of which holds so many events."""
        for kind, count in taken.items():
            labels = (transport_of(kind),)
            self._messages[labels] += count * events
            self._bytes[labels] += count * len(frames[kind])

    def _go_on(self) -> None:
        self._send()
        if not self._unsent and self.producer:
            self.producer.resumeProducing()
