"""
The Redis that Sentinels say is the master.

All Sentinels are asked at once, and nobody is believed unheard: for a moment after a failover, or
for as long as it is cut off from the others, a Sentinel names a Redis that has been demoted. So
what is named has to say itself, by ROLE, that it is a master, over the same connection that is
then used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hiredis import ReplyError
from twisted.internet.defer import Deferred, FailureGroup, race
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer

from flodgatt_tx.edge.introduction import Introduction, introduce
from flodgatt_tx.edge.redis import Command, greeting
from flodgatt_tx.edge.trouble import describe
from flodgatt_tx.redis_settings import RedisSettings
from flodgatt_tx.service_url import MOST_PORT

# From the question to the answer about the role. It has to be over well before the two seconds in
# which clients are served again: when asked, a Sentinel may still have named the Redis that hangs.
DEADLINE = 1.5  # seconds

# What a Redis says to a password where it wants none. Mastodon sends Sentinels that of Redis unless
# it is told otherwise.
_NOT_ASKED_FOR = ("without any password configured", "no password is set")

Place = tuple[str, int]
Reach = Callable[[Place], IStreamClientEndpoint]


class SentinelError(Exception):
    """No Sentinel led to a master; the text has what each of them, or the Redis it named, did."""


class _DeadEndError(Exception):
    """One Sentinel leads nowhere."""


@implementer(IStreamClientEndpoint)
class SentinelEndpoint:
    """
    Connects to the master of the moment; *reach* and *reach_sentinel* say how places are reached.

    The connection fails with a `SentinelError` if there is none.
    """

    def __init__(
        self, reactor: Any, settings: RedisSettings, reach: Reach, reach_sentinel: Reach
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._reach = reach
        self._reach_sentinel = reach_sentinel

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:  # noqa: N803 # Twisted's
        """See `IStreamClientEndpoint`."""
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> Any:
        search = _Search(self._reactor, self._settings, self._reach, self._reach_sentinel)
        introduction = await search.run()
        transport: Any = introduction.transport
        protocol: Any = factory.buildProtocol(transport.getPeer())
        introduction.hand_over(protocol)
        return protocol


class _Search:
    """One question to all Sentinels, and what comes of it."""

    def __init__(
        self, reactor: Any, settings: RedisSettings, reach: Reach, reach_sentinel: Reach
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._reach = reach
        self._reach_sentinel = reach_sentinel
        self._deadline = reactor.seconds() + DEADLINE
        self._named: set[Place] = set()

    async def run(self) -> Introduction:
        """
        Return the first connection to a master.

        :raises SentinelError: if there is none.
        """
        ways = [Deferred.fromCoroutine(self._follow(place)) for place in self._settings.sentinels]
        try:
            _, introduction = await race(ways)
        except FailureGroup as group:
            texts = dict.fromkeys(str(failure.value) for failure in group.failures)
            raise SentinelError("; ".join(filter(None, texts))) from None
        return introduction

    async def _follow(self, sentinel: Place) -> Introduction:
        """Go where a Sentinel leads, unless another has led there already."""
        master = await self._ask(sentinel)
        if master in self._named:
            raise _DeadEndError
        self._named.add(master)
        return await self._knock(master)

    async def _ask(self, sentinel: Place) -> Place:
        settings, who = self._settings, f"Sentinel {_show(sentinel)}"
        user, password = settings.sentinel_username, settings.sentinel_password
        commands = greeting(RedisSettings(username=user, password=password))
        name = settings.sentinel_master or ""
        commands.append(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name))
        endpoint = self._reach_sentinel(sentinel)
        introduction, replies = await self._introduce(who, endpoint, commands)
        introduction.hang_up()
        *greeted, answer = replies
        for refusal in filter(_is_error, greeted):
            if not any(words in str(refusal) for words in _NOT_ASKED_FOR):
                raise _DeadEndError(f"{who} refused us: {refusal}")
        if _is_error(answer):
            raise _DeadEndError(f"{who} refused us: {answer}")
        if answer is None:
            raise _DeadEndError(f"{who} knows no master called {name}")
        return _place(answer) or _fail(f"{who} does not answer as Sentinel does")

    async def _knock(self, master: Place) -> Introduction:
        """Connect to a Redis, and find out whether it is a master."""
        who = f"Redis at {_show(master)}"
        credentials = RedisSettings(
            username=self._settings.username, password=self._settings.password
        )
        commands = [*greeting(credentials), ("ROLE",)]
        endpoint = self._reach(master)
        introduction, replies = await self._introduce(who, endpoint, commands)
        refusals = [reply for reply in replies if _is_error(reply)]
        if not refusals and replies[-1][:1] == ["master"]:
            return introduction
        introduction.hang_up()
        if refusals:
            raise _DeadEndError(f"{who} refused us: {refusals[0]}")
        raise _DeadEndError(f"{who} is no master")

    async def _introduce(
        self, who: str, endpoint: IStreamClientEndpoint, commands: list[Command]
    ) -> tuple[Introduction, list[Any]]:
        left = max(0.0, self._deadline - self._reactor.seconds())
        try:
            return await introduce(self._reactor, endpoint, commands, left)
        except Exception as error:
            raise _DeadEndError(f"{who}: {describe(error)}") from None


def _is_error(reply: object) -> bool:
    return isinstance(reply, ReplyError)


def _place(answer: object) -> Place | None:
    match answer:
        case [str(host), str(port)] if host and port.isdecimal() and 1 <= int(port) <= MOST_PORT:
            return host, int(port)
    return None


def _fail(text: str) -> Place:
    raise _DeadEndError(text)


def _show(place: Place) -> str:
    host, port = place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
