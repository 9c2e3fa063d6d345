"""
Single promises for the time when Redis or PostgreSQL fails; `make chaos` has them all at once.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection

import psycopg2
import psycopg2.extensions
from twisted.trial.unittest import SynchronousTestCase
from websockets.exceptions import InvalidStatus

from flodgatt_tx.demo import servers
from flodgatt_tx.demo.processes import POSTGRES_USER
from flodgatt_tx.demo.servers import DATABASE, Servers
from flodgatt_tx.demo.site import SCHEMA
from tests.integration.site import (
    API,
    Daemon,
    Person,
    Rails,
    Redis,
    Socket,
    eventually,
    family,
    get,
    lives,
)

LATEST = 16.0  # seconds until a client is refused: 15 for the lookup, one for the way
_UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
SILENT = '{"event":"delete","payload":"%s"}'


@functools.cache
def own_servers() -> Servers:
    """Start servers for these tests alone, for here they are broken."""
    opened = servers.start()
    atexit.register(opened.stop)
    opened.create_database()
    opened.load(SCHEMA)
    return opened


class FaultTestCase(SynchronousTestCase):
    """A daemon of one's own, and somebody who listens at home."""

    def setUp(self) -> None:
        """Let somebody listen."""
        self.servers = own_servers()
        self.rails = Rails(self.servers)
        self.addCleanup(lambda: self.rails.redis.close())
        self.daemon = Daemon(self.servers.environment())
        self.addCleanup(self.daemon.stop)
        self.person = self.rails.person()
        self.socket = self.daemon.websocket(self.person.token, stream="user")
        self.addCleanup(self.socket.close)
        self.rails.hears_of(self.person.home)

    def assert_hears(self, socket: Socket, channel: str) -> None:
        """Fail unless what is published now is the next thing that comes."""
        self.rails.hears_of(channel)
        # A deletion is not judged: it needs no PostgreSQL on any channel.
        self.rails.publish(channel, "delete", "7")
        self.assertEqual("delete", socket.hears()["event"])


