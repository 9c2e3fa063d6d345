"""The demonstration's servers: real ones, that leave nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase, TestCase
from txredisapi import SubscriberProtocol
from typing_extensions import override

import flodgatt_tx
from flodgatt_tx.demo import servers, site
from flodgatt_tx.demo.people import PEOPLE
from flodgatt_tx.demo.plan import Publication
from flodgatt_tx.demo.publisher import Publisher
from flodgatt_tx.demo.servers import ServerError, Servers

# What a process does that opens the servers, says where they are, and waits.
PARENT = """
import json, sys, time
from flodgatt_tx.demo import servers
opened = servers.start()
print(json.dumps({"directory": str(opened.directory), "pids": opened.pids}), flush=True)
time.sleep(60)
"""


def ping(port: int) -> bytes:
    """Ask a Redis whether it is there."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as redis:
        redis.sendall(b"PING\r\n")
        return redis.recv(100)


def lives(pid: int) -> bool:
    """Tell whether a process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def happens(condition: Callable[[], bool], within: float = 10) -> bool:
    """Wait until *condition* holds, and tell whether it came to that."""
    deadline = time.monotonic() + within
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


class ServersTests(SynchronousTestCase):
    """Servers start, answer, restart and go."""

    def open(self, **options: Any) -> Servers:
        """Start servers that end with the test."""
        opened = servers.start(**options)
        self.addCleanup(opened.stop)
        return opened

    def test_site(self) -> None:
        """A site has a Redis that answers and a database of the people whom the publisher knows."""
        opened = site.open_site()
        self.addCleanup(opened.stop)
        self.assertEqual(b"+PONG\r\n", ping(opened.redis_port))
        rows = opened.sql(
            "SELECT accounts.id, username, domain"
            " FROM accounts LEFT JOIN users ON account_id = accounts.id"
            " WHERE suspended_at IS NULL AND disabled IS NOT TRUE ORDER BY accounts.id"
        )
        expected = [(p.id, p.username, p.domain and ascii_domain(p.domain)) for p in PEOPLE]
        self.assertEqual(expected, rows)
        self.assertEqual(
            [("alice", "read write follow push")],
            opened.sql(
                "SELECT username, scopes FROM oauth_access_tokens JOIN users"
                " ON users.id = resource_owner_id JOIN accounts ON accounts.id = account_id"
                " WHERE token = %s",
                ["demo-alice"],
            ),
        )

    def test_environment(self) -> None:
        """The environment says in Mastodon's variables where everything is."""
        opened = self.open()
        environment = opened.environment("other")
        self.assertEqual(str(opened.redis_port), environment["REDIS_PORT"])
        self.assertEqual(str(opened.postgres_port), environment["DB_PORT"])
        self.assertEqual("other", environment["DB_NAME"])

    def test_stop_leaves_nothing(self) -> None:
        """After stopping there is no process and no directory, even if a server was stopped."""
        opened = servers.start()
        os.kill(opened.pids["redis"], signal.SIGSTOP)
        opened.stop()
        self.assertEqual([], [pid for pid in opened.pids.values() if lives(pid)])
        self.assertFalse(opened.directory.exists())

    def test_restart(self) -> None:
        """A server comes back on its port; PostgreSQL has its databases still."""
        opened = self.open()
        opened.create_database("kept")
        ports = opened.redis_port, opened.postgres_port
        for name in ("redis", "postgres"):
            opened.stop_server(name)
            self.assertNotIn(name, opened.pids)
            opened.start_server(name)
        self.assertEqual(ports, (opened.redis_port, opened.postgres_port))
        self.assertEqual([(1,)], opened.sql("SELECT 1", database="kept"))

    def test_copies_of_a_database(self) -> None:
        """A database can be made as a copy of another."""
        opened = self.open(names=["postgres"])
        opened.create_database("first")
        opened.sql("CREATE TABLE t AS SELECT 7 AS n", database="first")
        opened.create_database("second", template="first")
        self.assertEqual([(7,)], opened.sql("SELECT n FROM t", database="second"))

    def test_redis_alone(self) -> None:
        """A further Redis can be started alone, where and how one wants it."""
        port = self.open(names=["redis"]).redis_port
        with self.assertRaises(ServerError) as caught:
            servers.start(["redis"], redis_port=port)
        self.assertIn("Address already in use", str(caught.exception))
        guarded = self.open(names=["redis"], redis_options=["--requirepass", "secret"])
        self.assertTrue(ping(guarded.redis_port).startswith(b"-NOAUTH"))

    def test_mistakes(self) -> None:
        """What cannot be done is refused, and the servers go on."""
        opened = self.open(names=["redis"])
        self.assertRaises(ServerError, opened.start_server, "redis")
        self.assertRaises(ServerError, opened.stop_server, "postgres")
        self.assertEqual(b"+PONG\r\n", ping(opened.redis_port))


class EndOfTheParentTests(SynchronousTestCase):
    """However the process ends that opened the servers, they end too."""

    @override
    def setUp(self) -> None:
        """Start a process, in a process group of its own, that opens servers."""
        self.parent = subprocess.Popen(
            [sys.executable, "-c", PARENT],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(Path(flodgatt_tx.__file__).parent.parent)},
            process_group=0,
        )
        assert self.parent.stdout is not None
        self.addCleanup(self.parent.wait)
        self.addCleanup(self.parent.stdout.close)
        self.addCleanup(self.parent.kill)
        self.opened = json.loads(self.parent.stdout.readline())

    def assert_nothing_left(self) -> None:
        """Fail unless the servers and their directory are gone soon."""
        pids = self.opened["pids"].values()
        self.assertTrue(happens(lambda: not any(map(lives, pids))))
        self.assertTrue(happens(lambda: not Path(self.opened["directory"]).exists()))

    def test_kill(self) -> None:
        """SIGKILL, after which nobody can tidy up himself, leaves nothing."""
        self.parent.kill()
        self.assert_nothing_left()

    def test_interrupt(self) -> None:
        """Ctrl-C, which goes to the whole process group, leaves nothing."""
        os.killpg(self.parent.pid, signal.SIGINT)
        self.assert_nothing_left()


class PublisherTests(TestCase):
    """The publisher reaches a real Redis."""

    async def test_publishes(self) -> None:
        """A subscriber hears what is planned, and nothing that waits for a key."""
        opened = servers.start(["redis"])
        self.addCleanup(opened.stop)
        endpoint = TCP4ClientEndpoint(reactor, opened.host, opened.redis_port)
        heard: Deferred[tuple[object, ...]] = Deferred()

        class Subscriber(SubscriberProtocol):
            @override
            def messageReceived(self, *message: object) -> None:
                if not heard.called:
                    heard.callback(message)

        subscriber: Any = await endpoint.connect(
            Factory.forProtocol(lambda: Subscriber(charset=None, convertNumbers=False))
        )
        self.addCleanup(subscriber.transport.abortConnection)
        await subscriber.subscribe(["here"])
        planned = [Publication("here", b"gated", ("nobody",)), Publication("here", b"open")]
        publisher: Any = Publisher(endpoint, reactor, Random(1), 0.01, lambda *_: planned)
        publisher.startService()
        self.addCleanup(publisher.stopService)
        self.assertEqual((None, b"here", b"open"), await heard)


def ascii_domain(domain: str) -> str:
    """Write a domain as the database has it."""
    return domain.encode("idna").decode()
