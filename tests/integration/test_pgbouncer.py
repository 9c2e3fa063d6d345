"""
PgBouncer between this server and PostgreSQL, handing out its few connections by the transaction.

It is Debian's `pgbouncer`; where that is not installed these tests are skipped.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, cast

import psycopg2
from psycopg2.extras import RealDictCursor
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from flodgatt_tx.database_settings import DatabaseSettings
from flodgatt_tx.demo import servers
from flodgatt_tx.demo.processes import HOST, POSTGRES_USER, free_port, identity
from flodgatt_tx.demo.servers import DATABASE, Servers
from flodgatt_tx.demo.site import PEOPLE, SCHEMA
from flodgatt_tx.edge import link
from flodgatt_tx.edge.database import Pool
from flodgatt_tx.edge.mastodon import MastodonDatabase
from flodgatt_tx.errors import UnavailableError
from flodgatt_tx.feeds import ALL_OPEN
from tests.integration.site import PATIENCE, eventually, happens

# Debian's is where only root's PATH leads.
PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
ALICE = 110_000_000_000_000_001

CONFIGURATION = """
[databases]
* = host={host} port={postgres_port}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {directory}/users
admin_users = {user}
pool_mode = transaction
default_pool_size = {size}
server_login_retry = 1
query_wait_timeout = {patience}
"""


@functools.cache
def own_postgres() -> Servers:
    """Start a PostgreSQL for these tests alone, for they stop it."""
    opened = servers.start(["postgres"])
    atexit.register(opened.stop)
    opened.create_database()
    opened.load(SCHEMA)
    opened.load(PEOPLE)
    # It does not care to survive a crash but for what it has been told to save.
    opened.sql("CHECKPOINT")
    return opened


class Bouncer:
    """
    A running PgBouncer with so many connections to PostgreSQL.

    For one of them clients wait *patience* seconds, also while PostgreSQL is away.
    """

    def __init__(self, size: int, patience: int) -> None:
        self.port = free_port()
        # As root it refuses to run, and whom it runs as instead must find its files.
        self._folder = tempfile.TemporaryDirectory(prefix="flodgatt-bouncer-")
        directory = Path(self._folder.name)
        directory.chmod(0o755)
        (directory / "users").write_text(f'"{POSTGRES_USER}" ""\n')
        configuration = directory / "pgbouncer.ini"
        configuration.write_text(
            CONFIGURATION.format(
                host=HOST,
                postgres_port=own_postgres().postgres_port,
                port=self.port,
                directory=directory,
                user=POSTGRES_USER,
                size=size,
                patience=patience,
            )
        )
        assert PROGRAM is not None
        self._process = subprocess.Popen(
            [PROGRAM, "--quiet", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **identity(),
        )
        eventually(self._answers, "PgBouncer answers")

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()

    def show(self, what: str) -> list[dict[str, Any]]:
        """Ask its console."""
        with contextlib.closing(self._connect("pgbouncer")) as connection:
            connection.autocommit = True
            with connection.cursor(cursor_factory=RealDictCursor) as cursor:
                cursor.execute(f"SHOW {what}")
                return [row for row in cursor.fetchall() if row.get("database") == DATABASE]

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask PostgreSQL as another of its clients."""
        with contextlib.closing(self._connect(DATABASE)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall())

    def _answers(self) -> bool:
        try:
            self._connect(DATABASE).close()
        except psycopg2.OperationalError:
            assert self._process.poll() is None, "PgBouncer has ended"
            return False
        return True

    def _connect(self, database: str) -> Any:
        return psycopg2.connect(
            host=HOST, port=self.port, user=POSTGRES_USER, dbname=database, application_name="test"
        )


