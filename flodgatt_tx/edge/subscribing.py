"""
How a reader comes by its streams, and loses them.
"""

from __future__ import annotations

from flodgatt_tx.edge.accounts import Accounts
from flodgatt_tx.edge.admission import Admission
from flodgatt_tx.edge.batching import Batch
from flodgatt_tx.edge.broadcast import Broadcast
from flodgatt_tx.edge.mastodon import Mastodon
from flodgatt_tx.edge.metrics import Metrics
from flodgatt_tx.edge.presence import Presence
from flodgatt_tx.edge.pubsub import PubSub
from flodgatt_tx.edge.readers import Reader, Subscription
from flodgatt_tx.edge.rechecks import Rechecks
from flodgatt_tx.errors import FOREIGN_LIST, UnauthorizedError
from flodgatt_tx.events import SYSTEM
from flodgatt_tx.streams import Parameters, check_scopes, open_stream, presence_keys


class Subscriber:
    """Subscribes readers to streams, and Redis to their channels."""

    def __init__(
        self,
        mastodon: Mastodon,
        accounts: Accounts,
        rechecks: Rechecks,
        pubsub: PubSub,
        presence: Presence,
        broadcast: Broadcast,
        metrics: Metrics,
        admission: Admission,
    ) -> None:
        self._list_owners: Batch[int, int] = Batch(mastodon.list_owners)
        self._accounts = accounts
        self._rechecks = rechecks
        self._pubsub = pubsub
        self._presence = presence
        self._broadcast = broadcast
        self._metrics = metrics
        self._admission = admission

    def enter(self, reader: Reader) -> None:
        """Let a reader be told of its token's and its account's end."""
        reader.entered = True
        channels = reader.viewer.system_channels
        self._pubsub.open(self._broadcast.systems.add(reader, channels))
        # What was announced after the login and before this is seen by asking again.
        opened = self._pubsub.when_open(channels)
        opened.addCallback(lambda _: self._rechecks.recheck(reader))
        self._rechecks.add(reader)
        self._metrics.clients.labels(reader.transport).inc()
        self._metrics.channels.labels(reader.transport, SYSTEM).inc(len(channels))

    def leave(self, reader: Reader) -> None:
        """Forget a reader and all that it listened to; once is enough."""
        if not reader.entered:
            return
        reader.ready = reader.entered = False
        self._rechecks.discard(reader)
        for subscription in list(reader.subscriptions.values()):
            self._drop(subscription)
        channels = reader.viewer.system_channels
        self._pubsub.close(self._broadcast.systems.remove(reader, channels))
        self._metrics.clients.labels(reader.transport).dec()
        self._metrics.channels.labels(reader.transport, SYSTEM).dec(len(channels))

    async def subscribe(self, reader: Reader, kind: str, parameters: Parameters) -> None:
        """
        Let a reader hear a stream; it is no mistake to ask for one twice.

        Returns once nothing can be missed: Redis has confirmed the channels, those that tell of
        the token's end too, and Rails can see that somebody listens.

        :raises RefusalError: as the stream, the list or the state of the database has it.
        """
        check_scopes(kind, reader.viewer)
        stream = open_stream(kind, parameters, reader.viewer)
        if stream.name in reader.subscriptions:
            return
        self._admission.may_subscribe(len(reader.subscriptions))
        subscription = Subscription(reader, stream)
        reader.subscriptions[stream.name] = subscription
        try:
            await self._prepare(subscription)
            if reader.subscriptions.get(stream.name) is subscription:
                await self._listen(subscription)
            else:
                self._drop(subscription)  # unsubscribed, or gone, while the database was asked
        except BaseException:
            self._drop(subscription)
            raise

    def unsubscribe(self, reader: Reader, kind: str, parameters: Parameters) -> None:
        """
        Let a reader hear a stream no more, under the name it was asked by or another spelling.

        :raises RefusalError: if there is no such stream.
        """
        stream = open_stream(kind, parameters, reader.viewer)
        alike = (
            each
            for each in reader.subscriptions.values()
            if each.stream.channels == stream.channels
        )
        subscription = reader.subscriptions.get(stream.name) or next(alike, None)
        if subscription:
            self._drop(subscription)

    async def _prepare(self, subscription: Subscription) -> None:
        """Ask the database what has to be known before the first event."""
        stream, viewer = subscription.stream, subscription.reader.viewer
        if stream.list_id is not None:
            owner = await self._list_owners.ask(stream.list_id)
            if owner != viewer.account_id:
                raise UnauthorizedError(FOREIGN_LIST)
        if stream.filtered:
            subscription.account = await self._accounts.hold(viewer.account_id)

    async def _listen(self, subscription: Subscription) -> None:
        stream, reader = subscription.stream, subscription.reader
        subscription.listening = True
        self._pubsub.open(self._broadcast.streams.add(subscription, stream.channels))
        self._metrics.channels.labels(reader.transport, stream.kind).inc()
        channels = (*reader.viewer.system_channels, *stream.channels)
        written = self._presence.hold(presence_keys(stream))
        await self._pubsub.when_open(channels)
        await written

    def _drop(self, subscription: Subscription) -> None:
        stream, reader = subscription.stream, subscription.reader
        if reader.subscriptions.get(stream.name) is subscription:
            del reader.subscriptions[stream.name]
        if subscription.listening:
            subscription.listening = False
            self._pubsub.close(self._broadcast.streams.remove(subscription, stream.channels))
            self._presence.release(presence_keys(stream))
            self._metrics.channels.labels(reader.transport, stream.kind).dec()
        if subscription.account:
            self._accounts.release(subscription.account)
            subscription.account = None
