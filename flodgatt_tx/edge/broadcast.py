"""
From a message on a channel to the readers who hear it.

What is published on a channel leaves in that order. A status on a filtered channel waits for what
PostgreSQL knows of the people in it, and whatever comes behind it on the same channel waits too;
other channels do not.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence

from twisted.logger import Logger
from twisted.python.failure import Failure

from flodgatt_tx.edge.batching import Batch
from flodgatt_tx.edge.mastodon import Mastodon
from flodgatt_tx.edge.metrics import Metrics
from flodgatt_tx.edge.readers import Reader, Subscription, frame_for
from flodgatt_tx.envelope import KILL, BadEnvelopeError, Event, parse_event, parse_system_event
from flodgatt_tx.errors import RefusalError
from flodgatt_tx.filtering import Relations, Status, read_status, suits
from flodgatt_tx.framing import with_filtered
from flodgatt_tx.streams import is_filtered
from flodgatt_tx.subscriptions import Subscriptions

_NO_RESULTS = b"[]"


class _Waiting:
    """An event in its channel's queue, with those who were subscribed when it came."""

    __slots__ = ("event", "recipients", "settled")

    def __init__(self, event: Event, recipients: list[Subscription], settled: bool) -> None:
        self.event = event
        self.recipients = recipients
        self.settled = settled


class Broadcast:
    """Passes on what Redis says; who listens is in *streams* and *systems*."""

    _log = Logger()

    def __init__(self, mastodon: Mastodon, metrics: Metrics) -> None:
        self.streams: Subscriptions[Subscription] = Subscriptions()
        self.systems: Subscriptions[Reader] = Subscriptions()
        self._mastodon = mastodon
        self._metrics = metrics
        self._questions: Batch[Status, Relations] = Batch(self._ask)
        self._queues: dict[str, deque[_Waiting]] = {}

    def published(self, channel: str, message: bytes) -> None:
        """Take one message that Redis sent."""
        self._metrics.messages_received.inc()
        try:
            if readers := list(self.systems.hearing(channel)):
                self._obey(parse_system_event(message), readers)
            recipients = [each for each in self.streams.hearing(channel) if each.reader.ready]
            if recipients:
                self._pass_on(channel, parse_event(message), recipients)
        except BadEnvelopeError as error:
            self._drop("malformed")
            self._log.warn("{channel}: {error}", channel=channel, error=str(error))

    def _obey(self, command: str, readers: Iterable[Reader]) -> None:
        if command == KILL:
            for reader in readers:
                reader.ready = False
                reader.connection.kill()

    def _pass_on(self, channel: str, event: Event, recipients: list[Subscription]) -> None:
        if event.is_status and is_filtered(channel):
            self._judge(channel, event, recipients)
        elif queue := self._queues.get(channel):
            queue.append(_Waiting(event, recipients, settled=True))
        else:
            self._deliver(event, recipients)

    def _judge(self, channel: str, event: Event, recipients: list[Subscription]) -> None:
        status = read_status(event.value)
        if status is None:
            # Nobody can tell who must not see it.
            self._drop("unreadable")
            return
        suited = [each for each in recipients if suits(status, each.stream, each.reader.viewer)]
        if not suited:
            return
        if not status.judged:
            event = with_filtered(event, _NO_RESULTS)
        waiting = _Waiting(event, suited, settled=False)
        self._queues.setdefault(channel, deque()).append(waiting)
        self._questions.ask(status).addCallbacks(
            self._settle,
            self._leave_out,
            callbackArgs=(channel, waiting, status),
            errbackArgs=(channel, waiting),
        )

    async def _ask(self, statuses: Sequence[Status]) -> Mapping[Status, Relations]:
        authors = {status.author for status in statuses}
        people = authors.union(*(status.mentions for status in statuses))
        relations = await self._mastodon.relations(people, authors)
        return dict.fromkeys(statuses, relations)

    def _settle(
        self, relations: Relations | None, channel: str, waiting: _Waiting, status: Status
    ) -> None:
        hidden_from = (relations or Relations()).hidden_from(status)
        waiting.recipients = [
            each
            for each in waiting.recipients
            if each.reader.viewer.account_id not in hidden_from
            and (each.account is not None and status.domain not in each.account.blocked_domains)
        ]
        self._advance(channel, waiting)

    def _leave_out(self, failure: Failure, channel: str, waiting: _Waiting) -> None:
        """What cannot be judged reaches nobody."""
        if not failure.check(RefusalError):
            self._log.failure("a status could not be judged", failure)
        self._drop("unjudged")
        waiting.recipients = []
        self._advance(channel, waiting)

    def _advance(self, channel: str, waiting: _Waiting) -> None:
        waiting.settled = True
        queue = self._queues[channel]
        while queue and queue[0].settled:
            first = queue.popleft()
            self._deliver(first.event, first.recipients)
        if not queue:
            del self._queues[channel]

    def _deliver(self, event: Event, recipients: Iterable[Subscription]) -> None:
        frames: dict[bytes, bytes] = {}
        sent: Counter[str] = Counter()
        for each in recipients:
            reader = each.reader
            if reader.ready and each.listening:
                frame = frames.get(each.kind)
                if frame is None:
                    frame = frames[each.kind] = frame_for(each.kind, event)
                reader.connection.send(frame)
                sent[reader.transport] += 1
        for transport, count in sent.items():
            self._metrics.messages_sent.labels(transport).inc(count)

    def _drop(self, reason: str) -> None:
        self._metrics.dropped.labels(reason).inc()