class RedisTests(FaultTestCase):
    """Redis goes, refuses, and hangs up; whoever is connected stays, and hears on."""

    def stop(self) -> None:
        """End Redis."""
        self.servers.stop_server("redis")

    def start(self) -> None:
        """Let Redis come back."""
        self.servers.start_server("redis")
        self.rails.redis.close()
        self.rails.redis = Redis(self.servers.redis_port)

    def refused(self, count: int) -> None:
        """Wait until Redis has refused the daemon."""
        text = "Redis refused us"
        eventually(lambda: self.daemon.log.count(text) >= count, f"{text} {count} times")

    def test_pending(self) -> None:
        """A stream asked for while Redis is away is neither refused nor forgotten."""
        self.stop()
        self.socket.subscribe("hashtag", tag="away")
        self.socket.subscribe("public:local")
        # Something that is refused comes back at once: nothing was said about those before.
        self.socket.subscribe("nonsense")
        self.assertIn("error", self.socket.hears())
        self.start()
        self.assert_hears(self.socket, "timeline:hashtag:away")
        self.assert_hears(self.socket, "timeline:public:local")

    def test_taken_back(self) -> None:
        """A stream that was taken back while Redis was away is not subscribed on its return."""
        self.stop()
        self.socket.subscribe("hashtag", tag="back")
        self.socket.unsubscribe("hashtag", tag="back")
        self.start()
        self.assert_hears(self.socket, self.person.home)
        self.assertNotIn("timeline:hashtag:back", self.rails.redis.channels())

    def test_keys_lost(self) -> None:
        """A Redis that has lost all keys but no connection is told again when it comes back."""
        self.rails.redis("FLUSHALL")
        self.rails.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        key = f"subscribed:{self.person.home}"
        eventually(lambda: self.rails.redis("EXISTS", key), "the key is written again")

    def test_hung_up(self) -> None:
        """The connection that subscribes is made again."""
        self.rails.redis("CLIENT", "KILL", "TYPE", "pubsub")
        self.assert_hears(self.socket, self.person.home)

    def test_overflow(self) -> None:
        """So it is when Redis has cut it because too much was waiting there."""
        limit = ("CONFIG", "SET", "client-output-buffer-limit")
        self.rails.redis(*limit, "pubsub 100kb 0 0")
        self.addCleanup(lambda: self.rails.redis(*limit, "pubsub 32mb 8mb 60"))
        clients = self.rails.redis("CLIENT", "LIST", "TYPE", "pubsub")
        self.rails.redis("PUBLISH", self.person.system, SILENT % ("1" * 2_000_000))
        eventually(lambda: self.subscriber() not in ("", clients.split()[0]), "a new connection")
        self.assert_hears(self.socket, self.person.home)

    def subscriber(self) -> str:
        """Name the connection that subscribes."""
        return str((self.rails.redis("CLIENT", "LIST", "TYPE", "pubsub").split() or [""])[0])

    def test_full(self) -> None:
        """A Redis that takes no more clients is asked again and again."""
        self.rails.redis("CONFIG", "SET", "maxclients", "1")
        self.addCleanup(lambda: self.rails.redis("CONFIG", "SET", "maxclients", "10000"))
        self.hang_up()
        self.refused(2)
        self.rails.redis("CONFIG", "SET", "maxclients", "10000")
        self.assert_hears(self.socket, self.person.home)

    def test_locked(self) -> None:
        """So is one that asks for a password; the log says so, and health stays OK."""
        self.rails.redis("CONFIG", "SET", "requirepass", "sesame")
        self.addCleanup(lambda: self.rails.redis("CONFIG", "SET", "requirepass", ""))
        self.hang_up()
        self.refused(2)
        self.assertIn("NOAUTH", self.daemon.log)
        self.assertEqual(b"OK", get(self.daemon.port, f"{API}/health")[2])
        self.rails.redis("CONFIG", "SET", "requirepass", "")
        self.assert_hears(self.socket, self.person.home)

    def hang_up(self) -> None:
        """End all connections but ours."""
        for kind in ("pubsub", "normal"):
            self.rails.redis("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


class DatabaseTests(FaultTestCase):
    """PostgreSQL goes, hangs, and is full: homes go on, newcomers are told when to return."""

    def assert_refused(self, person: Person) -> None:
        """Fail unless somebody new is refused by both doors, and told to come back."""
        doors: list[tuple[str, dict[str, str]]] = [(f"{API}/user", {}), (API, _UPGRADE)]
        with ThreadPoolExecutor() as pool:
            answers = list(pool.map(partial(self.ask, person), doors))
        for status, retry_after, seconds in answers:
            self.assertEqual((503, True), (status, int(retry_after) > 0))
            self.assertLess(seconds, LATEST)

    def ask(self, person: Person, door: tuple[str, dict[str, str]]) -> tuple[int, str, float]:
        """Ask to be let in; return status, Retry-After, and how long the answer took."""
        target, headers = door
        started = time.monotonic()
        connection = HTTPConnection("127.0.0.1", self.daemon.port, timeout=2 * LATEST)
        with contextlib.closing(connection):
            bearer = {"Authorization": f"Bearer {person.token}"}
            connection.request("GET", target, headers=bearer | headers)
            response = connection.getresponse()
            return (
                response.status,
                response.headers["Retry-After"] or "0",
                time.monotonic() - started,
            )

    def assert_let_in(self, person: Person) -> None:
        """Fail unless somebody new is let in soon, and served."""
        let_in = eventually(lambda: self.try_in(person), "somebody new is let in")
        self.addCleanup(let_in[0].close)
        self.assert_hears(let_in[0], person.home)
        self.daemon.is_well()

    def try_in(self, person: Person) -> list[Socket]:
        """Try to come in."""
        with contextlib.suppress(InvalidStatus):
            return [self.daemon.websocket(person.token, stream="user")]
        return []

    def test_immediate_restart(self) -> None:
        """PostgreSQL is ended without a word, and comes back."""
        person = self.rails.person()
        # It would forget what it has not written yet.
        self.rails.sql("CHECKPOINT")
        pid = self.servers.pids["postgres"]
        os.kill(pid, signal.SIGQUIT)
        eventually(lambda: not lives(pid), "PostgreSQL has ended")
        self.assert_refused(person)
        self.assert_hears(self.socket, self.person.home)
        eventually(self.started, "PostgreSQL is back")
        self.assert_let_in(person)

    def started(self) -> bool:
        """Start PostgreSQL, as soon as its end has been noticed."""
        with contextlib.suppress(servers.ServerError):
            self.servers.start_server("postgres")
            return True
        return False

    def test_hangs(self) -> None:
        """PostgreSQL neither answers nor hangs up, and then goes on."""
        person = self.rails.person()
        stopped = family(self.servers.pids["postgres"])
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        self.addCleanup(self.go_on, stopped)
        self.assert_hears(self.socket, self.person.home)
        self.assert_refused(person)
        self.assert_hears(self.socket, self.person.home)
        self.go_on(stopped)
        self.assert_let_in(person)

    def go_on(self, pids: list[int]) -> None:
        """Let stopped processes go on; some may have ended."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def test_full(self) -> None:
        """All connections of PostgreSQL are somebody else's."""
        person = self.rails.person()
        hoard = self.hoard()
        self.addCleanup(hoard.clear)
        self.assert_refused(person)
        self.assert_hears(self.socket, self.person.home)
        while hoard:
            hoard.pop().close()
        self.assert_let_in(person)

    def hoard(self) -> list[psycopg2.extensions.connection]:
        """Take all connections, those of the daemon too, however often it makes new ones."""
        first = self.connect()
        first.autocommit = True
        hoard = [first]

        ((most,),) = self.rails.sql("SHOW max_connections")

        def is_alone() -> bool:
            with contextlib.suppress(psycopg2.OperationalError):
                while True:
                    hoard.append(self.connect())
            mine = [connection.info.backend_pid for connection in hoard]
            with first.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = %s AND pid <> ALL (%s)",
                    (DATABASE, mine),
                )
            return len(hoard) == int(most)

        eventually(is_alone, "the daemon has no connection")
        return hoard

    def connect(self) -> psycopg2.extensions.connection:
        """Take one."""
        port = self.servers.postgres_port
        return psycopg2.connect(
            host=self.servers.host, port=port, user=POSTGRES_USER, dbname=DATABASE
        )
