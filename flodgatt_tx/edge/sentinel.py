"""
The way to Redis through Sentinel: every connection asks anew which Redis is the master.

All Sentinels are asked at once and the first good answer counts. After a failover some may still
name the old master, and that one may be a replica by now: whoever is named is asked for its role,
over the connection that is then used.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import hiredis
from twisted.internet import error as errors
from twisted.internet.defer import CancelledError, Deferred, DeferredList, TimeoutError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from flodgatt_tx.edge.handover import hand_over
from flodgatt_tx.edge.redis import Command, greeting, pack, redis_endpoint
from flodgatt_tx.edge.tls import Reach, reaching, tls_problem
from flodgatt_tx.redis_settings import RedisSettings

Place = tuple[str, int]

DEADLINE = 2.0  # seconds, for each Sentinel and for whoever it names, connecting included
PAUSE = 0.5  # seconds, until the same Sentinel is asked again
ROUNDS = 4  # for one attempt to connect

# REDIS_SENTINEL_PASSWORD is REDIS_PASSWORD where it is not set, and many Sentinels have none.
_OPEN = re.compile("no password is set|without any password configured")


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
        return asking.continue_with(factory)


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
        user, password = settings.sentinel_username, settings.sentinel_password
        hello = greeting(RedisSettings(username=user, password=password))
        who = f"the Sentinel {_written(sentinel)}"
        question = ("SENTINEL", "get-master-addr-by-name", name)
        asking = await self._converse(who, sentinel, [*hello, question])
        asking.hang_up()
        match asking.replies[-1]:
            case [bytes(host), bytes(port)] if port.isdigit():
                return host.decode("utf-8", "replace"), int(port)
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
        talk = Deferred.fromCoroutine(_talk(self._reach, place, commands))
        try:
            return await talk.addTimeout(DEADLINE, self._clock)
        except CancelledError:
            raise
        except Exception as error:
            raise SentinelError(f"{who} {_what(error)}") from None


async def _talk(reach: Reach, place: Place, commands: Sequence[Command]) -> Asking:
    factory = Factory.forProtocol(partial(Asking, commands))
    factory.noisy = False
    try:
        asking: Any = await reach(*place).connect(factory)
    except errors.ConnectingCancelledError:
        raise CancelledError from None
    try:
        await asking.answered
    except BaseException:
        asking.hang_up()
        raise
    talked: Asking = asking
    return talked


class Asking(Protocol):
    """
    Sends *commands* over a new connection, which afterwards somebody else may use.

    *answered* fires when all *replies* have come, or fails with the first that is an error.
    """

    transport: Any

    def __init__(self, commands: Sequence[Command]) -> None:
        self.answered: Deferred[None] = Deferred()
        self.replies: list[Any] = []
        self._commands = commands
        self._reader = hiredis.Reader()

    @override
    def connectionMade(self) -> None:
        self.transport.write(pack(self._commands))

    @override
    def dataReceived(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                self._take(reply)
        except hiredis.HiredisError as error:
            self._fail(error)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._fail(reason)

    def continue_with(self, factory: Any) -> Any:
        """Let a protocol that *factory* builds have the connection, and return it."""
        protocol = factory.buildProtocol(self.transport.getPeer())
        hand_over(self.transport, protocol)
        return protocol

    def hang_up(self) -> None:
        """End the connection."""
        self.transport.abortConnection()

    def _take(self, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError) and not _OPEN.search(str(reply)):
            raise reply
        self.replies.append(reply)
        if len(self.replies) == len(self._commands) and not self.answered.called:
            self.answered.callback(None)

    def _fail(self, error: Exception | Failure) -> None:
        if not self.answered.called:
            self.answered.errback(error)


_WHAT: dict[type[Exception], str] = {
    TimeoutError: f"does not answer within {DEADLINE:.0f} s",
    errors.ConnectionRefusedError: "refuses connections",
    errors.DNSLookupError: "has a host name that is not known",
    errors.ConnectionClosed: "hangs up",
}


def _what(error: Exception) -> str:
    """Say what went wrong; old servers quote the commands that they do not know."""
    if isinstance(error, hiredis.ReplyError):
        return f"refuses: {str(error).partition(', with args')[0]}"
    if problem := tls_problem(error):
        return f"cannot be reached over TLS: {problem}"
    for kind, what in _WHAT.items():
        if isinstance(error, kind):
            return what
    if isinstance(error, errors.ConnectError) and error.osError:
        return f"cannot be reached: {error.osError}"
    return f"does not answer as it should ({type(error).__name__})"


def _written(place: Place) -> str:
    host, port = place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
