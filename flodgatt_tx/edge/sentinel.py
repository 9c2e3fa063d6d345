"""
The way to Redis through Sentinel: every connection asks anew which Redis is the master.

All Sentinels are asked at once and the first good answer counts. After a failover some may still
name the old master, and that one may be a replica by now: whoever is named is asked for its role,
over the connection that is then used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from twisted.internet.defer import CancelledError, Deferred, DeferredList, TimeoutError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import implementer

from flodgatt_tx.edge.asking import Asking, ask, trouble
from flodgatt_tx.edge.redis import Command, greeting, redis_endpoint
from flodgatt_tx.edge.tls import Reach, reaching
from flodgatt_tx.redis_settings import RedisSettings
from flodgatt_tx.service_url import parse_port

Place = tuple[str, int]

DEADLINE = 2.0  # seconds, for each Sentinel and for whoever it names, connecting included
PAUSE = 0.5  # seconds, until the same Sentinel is asked again
ROUNDS = 4  # for one attempt to connect


class SentinelError(Exception):
    """There is no way to the master; the text says what each Sentinel said."""


def way_to_redis(
    reactor: Any, settings: RedisSettings, extra_ca_certs: str | None
) -> IStreamClientEndpoint:
    """
    Say how to reach Redis: through Sentinel if there are any, else directly.

    :raises TrustError: if certificates or the key for TLS cannot be used.
    """
    if not settings.sentinels:
        return redis_endpoint(reactor, settings, extra_ca_certs)
    return SentinelEndpoint(reactor, settings, reaching(reactor, settings, extra_ca_certs))


def sentinel_greeting(settings: RedisSettings) -> list[Command]:
    """The commands that a connection to a Sentinel begins with."""
    user, password = settings.sentinel_username, settings.sentinel_password
    return greeting(RedisSettings(username=user, password=password))


@implementer(IStreamClientEndpoint)
class SentinelEndpoint:
    """Connects to whichever Redis is the master when `connect` is called."""

    _log = Logger()

    def __init__(self, clock: Any, settings: RedisSettings, reach: Reach) -> None:
        self._clock = clock
        self._settings = settings
        self._reach = reach
        self._master: Place | None = None
        self._told = ""
        self._connections: WeakKeyDictionary[Asking, Place] = WeakKeyDictionary()

    def connect(self, protocolFactory: Any) -> Deferred[Any]:  # noqa: N803 # Twisted's
        """See `IStreamClientEndpoint`; fails with `SentinelError`."""
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: Any) -> Any:
        search = _Search(self._clock, self._settings, self._reach)
        try:
            asking, master = await search.master()
        except SentinelError as error:
            # Both connections come by here, again and again.
            if str(error) != self._told:
                self._told = str(error)
                self._log.error("no way to Redis: {why}", why=self._told)
            raise
        if self._told or master != self._master:
            where, name = _written(master), self._settings.sentinel_master
            self._log.info("the master {name} is {where}", name=name, where=where)
        self._told, self._master = "", master
        self._connections[asking] = master
        return asking.continue_with(factory)

    def sentinels(self) -> list[IStreamClientEndpoint]:
        """Say how to reach each Sentinel."""
        return [self._reach(*place) for place in self._settings.sentinels]

    def moved(self, master: Place) -> None:
        """Take note that a Sentinel has just told of another master."""
        for connection, place in list(self._connections.items()):
            if place != master:
                # If it answers it was replaced by hand: Rails stays there, too, until it hangs up.
                connection.doubt()


class _Search:
    """One attempt to find the master."""

    def __init__(self, clock: Any, settings: RedisSettings, reach: Reach) -> None:
        self._clock = clock
        self._settings = settings
        self._reach = reach
        self._trying: set[Place] = set()
        self._errors: dict[Place, str] = {}

    async def master(self) -> tuple[Asking, Place]:
        """
        Find the master; return a connection to it, and where it is.

        :raises SentinelError: if there is none.
        """
        sentinels = self._settings.sentinels
        searches = [Deferred.fromCoroutine(self._ask_again(each)) for each in sentinels]
        first = DeferredList(searches, fireOnOneCallback=True, consumeErrors=True)
        outcome: Any = await first
        if isinstance(outcome, tuple):
            for search in searches:
                search.cancel()
            found: tuple[Asking, Place] = outcome[0]
            return found
        if any(failure.check(CancelledError) for _, failure in outcome):
            raise CancelledError
        texts = dict.fromkeys(self._errors[each] for each in sentinels)
        raise SentinelError("; ".join(filter(None, texts)))

    async def _ask_again(self, sentinel: Place) -> tuple[Asking, Place]:
        """Ask one Sentinel a few times: it may be the first to know of a new master."""
        left = ROUNDS
        while True:
            try:
                return await self._ask(sentinel)
            except SentinelError as error:
                self._errors[sentinel] = str(error)
                left -= 1
                if not left:
                    raise
            await deferLater(self._clock, PAUSE)

    async def _ask(self, sentinel: Place) -> tuple[Asking, Place]:
        master = await self._named_by(sentinel)
        if master in self._trying:
            raise SentinelError  # what becomes of that is known soon
        self._trying.add(master)
        try:
            return await self._as_master(master), master
        finally:
            self._trying.discard(master)

    async def _named_by(self, sentinel: Place) -> Place:
        settings, name = self._settings, self._settings.sentinel_master or ""
        hello = sentinel_greeting(settings)
        who = f"the Sentinel {_written(sentinel)}"
        question = ("SENTINEL", "get-master-addr-by-name", name)
        asking = await self._converse(who, sentinel, [*hello, question])
        asking.hang_up()
        match asking.replies[-1]:
            case [bytes(host), bytes(port)] if place := place_of(host, port):
                return place
        raise SentinelError(f"{who} knows no master called {name}")

    async def _as_master(self, place: Place) -> Asking:
        hello = greeting(replace(self._settings, db=0))
        who = f"Redis at {_written(place)}, whom Sentinel names,"
        asking = await self._converse(who, place, [*hello, ("ROLE",)])
        match asking.replies[-1]:
            case [b"master", *_]:
                return asking
        asking.hang_up()
        raise SentinelError(f"{who} is no master")

    async def _converse(self, who: str, place: Place, commands: Sequence[Command]) -> Asking:
        try:
            asking = Deferred.fromCoroutine(ask(self._reach(*place), commands))
            return await asking.addTimeout(DEADLINE, self._clock)
        except CancelledError:
            raise
        except TimeoutError:
            raise SentinelError(f"{who} does not answer within {DEADLINE:.0f} s") from None
        except Exception as error:
            raise SentinelError(f"{who} {trouble(error)}") from None


def place_of(host: bytes, port: bytes) -> Place | None:
    """Read the words by which a Sentinel names a place; None if that is nonsense."""
    try:
        return host.decode(), parse_port(port.decode())
    except ValueError:
        return None


def _written(place: Place) -> str:
    host, port = place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
