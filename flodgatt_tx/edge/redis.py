"""
Connections to Redis: how to reach it, how to greet it, and one for commands.

txredisapi's own greeting gives up for good when Redis refuses it once (while it loads its data,
say), so the protocols here greet by themselves and leave coming back to `ClientService`.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 # for host names; there may be no way to it after --uid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from random import uniform
from typing import Any

from hiredis import pack_command
from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from txredisapi import InvalidData, RedisError, RedisProtocol
from typing_extensions import override

from flodgatt_tx.edge.tls import reaching, tls_problem
from flodgatt_tx.redis_settings import RedisSettings

Command = tuple[str | bytes | int, ...]

PING_PERIOD = 10  # seconds
DOUBT = 0.5  # seconds, for an answer where we have reason to expect none


def redis_endpoint(
    reactor: Any, settings: RedisSettings, extra_ca_certs: str | None
) -> IStreamClientEndpoint:
    """
    Say how to reach Redis: over a UNIX socket, TCP, or TLS whose certificate is verified.

    :raises TrustError: if certificates or the key for that cannot be used.
    """
    if settings.socket:
        return UNIXClientEndpoint(reactor, settings.socket)
    return reaching(reactor, settings, extra_ca_certs)(settings.host, settings.port)


def greeting(settings: RedisSettings) -> list[Command]:
    """The commands that a new connection begins with."""
    commands: list[Command] = []
    if settings.password:
        user = (settings.username,) if settings.username else ()
        commands.append(("AUTH", *user, settings.password))
    if settings.db:
        commands.append(("SELECT", settings.db))
    return commands


def pack(commands: Iterable[Command]) -> bytes:
    """Write commands as Redis reads them."""
    return b"".join(map(pack_command, commands))  # type: ignore[arg-type] # of any length


class WatchedProtocol(RedisProtocol):
    """
    A connection that ends itself if Redis falls silent, which TCP alone would notice after hours.

    It asks for a sign of life now and then; anything that comes is one. *last_sign* is when the
    last one came. *peer* is who is at the other end, for the log.
    """

    _log = Logger()
    peer = "Redis"

    def __init__(self, clock: IReactorTime) -> None:
        super().__init__(charset=None, convertNumbers=False)
        self._silent = False
        self._paused = False
        self._doubting: IDelayedCall | None = None
        self._clock = clock
        self.last_sign: float = clock.seconds()
        self._watching = LoopingCall(self._watch)
        self._watching.clock = clock

    @override
    def connectionMade(self) -> None:
        super().connectionMade()
        self._watching.start(PING_PERIOD, now=False)

    @override
    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        self._silent = False
        self.last_sign = self._clock.seconds()
        try:
            super().dataReceived(data, unpause)
        except InvalidData:
            self._log.error("what answers does not speak as Redis does")
            self.transport.abortConnection()

    @override
    def connectionLost(self, why: Failure) -> None:
        self._watching.stop()
        if self._doubting and self._doubting.active():
            self._doubting.cancel()
        if problem := tls_problem(why.value):
            self._log.error("TLS with {peer} has failed: {why}", peer=self.peer, why=problem)
        super().connectionLost(why)

    def send_ping(self) -> None:
        """Ask for a sign of life."""
        self.transport.write(pack([("PING",)]))

    def doubt(self) -> None:
        """Give the connection up unless there is a sign of life within a moment."""
        if self._doubting is None or not self._doubting.active():
            self._silent = True
            self.send_ping()
            self._doubting = self._clock.callLater(DOUBT, self._watch)

    def pause(self) -> None:
        """Read no more for now; silence means nothing while nobody listens."""
        self._paused = True
        self.transport.pauseProducing()

    def resume(self) -> None:
        """Read on."""
        self._paused = self._silent = False
        self.transport.resumeProducing()

    def _watch(self) -> None:
        if self._paused:
            return
        if self._silent:
            self._log.error("{peer} has fallen silent, and is given up", peer=self.peer)
            self.transport.abortConnection()
        else:
            self._silent = True
            self.send_ping()


class CommandProtocol(WatchedProtocol):
    """A connection for commands; its owner is told when it is *ready* for use, and when *lost*."""

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        commands: Sequence[Command],
        ready: Callable[[CommandProtocol], None],
        lost: Callable[[], None],
    ) -> None:
        super().__init__(clock)
        self._greeting = commands
        self._ready_now = ready
        self._lost_now = lost
        self._runs: deque[_Run] = deque()

    @override
    def connectionMade(self) -> None:
        super().connectionMade()
        Deferred.fromCoroutine(self._greet()).addErrback(self._give_up)

    @override
    def connectionLost(self, why: Failure) -> None:
        super().connectionLost(why)
        # First, or what is under way would look refused.
        self._lost_now()
        runs, self._runs = self._runs, deque()
        for run in runs:
            run.done.errback(why)

    @override
    def send_ping(self) -> None:
        # As a command among others, for their replies are told apart by their order.
        self.run([("PING",)]).addErrback(lambda failure: None)  # its connection is lost

    async def _greet(self) -> None:
        await self.run(self._greeting)
        self._ready_now(self)

    def run(self, commands: Sequence[Command]) -> Deferred[list[Any]]:
        """Send commands together; the result has their replies, or is the first failure."""
        if not commands:
            return succeed([])
        self.transport.write(pack(commands))
        run = _Run(len(commands))
        self._runs.append(run)
        return run.done

    @override
    def replyReceived(self, reply: Any) -> None:
        if self._runs and self._runs[0].take(reply):
            self._runs.popleft().settle()

    def _give_up(self, failure: Failure) -> None:
        self._log.error("Redis refused us: {reason}", reason=reason(failure))
        self.transport.loseConnection()


class _Run:
    """Commands that were sent together, and what has been replied to them so far."""

    def __init__(self, commands: int) -> None:
        self.done: Deferred[list[Any]] = Deferred()
        self._commands = commands
        self._replies: list[Any] = []

    def take(self, reply: Any) -> bool:
        """Take a reply; return whether it was the last."""
        self._replies.append(reply)
        return len(self._replies) == self._commands

    def settle(self) -> None:
        """Say what was replied."""
        errors = [reply for reply in self._replies if isinstance(reply, Exception)]
        if errors:
            self.done.errback(errors[0])
        else:
            self.done.callback(self._replies)


def reason(failure: Failure) -> str:
    """Say why commands failed, in Redis' own words where there are any."""
    error = failure.value  # Redis' own texts never quote what was sent
    return str(error) if isinstance(error, RedisError) else type(error).__name__


def _soon(failures: int) -> float:
    """Say how many seconds to wait after so many failures; others wait otherwise."""
    return min(0.1 * 1.5 ** min(failures, 10), 0.6) * uniform(0.5, 1.5)


def keep_connected(
    reactor: Any,
    endpoint: IStreamClientEndpoint,
    build: Callable[[], Any],
    delay: Callable[[int], float] = _soon,
) -> ClientService:
    """
    Make the service that holds a connection, and comes back soon if it breaks.

    Between two attempts are 0.9 seconds at most, and less at first, unless *delay* says otherwise:
    the seconds after so many failures.
    """
    factory = Factory.forProtocol(build)
    factory.noisy = False
    return ClientService(endpoint, factory, retryPolicy=delay, clock=reactor)
