"""
From a message on a channel to the readers who hear it.

What is published on a channel leaves in that order. A status on a filtered channel waits for what
PostgreSQL knows of the people in it, and whatever comes behind it on the same channel waits too;
other channels do not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from flodgatt_tx.edge.delivery import Delivery
from flodgatt_tx.edge.judging import Judge, Parcel
from flodgatt_tx.edge.metrics import (
    BROKEN,
    MALFORMED,
    REVOKED,
    UNJUDGED,
    UNREADABLE,
    Metrics,
)
from flodgatt_tx.edge.readers import Reader, Subscription
from flodgatt_tx.envelope import (
    FILTERS_CHANGED,
    KILL,
    BadEnvelopeError,
    Event,
    parse_event,
    parse_system_event,
)
from flodgatt_tx.errors import RefusalError
from flodgatt_tx.events import SYSTEM, channel_label, event_label
from flodgatt_tx.filtering import read_status
from flodgatt_tx.streams import NOTIFICATION, is_filtered
from flodgatt_tx.subscriptions import Subscriptions


class _Waiting:
    """An event in its channel's queue; *parcels* are there once it is known who gets it."""

    __slots__ = ("heard", "parcels")

    def __init__(self, heard: float, parcels: list[Parcel] | None = None) -> None:
        self.heard = heard
        self.parcels = parcels


class Broadcast:
    """
    Passes on what Redis says; who listens is in *streams* and *systems*.

    *filters_changed* is told of accounts whose filters have.
    """

    _log = Logger()

    def __init__(
        self,
        judge: Judge,
        clock: IReactorTime,
        metrics: Metrics,
        filters_changed: Callable[[int], object],
    ) -> None:
        self.streams: Subscriptions[Subscription] = Subscriptions()
        self.systems: Subscriptions[Reader] = Subscriptions()
        self.delivery = Delivery(clock, metrics, self._broken)
        self._judge = judge
        self._clock = clock
        self._metrics = metrics
        self._events = metrics.events.counts
        self._filters_changed = filters_changed
        self._queues: dict[str, deque[_Waiting]] = {}
        self._received = 0
        self._heard = 0.0
        self._hearing: dict[tuple[str, bool], list[Subscription]] = {}

    @property
    def judging(self) -> int:
        """How many events wait until it is known who may see them, or behind such a one."""
        return sum(map(len, self._queues.values()))

    def published(self, channel: str, message: bytes) -> None:
        """Take one message that Redis sent; it leaves with the others when all have been read."""
        if not self._received:
            self._heard = self._clock.seconds()
        self._received += 1
        try:
            if self.streams.hearing(channel):
                event = parse_event(message)
                self._events[channel_label(channel), event_label(event.name)] += 1
                self._pass_on(channel, event)
            elif readers := self.systems.hearing(channel):
                command = parse_system_event(message)
                self._events[SYSTEM, event_label(command)] += 1
                self._obey(command, list(readers))
        except BadEnvelopeError as error:
            self._drop(MALFORMED)
            self._log.warn("{channel}: {error}", channel=channel, error=str(error))

    def all_read(self) -> None:
        """Send what was published: Redis has said all that it had to say for now."""
        self._metrics.messages_received.inc(self._received)
        self._received = 0
        self._hearing.clear()
        self.delivery.flush()

    def _obey(self, command: str, readers: Sequence[Reader]) -> None:
        if command == KILL:
            for reader in readers:
                self._kill(reader, REVOKED)
        elif command == FILTERS_CHANGED:
            self._filters_changed(readers[0].viewer.account_id)

    def _pass_on(self, channel: str, event: Event) -> None:
        recipients = self._recipients(channel, event)
        if not recipients:
            return
        if event.is_status and is_filtered(channel):
            self._have_judged(channel, event, recipients)
        elif queue := self._queues.get(channel):
            queue.append(_Waiting(self._heard, [(event, recipients)]))
        else:
            self.delivery.put(event, recipients, self._heard)

    def _recipients(self, channel: str, event: Event) -> list[Subscription]:
        """Find who gets an event; the same list for all such events that are read together."""
        key = (channel, event.name == NOTIFICATION)
        recipients = self._hearing.get(key)
        if recipients is None:
            recipients = self._hearing[key] = [
                each
                for each in self.streams.hearing(channel)
                if each.reader.ready and (each.takes_all or each.stream.takes(event.name, channel))
            ]
        return recipients

    def _have_judged(self, channel: str, event: Event, recipients: list[Subscription]) -> None:
        status = read_status(event.value)
        if status is None:
            # Nobody can tell who must not see it.
            self._drop(UNREADABLE)
            return
        suited = self._judge.suited(status, recipients)
        if suited:
            waiting = _Waiting(self._heard)
            self._queues.setdefault(channel, deque()).append(waiting)
            judging = Deferred.fromCoroutine(self._judge.parcels(event, status, suited))
            judging.addErrback(self._leave_out).addCallback(self._settle, channel, waiting)
            judging.addErrback(lambda failure: self._log.failure("delivering", failure))

    def _leave_out(self, failure: Failure) -> list[Parcel]:
        """What cannot be judged reaches nobody."""
        if not failure.check(RefusalError):
            self._log.failure("a status could not be judged", failure)
        self._drop(UNJUDGED)
        return []

    def _settle(self, parcels: list[Parcel], channel: str, waiting: _Waiting) -> None:
        waiting.parcels = parcels
        queue = self._queues[channel]
        while queue and queue[0].parcels is not None:
            first = queue.popleft()
            for event, recipients in first.parcels or ():
                self.delivery.put(event, recipients, first.heard)
        if not queue:
            del self._queues[channel]
        # Others may have shared the question, and are told next.
        self.delivery.flush_soon()

    def _broken(self, reader: Reader) -> None:
        self._kill(reader, BROKEN)

    def _kill(self, reader: Reader, cause: str) -> None:
        """End a connection; whatever happens to it, the others are next."""
        if reader.ready:
            self._metrics.readers_dropped.counts[reader.transport, cause] += 1
        reader.ready = False
        try:
            reader.connection.kill()
        except Exception:
            self._log.failure("a connection could not be ended")

    def _drop(self, reason: str) -> None:
        self._metrics.dropped.counts[(reason,)] += 1
