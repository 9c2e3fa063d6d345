"""
What somebody who runs the daemon relies on: readiness, gaps that are told, going down, systemd.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import select
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.demo import servers
from flodgatt_tx.demo.processes import POSTGRES_USER
from flodgatt_tx.demo.servers import DATABASE, Servers
from flodgatt_tx.demo.site import SCHEMA
from tests.integration.site import (
    API,
    PATIENCE,
    Daemon,
    Rails,
    eventually,
    get,
    run_twistd,
)


@functools.cache
def own_servers() -> Servers:
    """Start servers for these tests alone, for they stop them."""
    opened = servers.start()
    atexit.register(opened.stop)
    opened.create_database()
    opened.load(SCHEMA)
    return opened


class OperationsTestCase(SynchronousTestCase):
    """A test with a daemon of its own, and servers that it may stop."""

    def setUp(self) -> None:
        """Find them running."""
        self.servers = own_servers()
        self.rails = Rails(self.servers)
        self.addCleanup(self.rails.redis.close)

    def start(self, **more: str) -> Daemon:
        """Start a daemon, and wait until it is ready."""
        daemon = Daemon({**self.servers.environment(), **more})
        self.addCleanup(daemon.stop)
        eventually(lambda: self.state(daemon)[0] == 200, "it is ready")
        return daemon

    def state(self, daemon: Daemon) -> tuple[int, Any]:
        """Ask whether it is ready; return the status and what it says."""
        status, _, body = get(daemon.port, f"{API}/health/ready")
        return status, json.loads(body)

    def open_streams(self, daemon: Daemon, number: int) -> list[socket.socket]:
        """Let so many clients listen, over bare sockets."""
        token = self.rails.person().token
        opened = []
        for _ in range(number):
            client = self.ask(daemon, f"{API}/public", token)
            self.assertIn(b"200 OK", client.recv(4096))
            opened.append(client)
        eventually(lambda: daemon.metric("connected_clients") == number, "all are connected")
        return opened

    def ask(self, daemon: Daemon, target: str, token: str, headers: str = "") -> socket.socket:
        """Send a request, and wait for nothing."""
        client = socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE)
        self.addCleanup(client.close)
        head = f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{headers}\r\n"
        client.sendall(head.encode())
        return client

    def end_of(self, clients: list[socket.socket]) -> list[float]:
        """Read until all streams have ended; return when that was, in seconds from now."""
        began = time.monotonic()
        ends = []
        left = list(clients)
        while left:
            readable, _, _ = select.select(left, [], [], PATIENCE)
            self.assertTrue(readable, "nothing more comes")
            for client in readable:
                if not client.recv(65536):
                    ends.append(time.monotonic() - began)
                    left.remove(client)
        return ends


class ReadyTests(OperationsTestCase):
    """Servers that go, and come back."""

    @contextlib.contextmanager
    def without(self, name: str) -> Iterator[None]:
        """Do without a server."""
        self.servers.stop_server(name)
        try:
            yield
        finally:
            self.servers.start_server(name)

    def assert_notices(self, name: str, server: str) -> Daemon:
        """Fail unless readiness and metrics follow a server that goes and comes back."""
        daemon = self.start()
        went = datetime.now(UTC).replace(microsecond=0)
        with self.without(server):
            eventually(lambda: self.state(daemon)[0] == 503, "it is not ready any more")
            _, said = self.state(daemon)
            self.assertEqual(
                {"redis": name != "redis", "postgresql": name != "postgresql"},
                {each: said["dependencies"][each]["up"] for each in said["dependencies"]},
            )
            since = datetime.fromisoformat(said["dependencies"][name]["since"])
            self.assertTrue(went <= since <= went + timedelta(seconds=PATIENCE), said)
            self.assertNotIn("127.0.0.1", json.dumps(said))
            self.assertEqual(0, daemon.metric("dependency_up", dependency=name))
            self.assertEqual(200, get(daemon.port, f"{API}/health")[0])
        eventually(lambda: self.state(daemon)[0] == 200, "it is ready again")
        self.assertEqual(1, daemon.metric("dependency_up", dependency=name))
        daemon.is_well()
        return daemon

    def test_redis(self) -> None:
        """Redis' absence shows at once, and the gap that it leaves is told when it is over."""
        daemon = self.assert_notices("redis", "redis")
        self.assertEqual(1, daemon.metric("redis_gaps_total"))
        self.assertGreater(daemon.metric("redis_gap_seconds_total"), 0)
        self.assertIn("All is subscribed again; what was published in the last ", daemon.log)

    def test_postgres(self) -> None:
        """PostgreSQL's absence is noticed by a daemon that nobody asks anything."""
        daemon = self.assert_notices("postgresql", "postgres")
        self.assertIn("PostgreSQL answers again, after ", daemon.log)
        self.assertEqual(0, daemon.metric("redis_gaps_total"))

    def test_head(self) -> None:
        """HEAD is enough for a load balancer."""
        status, headers, body = get(self.start().port, f"{API}/health/ready", "HEAD")
        self.assertEqual((200, b""), (status, body))
        self.assertEqual("application/json", headers["content-type"])


