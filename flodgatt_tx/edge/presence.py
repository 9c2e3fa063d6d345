"""
The keys that tell Rails who is listening.

Rails renders and publishes home, list, direct and notification events only while a key
`subscribed:CHANNEL` exists, and sends no e-mails about what was delivered. The keys live for 18
minutes and are written again every six; after the last listener they run out by themselves, for
another process may have listeners too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override

from flodgatt_tx.edge.awaiting import Awaiting
from flodgatt_tx.edge.dependency import COMMANDS, Dependency
from flodgatt_tx.edge.redis import Command, CommandProtocol, keep_connected, reason
from flodgatt_tx.edge.rounds import Rounds

LIFETIME = 1080  # seconds
REFRESH = 360  # seconds
_SLOTS = 120
_MOST_KEYS = 500  # in one go, so that nobody else has to wait


class Presence(Rounds[str]):
    """
    The keys of all channels that somebody here listens to.

    It outlives the connection to Redis, which it is given by `redis_ready`. *prefix*, which
    REDIS_NAMESPACE asks for, is put before the names that Redis sees. A *dependency* is told
    whether the connection is there; *connects* counts connections.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, dependency: Dependency | None = None) -> None:
        super().__init__(clock, REFRESH, _SLOTS)
        self._dependency = dependency
        self.connects = 0
        self.prefix = ""
        self._holders: Counter[str] = Counter()
        self._written: set[str] = set()
        self._unwritten: list[str] = []
        self._writing = False
        self._refused: dict[str, None] = {}
        self._refusing = False
        self._awaiting = Awaiting()
        self._redis: CommandProtocol | None = None

    def hold(self, keys: Iterable[str]) -> Deferred[None]:
        """Keep *keys* alive; the result fires once Redis has them, however long that takes."""
        unwritten = []
        for key in keys:
            self._holders[key] += 1
            self.items.add(key)
            if key not in self._written:
                unwritten.append(key)
        self._unwritten += [key for key in unwritten if key not in self._awaiting]
        if self._unwritten and not self._writing:
            # Together with those of others who come in this moment.
            self._writing = True
            self._clock.callLater(0, self._write_new)
        return self._awaiting.wait(unwritten)

    def release(self, keys: Iterable[str]) -> None:
        """Let go of *keys*; nobody else's hold on them is touched."""
        for key in keys:
            self._holders[key] -= 1
            if not self._holders[key]:
                del self._holders[key]
                self.items.discard(key)
                self._written.discard(key)
                self._awaiting.tell(key)

    def redis_ready(self, redis: CommandProtocol) -> None:
        """Write all keys to a Redis that may have lost them."""
        self._redis = redis
        self.connects += 1
        if self._dependency:
            self._dependency.gain(COMMANDS)
        self._write(list(self._holders))

    def redis_lost(self) -> None:
        """Wait for the next connection."""
        self._redis = None
        self._written.clear()
        if self._dependency and self.running:
            self._dependency.lose(COMMANDS, "the connection for commands is lost")

    @override
    def visit(self, items: Sequence[str]) -> None:
        """Write a slice of the keys again, and those that Redis has refused before."""
        refused, self._refused = self._refused, {}
        self._write([*items, *refused])

    def _write_new(self) -> None:
        self._writing = False
        keys, self._unwritten = self._unwritten, []
        self._write(keys)

    def _write(self, keys: list[str]) -> None:
        keys = [key for key in keys if key in self._holders]
        if not self._redis or not keys:
            return
        if len(keys) > _MOST_KEYS:
            self._clock.callLater(0, self._write, keys[_MOST_KEYS:])
            keys = keys[:_MOST_KEYS]
        commands = [("SET", self.prefix + key, "1", "EX", LIFETIME) for key in keys]
        self._redis.run(commands).addCallbacks(
            self._have_written, self._have_failed, callbackArgs=(keys,), errbackArgs=(keys,)
        )

    def _have_written(self, replies: object, keys: list[str]) -> None:
        if self._refusing:
            self._log.info("Redis takes presence keys again")
        self._refusing = False
        for key in keys:
            if key in self._holders:
                self._written.add(key)
            # It is written, or nobody holds it any more.
            self._awaiting.tell(key)

    def _have_failed(self, failure: Failure, keys: list[str]) -> None:
        """Keys that Redis refused are tried again soon; a lost connection is somebody else's."""
        if self._redis:
            if not self._refusing:
                self._log.error("Redis takes no presence keys: {why}", why=reason(failure))
            self._refusing = True
            self._refused.update(dict.fromkeys(keys))


def keep_present(
    reactor: Any, endpoint: IStreamClientEndpoint, hello: Sequence[Command], presence: Presence
) -> ClientService:
    """Make the service that keeps a `Presence` connected."""
    return keep_connected(
        reactor,
        endpoint,
        lambda: CommandProtocol(reactor, hello, presence.redis_ready, presence.redis_lost),
    )
