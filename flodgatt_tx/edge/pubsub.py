"""
One connection to Redis that hears everything anybody here listens to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from txredisapi import SubscriberProtocol
from typing_extensions import override

from flodgatt_tx.channels import Channels
from flodgatt_tx.edge.awaiting import Awaiting
from flodgatt_tx.edge.gaps import Gaps
from flodgatt_tx.edge.redis import Command, WatchedProtocol, keep_connected, pack

_MOST_CHANNELS = 1000  # in one go, so that neither Redis nor the reactor is held up


class Hearer(Protocol):
    """What is told of messages."""

    def published(self, channel: str, message: bytes) -> None:
        """Take one message."""
        ...

    def all_read(self) -> None:
        """Take note that there are no more for now."""
        ...


class PubSub:
    """
    The channels that are subscribed; it outlives the connection to Redis.

    *hearer* is given every message, with the channel as it was asked for: *prefix*, which
    REDIS_NAMESPACE asks for, is put before the names that Redis sees. After a gap *reconnected*
    is called, when everything that was subscribed is so again. *gaps* measures them, and *connects*
    counts connections.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        hearer: Hearer,
        reconnected: Callable[[], object] = lambda: None,
        gaps: Gaps | None = None,
    ) -> None:
        self.prefix = ""
        self._reactor = reactor
        self._hearer = hearer
        self._reconnected = reconnected
        self.connects = 0
        self._gaps = gaps
        self._channels = Channels()
        self._awaiting = Awaiting()
        self._protocol: TimelineProtocol | None = None
        self._flushing = False

    def __len__(self) -> int:
        return len(self._channels)

    def open(self, channels: Iterable[str]) -> None:
        """Subscribe to *channels*, together with whatever else is asked for in this moment."""
        self._channels.want(channels)
        self._flush_soon()

    def close(self, channels: Iterable[str]) -> None:
        """Subscribe to *channels* no more."""
        channels = list(channels)
        self._channels.drop(channels)
        for channel in channels:
            self._awaiting.tell(channel)
        self._flush_soon()

    def when_open(self, channels: Iterable[str]) -> Deferred[None]:
        """
        Fire once nothing that is published on *channels* can be missed any more.

        A channel that is closed meanwhile is waited for no longer.
        """
        closed = [each for each in channels if not self._channels.is_confirmed(each)]
        return self._awaiting.wait(closed)

    def redis_ready(self, protocol: TimelineProtocol) -> None:
        """Subscribe to everything over a new connection."""
        self._protocol = protocol
        self._flush()
        if self.connects:
            self.when_open(self._channels).addCallback(lambda _: self._reconnected())
        self.connects += 1
        self.when_open(self._channels).addCallback(lambda _: self._all_open(protocol))

    def redis_lost(self, good_until: float) -> None:
        """Wait for the next connection; up to *good_until* this one was known to be good."""
        self._protocol = None
        self._channels.forget()
        if self._gaps:
            self._gaps.lost(good_until)

    def _all_open(self, protocol: TimelineProtocol) -> None:
        # It may have been lost again before it had come to that.
        if self._gaps and protocol is self._protocol:
            self._gaps.complete()

    def confirmed(self, channel: bytes) -> None:
        """Take note that Redis has subscribed us."""
        name = self._name(channel)
        if self._channels.answered(name):
            self._awaiting.tell(name)

    def published(self, channel: bytes, message: bytes) -> None:
        """Pass a message on; whatever happens to it, the next one shall come through."""
        try:
            self._hearer.published(self._name(channel), message)
        except Exception:
            self._log.failure("a message could not be delivered")

    def all_read(self) -> None:
        """Let what was published leave."""
        try:
            self._hearer.all_read()
        except Exception:
            self._log.failure("messages could not be delivered")

    def pauseProducing(self) -> None:  # noqa: N802 # Twisted's
        """Read no more from Redis for now."""
        if self._protocol:
            self._protocol.pause()

    def resumeProducing(self) -> None:  # noqa: N802 # Twisted's
        """Read on."""
        if self._protocol:
            self._protocol.resume()

    def _name(self, channel: bytes) -> str:
        return channel.decode("utf-8", "replace").removeprefix(self.prefix)

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._reactor.callLater(0, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._protocol:
            subscribe, unsubscribe = self._channels.take_changes(_MOST_CHANNELS)
            self._protocol.send("SUBSCRIBE", [self.prefix + name for name in subscribe])
            self._protocol.send("UNSUBSCRIBE", [self.prefix + name for name in unsubscribe])
            if self._channels.changing:
                self._flush_soon()


class TimelineProtocol(WatchedProtocol, SubscriberProtocol):
    """
    Redis' side of a `PubSub`.

    Redis answers SUBSCRIBE channel by channel, which txredisapi's own Deferreds do not follow:
    replies are read here, by what they say.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, commands: Sequence[Command], pubsub: PubSub) -> None:
        super().__init__(clock)
        self._greeting = commands
        self._unanswered = len(commands)
        self._pubsub = pubsub

    @override
    def connectionMade(self) -> None:
        super().connectionMade()
        self.transport.write(pack(self._greeting))
        if not self._unanswered:
            self._pubsub.redis_ready(self)

    @override
    def connectionLost(self, why: Failure) -> None:
        super().connectionLost(why)
        # What Redis had sent before it closed has been read. Else the peer, or the way to it, may
        # have been gone long before that showed.
        closed = why.check(ConnectionDone)
        self._pubsub.redis_lost(self._clock.seconds() if closed else self.last_sign)

    def send(self, command: str, channels: Sequence[str]) -> None:
        """Send a command about *channels*, if there are any."""
        if channels:
            self.transport.write(pack([(command, *channels)]))

    @override
    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        try:
            super().dataReceived(data, unpause)
        finally:
            self._pubsub.all_read()

    @override
    def tryConvertData(self, data: Any) -> Any:
        return data  # it is wanted as it comes, and there is much of it

    @override
    def handleTransactionData(self, response: Any) -> Any:
        return response  # a subscriber has no transactions

    @override
    def replyReceived(self, reply: Any) -> None:
        if isinstance(reply, list) and len(reply) == 3 and self._hear(*reply):
            return
        if isinstance(reply, Exception):
            # Without what was refused we would be deaf and not know it: begin anew.
            self._log.error("Redis refused us: {reason}", reason=str(reply))
            self.transport.loseConnection()
        elif self._unanswered:
            self._unanswered -= 1
            if not self._unanswered:
                self._pubsub.redis_ready(self)

    def _hear(self, kind: object, channel: object, content: object) -> bool:
        """Take what is said of a channel; return whether that was it."""
        # Not by `match`: this is done for every message, and it would take three times as long.
        if not isinstance(channel, bytes):
            return False
        if kind == b"message" and isinstance(content, bytes):
            self._pubsub.published(channel, content)
        elif kind == b"subscribe":
            self._pubsub.confirmed(channel)
        else:
            return False
        return True


def keep_subscribed(
    reactor: Any, endpoint: IStreamClientEndpoint, hello: Sequence[Command], pubsub: PubSub
) -> ClientService:
    """Make the service that keeps a `PubSub` connected."""
    return keep_connected(reactor, endpoint, lambda: TimelineProtocol(reactor, hello, pubsub))
