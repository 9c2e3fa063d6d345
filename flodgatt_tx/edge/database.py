"""
A pool of connections to PostgreSQL that heals by itself.

All statements are reads: what was lost with an idle connection that had died unnoticed, as after
a restart of PostgreSQL, is simply asked again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, TimeoutError
from twisted.python.failure import Failure
from typing_extensions import override

from flodgatt_tx.database_settings import DatabaseSettings
from flodgatt_tx.edge.dependency import ANSWERS, Dependency
from flodgatt_tx.edge.link import DEADLINE, BrokenLinkError, DeadlineError, Link, Rows, SqlError
from flodgatt_tx.edge.resolver import resolve
from flodgatt_tx.errors import UNAVAILABLE, UnavailableError

# A peer that has vanished is noticed within a minute, also by connections that wait for nothing.
# Settings of the same names win.
_KEEPALIVE = {
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
MakeLink = Callable[[Any, Callable[[Link], None]], Link]


class Pool(Service):
    """At most `settings.pool` connections, made when they are needed; *connects* counts them."""

    def __init__(
        self, reactor: Any, settings: DatabaseSettings, make_link: MakeLink = Link
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._make_link = make_link
        self._links: set[Link] = set()
        self._idle: list[Link] = []
        self._waiting: deque[Deferred[None]] = deque()
        self.connects = 0
        self.dependency = Dependency("PostgreSQL", reactor, ANSWERS)
        self._stopped = False

    @property
    def total(self) -> int:
        """How many connections there are, those being made included."""
        return len(self._links)

    @property
    def idle(self) -> int:
        """How many connections have nothing to do."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """How many statements wait for a connection."""
        return len(self._waiting)

    async def query(self, sql: str, parameters: Mapping[str, Any]) -> Rows:
        """
        Run one statement that reads, with *parameters* for its `%(name)s`.

        Who asks may be cancelled; the statement runs to its end all the same, for PostgreSQL
        would go on with it in any case, and the connection is of use again afterwards.

        :raises SqlError: if PostgreSQL refuses the statement.
        :raises UnavailableError: if PostgreSQL does not answer, waiting for a connection included.
        """
        answer = _shielded(Deferred.fromCoroutine(self._query(sql, parameters)))
        try:
            return await answer.addTimeout(DEADLINE, self._reactor)
        except TimeoutError:
            raise UnavailableError(UNAVAILABLE) from None

    async def _query(self, sql: str, parameters: Mapping[str, Any]) -> Rows:
        try:
            rows = await self.attempt(sql, parameters)
        except BrokenLinkError as error:
            if not self._stopped:
                self.dependency.lose(ANSWERS, str(error))
            raise UnavailableError(UNAVAILABLE) from None
        except SqlError:
            self.dependency.gain(ANSWERS)
            raise
        self.dependency.gain(ANSWERS)
        return rows

    async def attempt(self, sql: str, parameters: Mapping[str, Any]) -> Rows:
        """Do as `query` does, but let who asks see libpq's reasons, as `BrokenLinkError`."""
        while True:
            link, fresh = await self._check_out()
            try:
                return await link.run(sql, parameters)
            except DeadlineError:
                raise
            except BrokenLinkError:
                if fresh:
                    raise
            finally:
                self._check_in(link)

    @override
    def stopService(self) -> None:
        Service.stopService(self)
        self._stopped = True
        while self._waiting:
            self._waiting.popleft().callback(None)
        for link in list(self._links):
            link.close()
        self._links.clear()
        self._idle.clear()

    async def _check_out(self) -> tuple[Link, bool]:
        """Take an idle connection, or make one; say whether it is fresh."""
        while not self._stopped and not self._idle and self.total >= self._settings.pool:
            await self._wait()
        if self._stopped:
            raise BrokenLinkError("the server is going down")
        if self._idle:
            return self._idle.pop(), False
        link = self._make_link(self._reactor, self._ended)
        self._links.add(link)
        try:
            await link.connect(await self._parameters())
        except BaseException:
            link.close()
            self._check_in(link)
            raise
        self.connects += 1
        return link, True

    def _check_in(self, link: Link) -> None:
        if link.closed:
            self._links.discard(link)
        else:
            self._idle.append(link)
        if self._waiting:
            # Not at once: if connecting fails at once, each would wake the next within itself.
            self._reactor.callLater(0, self._waiting.popleft().callback, None)

    async def _wait(self) -> None:
        turn: Deferred[None] = Deferred(self._waiting.remove)
        turn.addTimeout(DEADLINE, self._reactor)
        self._waiting.append(turn)
        try:
            await turn
        except TimeoutError:
            raise DeadlineError(f"no free connection within {DEADLINE:.0f} s") from None

    def _ended(self, link: Link) -> None:
        """Take note of the end of a connection that had nothing to do."""
        self.dependency.doubt()
        if link in self._idle:
            self._idle.remove(link)
        link.close()
        self._links.discard(link)

    async def _parameters(self) -> dict[str, Any]:
        settings = self._settings
        parameters: dict[str, Any] = {
            **_KEEPALIVE,
            **settings.extra,
            "host": settings.host or None,
            "port": settings.port,
            "user": settings.user,
            "password": settings.password or None,
            "dbname": settings.database,
            "sslmode": settings.sslmode,
            "sslrootcert": settings.sslrootcert,
            # PgBouncer would SET any other name with every transaction.
            "application_name": "",
        }
        if settings.host and not settings.host.startswith("/"):
            addresses = await self._addresses(settings.host)
            # libpq tries them in turn; it resolves names too, but blocks the process.
            parameters["hostaddr"] = ",".join(addresses)
            parameters["host"] = ",".join([settings.host] * len(addresses))
        return {name: value for name, value in parameters.items() if value is not None}

    async def _addresses(self, host: str) -> list[str]:
        addresses = await resolve(self._reactor, host)
        if not addresses:
            raise BrokenLinkError(f"the host name {host} is not known")
        return addresses


def _shielded(result: Deferred[Rows]) -> Deferred[Rows]:
    """Pass *result* on, but not what would cancel it."""
    shielded: Deferred[Rows] = Deferred()

    def pass_on(outcome: Rows | Failure) -> None:
        if shielded.called:
            return
        if isinstance(outcome, Failure):
            shielded.errback(outcome)
        else:
            shielded.callback(outcome)

    result.addBoth(pass_on)
    return shielded