class DrainTests(OperationsTestCase):
    """Going down with clients."""

    def test_spread(self) -> None:
        """Clients leave evenly over the time that it may take, and then it ends with 0."""
        daemon = self.start(FLODGATT_DRAIN_SECONDS="3")
        clients = self.open_streams(daemon, 160)
        daemon.process.send_signal(signal.SIGTERM)
        ends = self.end_of(clients)
        self.assertTrue(1 <= max(ends) <= 3, max(ends))
        for begin in (0, 0.5, 1):
            gone = sum(begin <= end < begin + 0.5 for end in ends)
            self.assertTrue(20 <= gone <= 90, (begin, gone))
        self.assertEqual(0, daemon.process.wait(2))
        daemon.is_well()

    def test_meanwhile(self) -> None:
        """Meanwhile nobody gets in, and who has a connection hears that it is not ready."""
        daemon = self.start()
        clients = self.open_streams(daemon, 100)
        watcher = self.ask(daemon, f"{API}/health/ready", "")
        self.assertIn(b"200 OK", watcher.recv(4096))
        daemon.process.send_signal(signal.SIGTERM)
        daemon.logs("Going down")
        watcher.sendall(f"GET {API}/health/ready HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = watcher.recv(4096)
        self.assertIn(b" 503 ", answer)
        self.assertIn(b'"leaving":true', answer)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", daemon.port))
        self.end_of(clients)
        self.assertEqual(0, daemon.process.wait(PATIENCE))

    def test_on_their_way_in(self) -> None:
        """Clients whose token is being looked up are told to come back, not cut off."""
        daemon = self.start()
        person = self.rails.person()
        upgrade = (
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        )
        with self.locked("oauth_access_tokens"):
            waiting = [
                self.ask(daemon, f"{API}/user", person.token),
                self.ask(daemon, API, person.token, upgrade),
            ]
            statement = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            eventually(lambda: self.servers.sql(statement) != [(0,)], "they are looked up")
            daemon.process.send_signal(signal.SIGTERM)
            for client in waiting:
                head = client.recv(4096).lower()
                self.assertIn(b" 503 ", head)
                self.assertIn(b"retry-after: 5", head)
            self.assertEqual(0, daemon.process.wait(PATIENCE))
        daemon.is_well()

    @contextlib.contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Let nobody read a table."""
        connection = psycopg2.connect(
            host=self.servers.host,
            port=self.servers.postgres_port,
            user=POSTGRES_USER,
            dbname=DATABASE,
        )
        try:
            connection.cursor().execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield
        finally:
            connection.close()

    def test_second_signal(self) -> None:
        """A second signal ends it at once, with status 1."""
        daemon = self.start()
        self.open_streams(daemon, 100)
        daemon.process.send_signal(signal.SIGTERM)
        daemon.logs("Going down")
        began = time.monotonic()
        self.assertEqual(1, daemon.stop())
        self.assertLess(time.monotonic() - began, 1)

    def test_nobody(self) -> None:
        """With nobody there it ends at once."""
        daemon = self.start()
        began = time.monotonic()
        self.assertEqual(0, daemon.stop())
        self.assertLess(time.monotonic() - began, 1)


class CrashTests(SynchronousTestCase):
    """What is no orderly end is not told as one."""

    def test_error_at_start(self) -> None:
        """An accident while it starts ends it with a status that is not 0."""
        with tempfile.TemporaryDirectory() as folder:
            logfile = f"--logfile={folder}/nowhere/log"
            done = run_twistd(
                "-n", "--pidfile=", logfile, "flodgatt", environment=own_servers().environment()
            )
        self.assertEqual(1, done.returncode, done.stderr)
        self.assertIn("nowhere/log", done.stdout + done.stderr)

    def test_killed(self) -> None:
        """So does what ends it from outside."""
        daemon = Daemon(own_servers().environment())
        self.assertEqual(-signal.SIGABRT, daemon.stop(signal.SIGABRT))


class SystemdTests(OperationsTestCase):
    """A socket in systemd's place."""

    def setUp(self) -> None:
        """Listen."""
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="flodgatt-")
        self.addCleanup(folder.cleanup)
        self.path = str(Path(folder.name) / "notify")
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.systemd.close)
        self.systemd.settimeout(PATIENCE)

    def hears(self) -> str:
        """Wait for a message."""
        return self.systemd.recv(4096).decode()

    def assert_told(self, address: str, name: str) -> None:
        """Fail unless systemd is told everything at an address that has this name."""
        self.systemd.bind(address)
        daemon = self.start(NOTIFY_SOCKET=name, WATCHDOG_USEC="1000000")
        self.assertEqual("READY=1", self.hears())
        self.assertRegex(self.hears(), r"\AWATCHDOG=1\nSTATUS=0 clients")
        self.open_streams(daemon, 2)
        eventually(lambda: self.hears() == "WATCHDOG=1\nSTATUS=2 clients", "it tells of clients")
        # A process that stands still gives no sign of life.
        os.kill(daemon.process.pid, signal.SIGSTOP)
        self.drop_what_was_said()
        readable, _, _ = select.select([self.systemd], [], [], 1.2)
        self.assertEqual([], readable)
        os.kill(daemon.process.pid, signal.SIGCONT)
        self.assertTrue(self.hears().startswith("WATCHDOG=1\n"))
        daemon.process.send_signal(signal.SIGTERM)
        eventually(lambda: self.hears() == "STOPPING=1", "it tells that it goes")
        self.assertEqual(0, daemon.process.wait(PATIENCE))

    def drop_what_was_said(self) -> None:
        """Read what is there."""
        while select.select([self.systemd], [], [], 0.05)[0]:
            self.hears()

    def test_path(self) -> None:
        """It hears that the daemon is ready, lives, has clients, and goes."""
        self.assert_told(self.path, self.path)

    def test_abstract(self) -> None:
        """So it does at an abstract address."""
        self.assert_told(f"\0{self.path}", f"@{self.path}")
