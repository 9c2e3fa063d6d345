"""
The pool of connections over a real PostgreSQL, through what happens to one in its life.
"""

from __future__ import annotations

import atexit
import functools
from collections.abc import Iterable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import TestCase

from flodgatt_tx.database_settings import DatabaseSettings
from flodgatt_tx.demo import servers
from flodgatt_tx.demo.processes import POSTGRES_USER
from flodgatt_tx.demo.servers import Servers
from flodgatt_tx.demo.site import SCHEMA
from flodgatt_tx.edge import link
from flodgatt_tx.edge.database import Pool
from flodgatt_tx.edge.link import BrokenLinkError, SqlError
from flodgatt_tx.edge.mastodon import MastodonDatabase
from flodgatt_tx.errors import UNAVAILABLE, UnavailableError
from tests.integration.site import Rails, happens, new_database, shared_servers

DATABASE = "mastodon_development"


@functools.cache
def own_servers() -> Servers:
    """Start a PostgreSQL for these tests alone, for they stop it and change its rules."""
    opened = servers.start(["postgres"])
    atexit.register(opened.stop)
    opened.create_database()
    opened.load(SCHEMA)
    opened.sql("CREATE ROLE guarded LOGIN PASSWORD 'open sesame'")
    rules = opened.directory / "postgres" / "pg_hba.conf"
    rules.write_text(f"host all guarded 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
    opened.sql("SELECT pg_reload_conf()")
    return opened


class PoolTestCase(TestCase):
    """A test with a PostgreSQL that it may stop."""

    def setUp(self) -> None:
        """Find it running."""
        self.servers = own_servers()

    def pool(self, **settings: Any) -> Pool:
        """Make a pool that ends with the test."""
        values = {
            "user": POSTGRES_USER,
            "database": DATABASE,
            "host": self.servers.host,
            "port": self.servers.postgres_port,
        }
        pool = Pool(reactor, DatabaseSettings(**{**values, **settings}))
        self.addCleanup(pool.stopService)
        return pool

    async def one(self, pool: Pool, sql: str, **parameters: object) -> Any:
        """Ask for one value."""
        ((value,),) = await pool.query(sql, parameters)
        return value

    async def reason(self, **settings: Any) -> str:
        """Fail to connect, and return the reason."""
        with self.assertRaises(BrokenLinkError) as caught:
            await self.pool(**settings).attempt("SELECT 1", {})
        return str(caught.exception)


class QueryTests(PoolTestCase):
    """Statements and their answers."""

    async def test_values(self) -> None:
        """Parameters arrive as they are, and so do answers."""
        sql = "SELECT %(text)s, %(number)s, %(many)s"
        values = {"text": "'; -- हिन्दी", "number": 2**62, "many": ["a", "b"]}
        self.assertEqual([tuple(values.values())], await self.pool().query(sql, values))

    async def test_refused(self) -> None:
        """PostgreSQL's refusal is told by its SQLSTATE, and never quotes the statement."""
        pool = self.pool()
        with self.assertRaises(SqlError) as caught:
            await pool.query("SELECT %(token)s FROM nowhere", {"token": "secret"})
        self.assertEqual("SQLSTATE 42P01", str(caught.exception))
        self.assertIsNone(caught.exception.__cause__)
        self.assertEqual(1, await self.one(pool, "SELECT 1"))
        self.assertEqual((1, 1), (pool.total, pool.idle))

    async def test_together(self) -> None:
        """As many statements run together as there may be connections; the others wait."""
        pool = self.pool(pool=2)
        running = [
            Deferred.fromCoroutine(self.one(pool, "SELECT pg_backend_pid() FROM pg_sleep(0.05)"))
            for _ in range(6)
        ]
        self.assertEqual((2, 4), (pool.total, pool.waiting))
        backends = await gatherResults(running)
        self.assertEqual(2, len(set(backends)))
        self.assertEqual((2, 2, 0), (pool.total, pool.idle, pool.waiting))

    async def test_cancelled(self) -> None:
        """Who does not wait for an answer any more costs a connection, and nobody else anything."""
        pool = self.pool(pool=1)
        asked = Deferred.fromCoroutine(self.one(pool, "SELECT 1 FROM pg_sleep(5)"))
        asked.addErrback(lambda failure: None)
        await happens(lambda: self.active() == 1, "the statement runs")
        asked.cancel()
        self.assertEqual(2, await self.one(pool, "SELECT 2"))

    def active(self) -> int:
        """Count the statements that sleep."""
        statement = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        ((count,),) = self.servers.sql(statement)
        return int(count)

    async def test_too_slow(self) -> None:
        """PostgreSQL gives up what takes too long, and does not go on with it for nobody."""
        pool = self.pool(pool=1)
        backend = await self.one(pool, "SELECT pg_backend_pid()")
        self.patch(link, "_LIMITED", "SET LOCAL statement_timeout = 100; ")
        with self.assertRaises(UnavailableError):
            await pool.query("SELECT 1 FROM pg_sleep(5)", {})
        self.assertEqual(0, self.active())
        self.assertEqual(backend, await self.one(pool, "SELECT pg_backend_pid()"))

    async def test_limit(self) -> None:
        """That is a second before we give up ourselves."""
        limit = await self.one(self.pool(), "SELECT current_setting('statement_timeout')")
        self.assertEqual("14s", limit)

    async def test_application_name(self) -> None:
        """Connections have no application name: PgBouncer would set it with every transaction."""
        name = await self.one(self.pool(), "SELECT current_setting('application_name')")
        self.assertEqual("", name)


class ConnectTests(PoolTestCase):
    """Ways to reach PostgreSQL, and reasons why that fails."""

    async def test_unix_socket(self) -> None:
        """A host that is a folder is that of a UNIX socket."""
        pool = self.pool(host=str(self.servers.directory))
        self.assertIsNone(await self.one(pool, "SELECT inet_client_addr()::text"))

    async def test_host_name(self) -> None:
        """A host is found by its name, too."""
        pool = self.pool(host="localhost")
        self.assertIn("127.0.0.1", await self.one(pool, "SELECT inet_client_addr()::text"))

    async def test_password(self) -> None:
        """The password opens, and only the right one does."""
        pool = self.pool(user="guarded", password="open sesame")
        self.assertEqual("guarded", await self.one(pool, "SELECT current_user::text"))
        reason = await self.reason(user="guarded", password="open barley")
        self.assertIn('password authentication failed for user "guarded"', reason)
        self.assertNotIn("barley", reason)
        self.assertIn("no password supplied", await self.reason(user="guarded"))

    async def test_reasons(self) -> None:
        """Why a connection fails is told in one line."""
        for expected, settings in (
            ('role "nobody" does not exist', {"user": "nobody"}),
            ('database "nowhere" does not exist', {"database": "nowhere"}),
            ("the host name nowhere.invalid is not known", {"host": "nowhere.invalid"}),
            ("Connection refused", {"port": 1}),
            ("No such file or directory", {"host": "/nowhere"}),
        ):
            reason = await self.reason(**settings)
            self.assertIn(expected, reason)
            self.assertEqual(1, len(reason.splitlines()), reason)


class RestartTests(PoolTestCase):
    """PostgreSQL goes, and comes back."""

    def restart(self) -> None:
        """Let PostgreSQL go, and come back."""
        self.servers.stop_server("postgres")
        self.servers.start_server("postgres")

    async def idle_pool(self) -> Pool:
        """Make a pool of three connections that have nothing to do."""
        pool = self.pool(pool=3)
        statement = "SELECT 1 FROM pg_sleep(0.02)"
        await gatherResults([Deferred.fromCoroutine(self.one(pool, statement)) for _ in range(3)])
        self.assertEqual((3, 3), (pool.total, pool.idle))
        return pool

    async def test_unnoticed(self) -> None:
        """Connections that have died unnoticed are replaced as they are needed."""
        pool = await self.idle_pool()
        self.restart()
        self.assertEqual(4, await self.one(pool, "SELECT 4"))

    async def test_noticed(self) -> None:
        """Connections that have died are noticed, without a word in the log."""
        pool = await self.idle_pool()
        with capturedLogs() as events:
            self.restart()
            await happens(lambda: pool.total == 0, "the connections are gone")
        self.assertEqual([], list(told(events)))
        self.assertEqual(5, await self.one(pool, "SELECT 5"))

    async def test_away(self) -> None:
        """While PostgreSQL is away each question fails at once, and the log says so once."""
        pool = await self.idle_pool()
        self.servers.stop_server("postgres")
        with capturedLogs() as events:
            try:
                for _ in range(3):
                    with self.assertRaises(UnavailableError) as caught:
                        await pool.query("SELECT 1", {})
                    self.assertEqual(UNAVAILABLE, caught.exception.message)
            finally:
                self.servers.start_server("postgres")
            self.assertEqual(6, await self.one(pool, "SELECT 6"))
        away, back = told(events)
        self.assertTrue(away.startswith("PostgreSQL does not answer: "), away)
        self.assertTrue(back.startswith("PostgreSQL answers again, after "), back)

    async def test_while_asking(self) -> None:
        """A statement that is cut off by the restart fails as unavailable, if it was alone."""
        pool = self.pool(pool=1)
        asked = Deferred.fromCoroutine(self.one(pool, "SELECT 1 FROM pg_sleep(5)"))
        statement = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        await happens(lambda: self.servers.sql(statement) == [(1,)], "the statement runs")
        self.restart()
        with self.assertRaises(UnavailableError):
            await asked
        self.assertEqual(7, await self.one(pool, "SELECT 7"))


class MigrationTests(TestCase):
    """Mastodon's tables change while we are connected."""

    def setUp(self) -> None:
        """Make a database that can be changed."""
        database = new_database()
        self.rails = Rails(shared_servers(), database)
        self.addCleanup(self.rails.redis.close)
        settings = DatabaseSettings(
            user=POSTGRES_USER,
            database=database,
            host=shared_servers().host,
            port=shared_servers().postgres_port,
        )
        pool = Pool(reactor, settings)
        self.addCleanup(pool.stopService)
        self.mastodon = MastodonDatabase(pool)

    async def assert_known(self, token: str, permissions: int) -> None:
        """Fail unless a token is good, for somebody with these permissions."""
        viewers = await self.mastodon.viewers([token])
        self.assertEqual(permissions, viewers[token].permissions)

    async def test_column_dropped(self) -> None:
        """A column that is gone is asked for no more."""
        self.rails.sql("INSERT INTO user_roles (id, permissions) VALUES (7, 4)")
        token = self.rails.person(role_id=7).token
        await self.assert_known(token, 4)
        self.rails.sql("ALTER TABLE users DROP COLUMN role_id")
        await self.assert_known(token, 0)

    async def test_table_dropped(self) -> None:
        """The same goes for tables."""
        token = self.rails.person().token
        await self.assert_known(token, 0)
        self.rails.sql("DROP TABLE user_roles CASCADE; ALTER TABLE users DROP COLUMN role_id")
        await self.assert_known(token, 0)

    async def test_older(self) -> None:
        """With the tables of an older Mastodon the questions are others from the beginning."""
        token = self.rails.person().token
        self.rails.sql(
            "ALTER TABLE users DROP COLUMN role_id; DROP TABLE user_roles;"
            " DROP TABLE custom_filter_keywords, custom_filter_statuses;"
            " ALTER TABLE mutes DROP COLUMN expires_at;"
            " ALTER TABLE settings ADD COLUMN thing_type varchar"
        )
        await self.assert_known(token, 0)
        self.assertIsNone(await self.mastodon.filters([1]))
        self.assertTrue(await self.mastodon.namespaced())
        relations = await self.mastodon.relations([1], [1])
        self.assertEqual({}, dict(relations.averse))


def told(events: Iterable[Any]) -> Iterable[str]:
    """Choose what our own parts have logged."""
    return (formatEvent(event) for event in events if event["log_namespace"].startswith("flodgatt"))