class BouncerTests(TestCase):
    """All questions are answered through it."""

    if PROGRAM is None:
        skip = "pgbouncer is not installed"

    def through(self, size: int, patience: int = 60) -> tuple[Bouncer, MastodonDatabase]:
        """Ask through a PgBouncer, until the test ends."""
        bouncer = Bouncer(size, patience)
        self.addCleanup(bouncer.stop)
        settings = DatabaseSettings(
            user=POSTGRES_USER, database=DATABASE, host=HOST, port=bouncer.port
        )
        self.pool = Pool(reactor, settings)
        self.addCleanup(self.pool.stopService)
        return bouncer, MastodonDatabase(self.pool)

    async def ask_everything(self, mastodon: MastodonDatabase, times: int = 1) -> None:
        """Ask every question so many times, all at once; fail unless each has its answer."""
        questions = [
            lambda: mastodon.viewers(["demo-alice", "demo-nobody"]),
            lambda: mastodon.viewers_again([-1]),
            lambda: mastodon.list_owners([1]),
            lambda: mastodon.relations([-1], [-1]),
            lambda: mastodon.domain_blocks([-1]),
            lambda: mastodon.filters([-1]),
            lambda: mastodon.closed_feeds(),
            lambda: mastodon.namespaced(),
        ]
        asked = [Deferred.fromCoroutine(question()) for _ in range(times) for question in questions]
        answers: list[Any] = await gatherResults(asked, consumeErrors=True)
        for index in range(0, len(answers), len(questions)):
            viewers, again, owners, relations, domains, filters, closed, namespaced = answers[
                index : index + len(questions)
            ]
            self.assertEqual({"demo-alice": ALICE}, {k: v.account_id for k, v in viewers.items()})
            self.assertEqual(({}, {}, {}), (again, domains, filters))
            self.assertEqual(({}, {}), (dict(relations.averse), dict(relations.shunned)))
            self.assertEqual(({1: ALICE}, ALL_OPEN, False), (owners, closed, namespaced))

    async def test_one_connection(self) -> None:
        """A hundred questions at once share one connection of PostgreSQL's."""
        bouncer, mastodon = self.through(1)
        await self.ask_everything(mastodon, 13)
        self.assertEqual(10, len(bouncer.show("CLIENTS")))
        self.assertEqual(1, len(bouncer.show("SERVERS")))

    async def test_two_connections(self) -> None:
        """So they do with two, which come to see statements of each client."""
        bouncer, mastodon = self.through(2)
        for _ in range(3):
            await self.ask_everything(mastodon, 7)
        self.assertEqual(2, len(bouncer.show("SERVERS")))

    async def test_nothing_left(self) -> None:
        """Nothing is left behind that the next client of a connection could stumble over."""
        bouncer, mastodon = self.through(1)
        statement = (
            "SELECT (SELECT count(*) FROM pg_prepared_statements),"
            " (SELECT count(*) FROM pg_cursors),"
            " (SELECT count(*) FROM pg_listening_channels()),"
            " (SELECT count(*) FROM pg_settings"
            "  WHERE source = 'session' AND name <> 'application_name'),"
            " current_setting('transaction_isolation')"
        )
        before = bouncer.ask(statement)
        await self.ask_everything(mastodon, 7)
        self.assertEqual(before, bouncer.ask(statement))
        self.assertEqual((0, 0, 0, 0), before[0][:4])

    async def test_too_slow(self) -> None:
        """What takes too long is given up behind it, too, and nobody else is hurried by that."""
        bouncer, mastodon = self.through(1)
        await self.ask_everything(mastodon)
        self.patch(link, "_LIMITED", "SET LOCAL statement_timeout = 100; ")
        with self.assertRaises(UnavailableError):
            await self.pool.query("SELECT 1 FROM pg_sleep(5)", {})
        self.assertEqual([("0",)], bouncer.ask("SELECT current_setting('statement_timeout')"))

    async def test_application_name(self) -> None:
        """No client has a name, which PgBouncer would have to set with each transaction."""
        bouncer, mastodon = self.through(2)
        await self.ask_everything(mastodon, 7)
        names = {each["application_name"] for each in bouncer.show("CLIENTS")}
        self.assertEqual({""}, names)
        rows = own_postgres().sql(
            "SELECT DISTINCT application_name FROM pg_stat_activity"
            " WHERE datname = %s AND pid <> pg_backend_pid() AND state = 'idle'",
            [DATABASE],
        )
        self.assertEqual([("",)], rows)

    async def test_away(self) -> None:
        """PostgreSQL may be away for longer: nobody is told more than to come again."""
        _, mastodon = self.through(2, patience=1)
        await self.ask_everything(mastodon, 7)
        own_postgres().stop_server("postgres")
        try:
            for _ in range(3):
                with self.assertRaises(UnavailableError):
                    await mastodon.viewers(["demo-alice"])
        finally:
            own_postgres().start_server("postgres")
        await self.recovers(mastodon)

    async def test_restart(self) -> None:
        """PostgreSQL may restart behind it: who asks meanwhile is answered, or may come again."""
        _, mastodon = self.through(2)
        await self.ask_everything(mastodon, 7)
        own_postgres().stop_server("postgres")
        asked = [Deferred.fromCoroutine(mastodon.viewers(["demo-alice"])) for _ in range(5)]
        own_postgres().start_server("postgres")
        for each in asked:
            with contextlib.suppress(UnavailableError):
                self.assertEqual(["demo-alice"], list(await each))
        await self.recovers(mastodon)

    async def test_crash(self) -> None:
        """A question that is cut off by a crash is asked again, and answered or "unavailable"."""
        _, mastodon = self.through(1)
        ((backend,),) = await self.pool.query("SELECT pg_backend_pid()", {})
        asked = Deferred.fromCoroutine(self.pool.query("SELECT 1 FROM pg_sleep(1)", {}))
        statement = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        await happens(lambda: own_postgres().sql(statement) == [(1,)], "the statement runs")
        os.kill(backend, signal.SIGKILL)
        with contextlib.suppress(UnavailableError):
            self.assertEqual([(1,)], await asked)
        await self.recovers(mastodon)

    async def recovers(self, mastodon: MastodonDatabase) -> None:
        """Ask everything until there are answers; until then nothing but "unavailable" counts."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                await mastodon.viewers(["demo-alice"])
                break
            except UnavailableError:
                self.assertLess(time.monotonic(), deadline)
                await deferLater(cast(Any, reactor), 0.05)
        await self.ask_everything(mastodon, 7)

    async def test_its_own_restart(self) -> None:
        """PgBouncer itself may go, too."""
        bouncer, mastodon = self.through(2)
        await self.ask_everything(mastodon)
        bouncer.stop()
        with self.assertRaises(UnavailableError):
            await mastodon.viewers(["demo-alice"])
