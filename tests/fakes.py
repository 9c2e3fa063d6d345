"""
Redis and Mastodon's database, in memory: small, and held to the same contracts as the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import hiredis
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import (
    IHostnameResolver,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from flodgatt_tx.feeds import ALL_OPEN, Closed
from flodgatt_tx.filtering import Relations, normalize_domain, relations_from_rows
from flodgatt_tx.keyword_filters import Filter
from flodgatt_tx.viewer import Viewer


@implementer(IHostnameResolver)
class MemoryResolver:
    """Knows the addresses of a few hosts."""

    def __init__(self, addresses: Mapping[str, Sequence[str]]) -> None:
        self.addresses = addresses

    def resolveHostName(  # noqa: N802 # Twisted's
        self,
        resolutionReceiver: IResolutionReceiver,  # noqa: N803 # Twisted's
        hostName: str,  # noqa: N803 # Twisted's
        portNumber: int = 0,  # noqa: N803 # Twisted's
        addressTypes: object = None,  # noqa: N803 # Twisted's
        transportSemantics: str = "TCP",  # noqa: N803 # Twisted's
    ) -> Any:
        """See `IHostnameResolver`."""
        receiver: Any = resolutionReceiver
        receiver.resolutionBegan(None)
        for address in self.addresses.get(hostName, ()):
            kind = IPv6Address if ":" in address else IPv4Address
            receiver.addressResolved(kind("TCP", address, portNumber))
        receiver.resolutionComplete()
        return None


class MemoryMastodon:
    """
    A Mastodon whose tables are sets and dictionaries.

    Questions are counted in *asked*. While *held* is a list each question waits in it, for the
    test to let it go on; while *failing* is an exception each question fails with it.
    """

    def __init__(self) -> None:
        self.tokens: dict[str, Viewer] = {}
        self.lists: set[tuple[int, int]] = set()
        self.blocks: set[tuple[int, int]] = set()
        self.mutes: set[tuple[int, int]] = set()
        self.blocked_domains: dict[int, frozenset[str]] = {}
        self.filters_of: dict[int, tuple[Filter, ...]] | None = {}
        self.closed: Closed = ALL_OPEN
        self.is_namespaced = False
        self.asked: list[str] = []
        self.held: list[Deferred[None]] | None = None
        self.failing: Exception | None = None

    def let_go(self, holding: bool = False) -> None:
        """Let the questions that are held be answered, and hold those that follow or not."""
        held, self.held = self.held or [], [] if holding else None
        for question in held:
            question.callback(None)

    async def viewers(self, tokens: Sequence[str]) -> Mapping[str, Viewer]:
        await self._take("viewers")
        return {token: self.tokens[token] for token in tokens if token in self.tokens}

    async def viewers_again(self, token_ids: Sequence[int]) -> Mapping[int, Viewer]:
        await self._take("viewers_again")
        return {each.token_id: each for each in self.tokens.values() if each.token_id in token_ids}

    async def list_owners(self, lists: Sequence[int]) -> Mapping[int, int]:
        await self._take("list_owners")
        return {list_id: account for account, list_id in self.lists if list_id in lists}

    async def relations(self, people: Iterable[int], authors: Iterable[int]) -> Relations:
        people, authors = set(people), set(authors)
        await self._take("relations")
        return relations_from_rows(
            [(target, who, False) for who, target in self.blocks | self.mutes if target in people]
            + [(who, target, True) for who, target in self.blocks if who in authors]
        )

    async def domain_blocks(self, accounts: Sequence[int]) -> Mapping[int, frozenset[str]]:
        await self._take("domain_blocks")
        return {
            id_: frozenset(map(normalize_domain, self.blocked_domains[id_]))
            for id_ in accounts
            if id_ in self.blocked_domains
        }

    async def filters(self, accounts: Sequence[int]) -> Mapping[int, tuple[Filter, ...]] | None:
        await self._take("filters")
        if self.filters_of is None:
            return None
        return {id_: self.filters_of[id_] for id_ in accounts if id_ in self.filters_of}

    async def closed_feeds(self) -> Closed:
        await self._take("closed_feeds")
        return self.closed

    async def namespaced(self) -> bool:
        await self._take("namespaced")
        return self.is_namespaced

    async def _take(self, question: str) -> None:
        self.asked.append(question)
        if self.held is not None:
            held: Deferred[None] = Deferred()
            self.held.append(held)
            await held
        if self.failing:
            raise self.failing


class Heard(list[tuple[str, bytes]]):
    """Everything that a `PubSub` has passed on: channel and message; it makes *trouble* for one."""

    def __init__(self, trouble: bytes | None = None) -> None:
        super().__init__()
        self.reads: list[int] = []
        self._trouble = trouble

    def published(self, channel: str, message: bytes) -> None:
        """Take one message."""
        if message == self._trouble:
            raise ZeroDivisionError
        self.append((channel, message))

    def all_read(self) -> None:
        """Take note of how many came together."""
        self.reads.append(len(self) - sum(self.reads))


@implementer(IStreamClientEndpoint)
class MemoryRedis:
    """
    A Redis that is its own endpoint: pub/sub, SET with EX, AUTH, SELECT, ROLE and PING.

    Replies come with the next turn of *clock*. It refuses connections while it is not *up*, and
    leaves the commands that are named in *hung*, and what follows on the same connection, undone
    until it may `recover`. It refuses those that are named in *refusing*.
    """

    def __init__(self, clock: MemoryReactorClock, password: str | None = None) -> None:
        self.clock = clock
        self.password = password
        self.up = True
        self.role = "master"
        self.hung: set[str] = set()
        self.refusing: set[str] = set()
        self.undone: list[tuple[MemoryConnection, list[bytes]]] = []
        self.keys: dict[str, int] = {}
        self.commands: list[list[str]] = []
        self.connections: list[MemoryConnection] = []

    def connect(self, protocol_factory: Any) -> Deferred[Any]:
        """See `IStreamClientEndpoint`."""
        if not self.up:
            refused: Deferred[Any] = Deferred()
            refused.errback(Failure(ConnectionRefusedError()))
            return refused
        protocol = protocol_factory.buildProtocol(None)
        self.connections.append(MemoryConnection(self, protocol))
        return succeed(protocol)

    def publish(self, channel: str, message: bytes) -> int:
        """Publish; return how many connections hear it."""
        hearing = [each for each in self.connections if channel.encode() in each.channels]
        for each in hearing:
            each.reply([b"message", channel.encode(), message])
        self.clock.advance(0)
        return len(hearing)

    def channels(self) -> set[str]:
        """The channels that somebody is subscribed to."""
        return {name.decode() for each in self.connections for name in each.channels}

    def recover(self) -> None:
        """Do what was left undone."""
        self.hung.clear()
        undone, self.undone = self.undone, []
        for connection, command in undone:
            connection.obey(*command)

    def cut(self) -> None:
        """End all connections."""
        for connection in list(self.connections):
            connection.end()


class MemoryConnection(StringTransport):
    """The two ends of one connection: a transport to the client, Redis behind it."""

    def __init__(self, redis: MemoryRedis, protocol: Protocol) -> None:
        super().__init__()
        self._redis = redis
        self._protocol = protocol
        self._reader = hiredis.Reader()
        self._authenticated = redis.password is None
        self.channels: set[bytes] = set()
        self._sent: list[bytes] = []
        protocol.makeConnection(self)

    @override
    def write(self, data: bytes) -> None:
        self._reader.feed(data)
        while (command := self._reader.gets()) is not False:
            self._redis.commands.append([word.decode() for word in command])
            behind = any(connection is self for connection, _ in self._redis.undone)
            if behind or command[0].decode() in self._redis.hung:
                self._redis.undone.append((self, command))
            else:
                self.obey(*command)

    @override
    def loseConnection(self) -> None:
        self._redis.clock.callLater(0, self.end)

    @override
    def abortConnection(self) -> None:
        self._redis.clock.callLater(0, self.end, ConnectionAborted())

    def end(self, reason: Exception | None = None) -> None:
        """Close the connection, from Redis' side unless *reason* says otherwise."""
        if self in self._redis.connections:
            self._redis.connections.remove(self)
            self._protocol.connectionLost(Failure(reason or ConnectionDone()))

    def reply(self, *values: object) -> None:
        """Send replies to the client, with whatever else is sent in the same moment."""
        if not self._sent:
            self._redis.clock.callLater(0, self._flush)
        self._sent += map(_encode, values)

    def _flush(self) -> None:
        sent, self._sent = self._sent, []
        self.deliver(b"".join(sent))

    def deliver(self, data: bytes) -> None:
        """Let the client receive bytes."""
        if self in self._redis.connections:
            self._protocol.dataReceived(data)

    def obey(self, name: bytes, *arguments: bytes) -> None:
        """Do a command and reply."""
        if name == b"AUTH":
            self._authenticated = arguments[-1].decode() == self._redis.password
            self.reply("OK" if self._authenticated else _Error("WRONGPASS invalid password"))
        elif name.decode() in self._redis.refusing:
            self.reply(_Error("OOM command not allowed when used memory > 'maxmemory'."))
        elif not self._authenticated:
            self.reply(_Error("NOAUTH Authentication required."))
        else:
            commands: dict[bytes, Callable[..., None]] = {
                b"SUBSCRIBE": self._subscribe,
                b"UNSUBSCRIBE": self._unsubscribe,
                b"SET": self._set,
                b"SELECT": lambda database: self.reply("OK"),
                b"PING": lambda: self.reply("PONG"),
                b"ROLE": lambda: self.reply([self._redis.role.encode(), 0, []]),
            }
            commands[name](*arguments)

    def _subscribe(self, *channels: bytes) -> None:
        replies = []
        for channel in channels:
            self.channels.add(channel)
            replies.append([b"subscribe", channel, len(self.channels)])
        self.reply(*replies)

    def _unsubscribe(self, *channels: bytes) -> None:
        replies = []
        for channel in channels:
            self.channels.discard(channel)
            replies.append([b"unsubscribe", channel, len(self.channels)])
        self.reply(*replies)

    def _set(self, key: bytes, value: bytes, ex: bytes, seconds: bytes) -> None:
        self._redis.keys[key.decode()] = int(seconds)
        self.reply("OK")


class _Error(str):
    """An error reply."""


def _encode(value: object) -> bytes:
    match value:
        case _Error():
            return b"-%b\r\n" % value.encode()
        case str():
            return b"+%b\r\n" % value.encode()
        case int():
            return b":%d\r\n" % value
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(value), value)
        case list():
            return b"*%d\r\n" % len(value) + b"".join(map(_encode, value))
    raise TypeError(repr(value))
