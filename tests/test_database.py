"""
The pool of connections to PostgreSQL, over connections that only pretend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.database_settings import DatabaseSettings
from flodgatt_tx.edge.database import Pool
from flodgatt_tx.edge.link import DEADLINE, BrokenLinkError, DeadlineError, Link, Rows, SqlError
from flodgatt_tx.errors import UnavailableError
from tests.fakes import MemoryResolver


class Postgres:
    """
    A PostgreSQL that answers statements with themselves.

    While *slow*, its links wait until they are told to go on.
    """

    def __init__(self) -> None:
        self.up = True
        self.slow = False
        self.links: list[MemoryLink] = []

    def make_link(self, reactor: Any, ended: Callable[[Link], None]) -> Link:
        """Make a link; see `Pool`."""
        link = MemoryLink(self, ended)
        self.links.append(link)
        return link  # type: ignore[return-value] # it behaves as one

    def restart(self) -> None:
        """Forget all connections, without a word to anybody."""
        for link in self.links:
            link.dead = True


class MemoryLink:
    """Behaves as `Link` does."""

    def __init__(self, postgres: Postgres, ended: Callable[[Link], None]) -> None:
        self.postgres = postgres
        self.ended = ended
        self.closed = False
        self.dead = False
        self.parameters: Mapping[str, Any] = {}
        self.pending: Deferred[None] | None = None

    async def connect(self, parameters: Mapping[str, Any]) -> None:
        """See `Link.connect`."""
        self.parameters = parameters
        await self._turn()
        if not self.postgres.up:
            self.close()
            raise BrokenLinkError("connection refused")

    async def run(self, sql: str, parameters: Mapping[str, Any]) -> Rows:
        """See `Link.run`."""
        await self._turn()
        if self.dead:
            self.close()
            raise BrokenLinkError("server closed the connection unexpectedly")
        if sql == "late":
            self.close()
            raise DeadlineError("no answer within 15 s")
        if sql == "bad":
            raise SqlError("42601")
        return [(sql, *parameters.values())]

    def close(self) -> None:
        """See `Link.close`."""
        self.closed = True
        pending, self.pending = self.pending, None
        if pending:
            pending.errback(BrokenLinkError("closed"))

    def go_on(self) -> None:
        """Let what is under way be done."""
        pending, self.pending = self.pending, None
        assert pending
        pending.callback(None)

    async def _turn(self) -> None:
        if self.postgres.slow:
            self.pending = Deferred()
            try:
                await self.pending
            except CancelledError:
                self.pending = None
                self.close()
                raise


class PoolTests(SynchronousTestCase):
    """Statements, and the connections they are run on."""

    def setUp(self) -> None:
        """Make a pool of two."""
        self.clock = MemoryReactorClock()
        self.postgres = Postgres()
        self.pool = self.make_pool()

    def make_pool(self, **settings: Any) -> Pool:
        """Make a pool."""
        values: dict[str, Any] = {"host": "/run", "user": "me", "database": "db", "pool": 2}
        pool = Pool(self.clock, DatabaseSettings(**{**values, **settings}), self.postgres.make_link)
        pool.startService()
        self.addCleanup(lambda: self.assertEqual([], self.clock.getDelayedCalls()))
        self.addCleanup(pool.stopService)
        return pool

    def asking(self, sql: str, **parameters: Any) -> Deferred[Rows]:
        """Begin to ask."""
        return Deferred.fromCoroutine(self.pool.query(sql, parameters))

    def ask(self, sql: str = "one") -> Rows:
        """Ask."""
        return self.successResultOf(self.asking(sql))

    def counts(self) -> tuple[int, int, int]:
        """How many connections there are, how many are idle, and how many statements wait."""
        return self.pool.total, self.pool.idle, self.pool.waiting

    def test_lazy(self) -> None:
        """Connections are made when they are needed, and kept."""
        self.assertEqual((0, 0, 0), self.counts())
        self.assertEqual([("one", 5)], self.successResultOf(self.asking("one", number=5)))
        self.assertEqual((1, 1, 0), self.counts())
        self.ask()
        self.assertEqual(1, len(self.postgres.links))

    def test_waiting(self) -> None:
        """When all connections are busy statements wait for their turn."""
        self.postgres.slow = True
        asked = [self.asking(str(number)) for number in range(4)]
        self.assertEqual((2, 0, 2), self.counts())
        for link in self.postgres.links:
            link.go_on()  # connected
        first, second = self.postgres.links
        first.go_on()
        self.assertEqual([("0",)], self.successResultOf(asked[0]))
        self.assertEqual((2, 1, 1), self.counts())
        self.clock.advance(0)
        second.go_on()
        self.clock.advance(0)
        first.go_on()
        second.go_on()
        self.assertEqual([[("1",)], [("2",)], [("3",)]], [*map(self.successResultOf, asked[1:])])
        self.assertEqual((2, 2, 0), self.counts())

    def test_waiting_too_long(self) -> None:
        """Who waits too long for a connection is told so."""
        self.postgres.slow = True
        asked = [self.asking("one") for _ in range(3)]
        self.clock.advance(DEADLINE)
        self.failureResultOf(asked[2], UnavailableError)
        self.assertEqual((2, 0, 0), self.counts())
        self.pool.stopService()
        for each in asked[:2]:
            self.failureResultOf(each, UnavailableError)

    def test_given_up(self) -> None:
        """Who gives up leaves a connection that goes on with the statement and serves others."""
        self.postgres.slow = True
        asked = [self.asking(str(number)) for number in range(3)]
        for link in self.postgres.links:
            link.go_on()  # connected
        for each in asked:
            each.cancel()
            self.failureResultOf(each, CancelledError)
        self.assertEqual((2, 0, 1), self.counts())
        for link in (*self.postgres.links, self.postgres.links[0]):
            link.go_on()
            self.clock.advance(0)
        self.assertEqual((2, 2, 0), self.counts())
        self.assertEqual(2, len(self.postgres.links))

    def test_crowd(self) -> None:
        """However many wait for a PostgreSQL that cannot be reached, each of them is told."""
        self.postgres.slow = True
        asked = [self.asking("one") for _ in range(300)]
        self.postgres.slow = self.postgres.up = False
        for link in list(self.postgres.links):
            link.close()
        self.clock.pump([0] * 310)
        for each in asked:
            self.failureResultOf(each, UnavailableError)
        self.assertEqual((0, 0, 0), self.counts())

    def test_whole_time(self) -> None:
        """Who asks waits for the deadline at most, for a connection and an answer together."""
        self.postgres.slow = True
        asked = [self.asking("one") for _ in range(3)]
        for link in self.postgres.links:
            link.go_on()  # connected
        self.clock.advance(DEADLINE - 1)
        self.postgres.links[0].go_on()
        self.clock.advance(0)
        self.successResultOf(asked[0])
        self.clock.advance(1)
        self.failureResultOf(asked[2], UnavailableError)
        # The statement goes on, and its connection serves others.
        self.assertEqual((2, 0, 0), self.counts())
        self.postgres.links[0].go_on()
        self.assertEqual((2, 1, 0), self.counts())
        self.failureResultOf(asked[1], UnavailableError)

    def test_refused(self) -> None:
        """A statement that PostgreSQL refuses leaves its connection as it was."""
        self.failureResultOf(self.asking("bad"), SqlError)
        self.assertTrue(self.pool.dependency.up)
        self.assertEqual((1, 1, 0), self.counts())

    def test_restarted(self) -> None:
        """A statement that finds its connection dead is asked again on another."""
        self.postgres.slow = True
        asked = [self.asking("one") for _ in range(2)]
        for link in self.postgres.links * 2:
            link.go_on()
        for each in asked:
            self.successResultOf(each)
        self.postgres.slow = False
        self.postgres.restart()
        self.assertEqual([("one",)], self.ask())
        self.assertEqual((1, 1, 0), self.counts())

    def test_dead_when_fresh(self) -> None:
        """But if a fresh connection breaks the statement fails."""
        self.postgres.slow = True
        asked = self.asking("one")
        [link] = self.postgres.links
        link.go_on()
        link.dead = True
        link.go_on()
        self.failureResultOf(asked, UnavailableError)
        self.assertEqual((0, 0, 0), self.counts())

    def test_late(self) -> None:
        """What took too long is not asked again."""
        self.ask()
        self.failureResultOf(self.asking("late"), UnavailableError)
        self.assertEqual((0, 0, 0), self.counts())
        self.assertEqual(1, len(self.postgres.links))

    def test_ended(self) -> None:
        """The end of an idle connection is noted."""
        self.ask()
        [link] = self.postgres.links
        link.ended(link)  # type: ignore[arg-type] # it behaves as a Link
        self.assertEqual((0, 0, 0), self.counts())
        self.assertIsNone(self.pool.dependency.heard)  # whether all is well is to be asked
        link.ended(link)  # type: ignore[arg-type] # and twice is once
        self.ask()
        self.assertEqual(2, len(self.postgres.links))

    def test_down(self) -> None:
        """While PostgreSQL is down everybody is told, and the log once."""
        self.postgres.up = False
        with capturedLogs() as events:
            for _ in range(3):
                self.failureResultOf(self.asking("one"), UnavailableError)
                self.assertFalse(self.pool.dependency.up)
                self.clock.advance(1.5)
            self.postgres.up = True
            for _ in range(3):
                self.ask()
                self.clock.advance(1.5)
        self.assertEqual(
            [
                "PostgreSQL does not answer: connection refused",
                "PostgreSQL answers again, after 4.5 s",
            ],
            [formatEvent(event) for event in events],
        )
        self.assertEqual((1, 1, 0), self.counts())

    def test_reasons(self) -> None:
        """Who wants to know the reason can."""
        self.postgres.up = False
        failure = self.failureResultOf(
            Deferred.fromCoroutine(self.pool.attempt("one", {})), BrokenLinkError
        )
        self.assertEqual("connection refused", str(failure.value))

    def test_stopped(self) -> None:
        """When the pool stops, what is under way fails, nothing is left, and nobody complains."""
        self.postgres.slow = True
        asked = [self.asking("one") for _ in range(2)]
        with capturedLogs() as events:
            self.pool.stopService()
        self.assertEqual([], list(events))
        for each in asked:
            self.failureResultOf(each, UnavailableError)
        self.assertEqual((0, 0, 0), self.counts())

    def test_stopped_with_waiting(self) -> None:
        """Those who wait for a connection when the pool stops are told, too."""
        self.postgres.slow = True
        asked = [self.asking("one") for _ in range(5)]
        self.pool.stopService()
        for each in asked:
            self.failureResultOf(each, UnavailableError)
        self.assertEqual((0, 0, 0), self.counts())

    def test_parameters(self) -> None:
        """libpq is told what the settings say, and nothing else."""
        self.ask()
        self.assertEqual(
            {
                "host": "/run",
                "port": 5432,
                "user": "me",
                "dbname": "db",
                "sslmode": "disable",
                "application_name": "",
                "keepalives_idle": "30",
                "keepalives_interval": "10",
                "keepalives_count": "3",
                "tcp_user_timeout": "30000",
            },
            self.postgres.links[0].parameters,
        )

    def test_own_keepalive(self) -> None:
        """How soon a peer that has vanished is noticed can be set in DATABASE_URL."""
        self.pool = self.make_pool(extra={"keepalives_idle": "5"})
        self.ask()
        self.assertEqual("5", self.postgres.links[0].parameters["keepalives_idle"])

    def test_addresses(self) -> None:
        """Host names are resolved by Twisted, for libpq would block."""
        self.pool = self.make_pool(host="127.0.0.1", password="pass", extra={"options": "-c x=1"})
        self.ask()
        parameters = self.postgres.links[0].parameters
        self.assertEqual(("127.0.0.1",) * 2, (parameters["host"], parameters["hostaddr"]))
        self.assertEqual(("pass", "-c x=1"), (parameters["password"], parameters["options"]))

    def test_resolved(self) -> None:
        """A host with several addresses is tried at each of them."""
        self.clock.installNameResolver(MemoryResolver({"db": ["10.0.0.1", "::1", "10.0.0.1"]}))
        self.pool = self.make_pool(host="db")
        self.ask()
        parameters = self.postgres.links[0].parameters
        self.assertEqual(("db,db", "10.0.0.1,::1"), (parameters["host"], parameters["hostaddr"]))

    def test_unknown_host(self) -> None:
        """A host name without addresses is told as such."""
        self.clock.installNameResolver(MemoryResolver({}))
        self.pool = self.make_pool(host="no.such.host.invalid")
        failure = self.failureResultOf(
            Deferred.fromCoroutine(self.pool.attempt("one", {})), BrokenLinkError
        )
        self.assertEqual("the host name no.such.host.invalid is not known", str(failure.value))
        self.assertEqual((0, 0, 0), self.counts())

    def test_certificates(self) -> None:
        """libpq is told where the certificates are that it may trust, if somebody has said so."""
        for sslrootcert in (None, "/etc/mine.pem"):
            self.pool = self.make_pool(sslmode="verify-full", sslrootcert=sslrootcert)
            self.ask()
        roots = [link.parameters.get("sslrootcert") for link in self.postgres.links]
        self.assertEqual([None, "/etc/mine.pem"], roots)
