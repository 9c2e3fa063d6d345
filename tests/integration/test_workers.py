"""
Many processes as one server.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
import tempfile
from functools import partial
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.crowd import Crowd, Member, allow_files
from tests.integration.site import (
    API,
    Daemon,
    eventually,
    family,
    get,
    lives,
    shared_rails,
    shared_servers,
)

OPEN = {"FLODGATT_MAX_CONNECTIONS_PER_ADDRESS": "0", "LOG_LEVEL": "info"}


class WorkersTestCase(SynchronousTestCase):
    """A server of several processes."""

    def setUp(self) -> None:
        """Have nobody yet."""
        allow_files()
        self.rails = shared_rails()
        self.crowd = Crowd()
        self.addCleanup(self.crowd.leave)

    def serve(self, workers: int, *options: str, **environment: str) -> Daemon:
        """Start a server."""
        self.daemon = Daemon(
            {**shared_servers().environment(), **OPEN, **environment},
            f"--workers={workers}",
            *options,
        )
        self.addCleanup(self.daemon.stop)
        return self.daemon

    @property
    def workers(self) -> list[int]:
        """The processes of the workers."""
        return family(self.daemon.process.pid)[1:]

    def gather(self, count: int, address: int | str, token: str, transport: str = "sse") -> None:
        """Let so many come, and be greeted."""
        for _ in range(count):
            self.crowd.join(address, token, transport)
        members = self.crowd.members
        self.crowd.until(lambda: all(each.greeted for each in members), "all are greeted", 20)

    def reload(self) -> None:
        """Ask for a reload."""
        self.daemon.process.send_signal(signal.SIGHUP)


class SpreadTests(WorkersTestCase):
    """Who comes to whom."""

    def test_even(self) -> None:
        """Of 2000 connections each of two workers has a half, give or take a tenth of that."""
        daemon = self.serve(2)
        opened = [socket.create_connection(("127.0.0.1", daemon.port)) for _ in range(2000)]
        for each in opened:
            self.addCleanup(each.close)
        eventually(lambda: daemon.metric("open_connections") >= 2000, "all are let in")
        for worker in ("1", "2"):
            share = daemon.metric("open_connections", worker=worker)
            self.assertTrue(900 <= share <= 1101, share)

    def test_worker_dies(self) -> None:
        """Who waits in the queue of a worker that dies is served by the one that follows."""
        daemon = self.serve(2)
        victim = self.workers[0]
        os.kill(victim, signal.SIGSTOP)
        clients = [socket.create_connection(("127.0.0.1", daemon.port)) for _ in range(200)]
        for each in clients:
            self.addCleanup(each.close)
            each.sendall(f"GET {API}/health HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        os.kill(victim, signal.SIGKILL)
        for each in clients:
            each.settimeout(10)
            self.assertTrue(each.recv(65536).startswith(b"HTTP/1.1 200 OK"))
        daemon.logs("Worker 1 is gone (signal 9)")
        self.assertEqual(1.0, daemon.metric("worker_deaths_total"))

    def test_parent_dies(self) -> None:
        """Workers without a parent send their clients away, and end."""
        daemon = self.serve(2)
        person = self.rails.person()
        client = daemon.websocket(person.token, stream="user")
        workers = self.workers
        os.kill(daemon.process.pid, signal.SIGKILL)
        self.assertEqual(1001, client.close_code())
        eventually(lambda: not any(map(lives, workers)), "the workers are gone")

    def test_end(self) -> None:
        """SIGTERM and Ctrl-C let all clients leave in order, and the status is 0."""
        for number in (signal.SIGTERM, signal.SIGINT):
            daemon = self.serve(2)
            person = self.rails.person()
            clients = [daemon.websocket(person.token, stream="user") for _ in range(8)]
            # As a terminal does it: to the whole family at once.
            os.killpg(daemon.process.pid, number)
            self.assertEqual([1001] * 8, [each.close_code() for each in clients])
            self.assertEqual(0, daemon.stop(0))
            daemon.is_well()


class PictureTests(WorkersTestCase):
    """What all of them say together."""

    def test_sums(self) -> None:
        """Whichever worker is asked tells of all, and counters survive those who counted."""
        daemon = self.serve(2)
        person = self.rails.person()
        self.gather(20, daemon.port, person.token)
        self.assertEqual(20, daemon.metric("connected_clients", type="eventsource"))
        self.rails.publish(person.home, "update", {"id": "1"})
        members = self.crowd.members
        self.crowd.until(lambda: all(b"update" in each.received for each in members), "events")
        sent = daemon.metric("messages_sent_total", type="eventsource")
        self.assertGreaterEqual(sent, 20)
        self.reload()
        self.crowd.until(lambda: all(each.over for each in members), "all are moved", 20)
        daemon.logs("Reloaded: 2 workers")
        after = daemon.metric("messages_sent_total", type="eventsource")
        self.assertGreaterEqual(after, sent)
        self.assertEqual(0, daemon.metric("connected_clients"))
        self.assertEqual(2, daemon.metric("workers"))
        daemon.is_well()

    def test_pool(self) -> None:
        """All workers together have as many connections to PostgreSQL as were allowed."""
        daemon = self.serve(3, "--db-pool=4")
        self.rails.redis("PING")
        person = self.rails.person()
        self.gather(60, daemon.port, person.token)
        ((count,),) = self.rails.sql("SELECT current_setting('max_connections')::int")
        self.assertGreater(count, 4)
        self.assertLessEqual(daemon.metric("pg_pool_total_connections"), 4)


class ReloadTests(WorkersTestCase):
    """New settings without downtime."""

    def test_thousand(self) -> None:
        """1000 readers are moved with 1001, nobody is refused, and who returns is served."""
        daemon = self.serve(2, FLODGATT_DRAIN_SECONDS="4")
        port, person = daemon.port, self.rails.person()
        self.gather(500, port, person.token, "websocket")
        self.gather(500, port, person.token)
        moved = list(self.crowd.members)

        def come_back(member: Member) -> None:
            self.crowd.join(port, person.token, member.transport)

        self.crowd.on_end = come_back
        before = self.workers
        self.reload()
        with self.connecting(port) as probes:
            self.crowd.until(lambda: all(each.over for each in moved), "all are moved", 30)
            daemon.logs("Reloaded: 2 workers")
            probes()
        self.assertEqual([], [each.error for each in moved if each.error])
        codes = {each.close_code for each in moved if each.transport == "websocket"}
        self.assertEqual({1001}, codes)
        back = self.crowd.members[1000:]
        self.assertEqual(1000, len(back), "nobody is moved twice")
        self.crowd.until(lambda: all(each.greeted for each in back), "all are back")
        self.assertEqual(set(), set(before) & set(self.workers))
        self.rails.publish(person.home, "update", {"id": "1"})
        self.crowd.until(lambda: all(b"update" in each.received for each in back), "news")
        daemon.is_well()

    def connecting(self, port: int) -> Probes:
        """Connect anew all the time, from another thread."""
        return Probes(port)

    def test_settings(self) -> None:
        """What is changed in the dotenv file has an effect; the number of workers, too."""
        directory = Path(tempfile.mkdtemp(prefix="flodgatt-test-"))
        file = directory / "env"
        file.write_text("FLODGATT_WORKERS=2\nFLODGATT_MAX_SUBSCRIPTIONS=100\n")
        environment = {**shared_servers().environment(), **OPEN}
        self.daemon = daemon = Daemon(environment, f"--env-file={file}")
        self.addCleanup(daemon.stop)
        person = self.rails.person()
        for workers in (4, 1, 3):
            file.write_text(f"FLODGATT_WORKERS={workers}\nFLODGATT_MAX_SUBSCRIPTIONS=1\n")
            mark = daemon.mark
            self.reload()
            eventually(partial(self.reloaded, mark), "reloaded", 20)
            self.assertEqual(workers, len(self.workers))
            # Whichever socket the kernel takes, somebody listens there.
            for _ in range(50):
                self.assertEqual(200, get(daemon.port, f"{API}/health")[0])
        client = daemon.websocket(person.token, stream="user")
        client.subscribe("user:notification")
        self.assertIn("error", client.hears())
        client.close()

    def reloaded(self, mark: int) -> bool:
        """Whether the log says so, behind a *mark*."""
        return "Reloaded" in self.daemon.log[mark:]

    def test_mistakes(self) -> None:
        """Settings that cannot be used, or that lead nowhere, leave everything as it was."""
        directory = Path(tempfile.mkdtemp(prefix="flodgatt-test-"))
        file = directory / "env"
        file.write_text("")
        environment = {**shared_servers().environment(), **OPEN}
        redis_port = environment.pop("REDIS_PORT")
        file.write_text(f"REDIS_PORT={redis_port}\n")
        self.daemon = daemon = Daemon(environment, "--workers=2", f"--env-file={file}")
        self.addCleanup(daemon.stop)
        before = self.workers
        client = daemon.websocket(self.rails.person().token, stream="user")
        file.write_text("REDIS_PORT=moon\n")
        self.reload()
        daemon.logs("Nothing is reloaded: ")
        self.assertEqual(before, self.workers)
        client.say("")
        self.assertEqual(200, get(daemon.port, f"{API}/health")[0])
        client.close()


class Probes:
    """Asks for the health of a server, again and again, in a thread."""

    def __init__(self, port: int) -> None:
        self._port = port

    def __enter__(self) -> Probes:
        """Begin."""
        from threading import Event, Thread

        self._stop = Event()
        self.failures: list[object] = []
        self.count = 0
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._stop.set()
        self._thread.join(10)

    def __call__(self) -> None:
        """Fail if any has failed, or none was made."""
        if self.failures or not self.count:
            raise AssertionError(f"{self.failures[:3]} of {self.count}")

    def _run(self) -> None:
        while not self._stop.wait(0.01):
            try:
                status, _, _ = get(self._port, f"{API}/health")
                if status != 200:
                    self.failures.append(status)
            except OSError as error:
                self.failures.append(error)
            self.count += 1


class UNIXSocketTests(WorkersTestCase):
    """A socket in a folder."""

    def setUp(self) -> None:
        """Have a folder."""
        super().setUp()
        self.path = str(Path(tempfile.mkdtemp(prefix="flodgatt-test-")) / "s")

    def test_shared(self) -> None:
        """All workers serve there, over a reload, and it is gone only when they all are."""
        daemon = self.serve(2, SOCKET=self.path)
        person = self.rails.person()
        inode = os.stat(self.path).st_ino
        self.gather(400, self.path, person.token)
        self.assertEqual(0o666, stat.S_IMODE(os.stat(self.path).st_mode))
        os.kill(self.workers[0], signal.SIGKILL)
        daemon.logs("Worker 1 is gone")
        self.reload()
        daemon.logs("Reloaded")
        self.assertEqual(inode, os.stat(self.path).st_ino)
        member = self.crowd.join(self.path, person.token)
        self.crowd.until(lambda: member.greeted, "somebody is greeted")
        self.assertEqual(0, daemon.stop())
        self.assertFalse(os.path.exists(self.path))

    def test_taken(self) -> None:
        """One that another server has is left to it."""
        self.serve(1, SOCKET=self.path)
        with self.assertRaisesRegex(AssertionError, "another server listens there"):
            self.serve(1, SOCKET=self.path)
        self.assertTrue(os.path.exists(self.path))
