"""
The daemon from an administrator's side: starting, stopping, mistakes, what it says and what not.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
import signal
import socket
import stat
import subprocess
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.integration.site import (
    API,
    PATIENCE,
    READY,
    Daemon,
    EventSource,
    Rails,
    eventually,
    get,
    lives,
    new_database,
    run_twistd,
    shared_rails,
    shared_servers,
)

FOREGROUND = ("-n", "--pidfile=", "flodgatt")


class DaemonTestCase(SynchronousTestCase):
    """A test that starts daemons of its own."""

    def setUp(self) -> None:
        """Find servers, and make an empty folder."""
        self.environment = shared_servers().environment()
        self.rails: Rails = shared_rails()
        # Short, for the path of a UNIX socket may not be long.
        folder = tempfile.TemporaryDirectory(prefix="flodgatt-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def start(self, *options: str, twistd: tuple[str, ...] = (), **more: str) -> Daemon:
        """Start a daemon in the folder; *more* is added to its environment."""
        environment = {**self.environment, **more}
        daemon = Daemon(environment, *options, twistd=twistd, directory=self.folder)
        self.addCleanup(daemon.stop)
        return daemon

    def run_to_the_end(self, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a daemon that is expected to end by itself."""
        environment = {**self.environment, **more}
        return run_twistd(*FOREGROUND, *options, environment=environment, directory=self.folder)


class StopTests(DaemonTestCase):
    """How it goes down."""

    def assert_ends_well(self, number: int) -> None:
        """Stop a daemon that has guests; fail unless they were told and all is well."""
        daemon = self.start()
        person = self.rails.person()
        sockets = [daemon.websocket(person.token, stream="user") for _ in range(3)]
        for each in sockets:
            self.addCleanup(each.close)
        stream = daemon.sse("user", person.token)
        self.addCleanup(stream.close)
        daemon.process.send_signal(number)
        for each in sockets:
            self.assertEqual(1001, each.close_code())
        stream.ends()
        self.assertEqual(0, daemon.process.wait(PATIENCE))
        daemon.is_well()
        self.assertEqual([], os.listdir(self.folder))

    def test_terminated(self) -> None:
        """SIGTERM, which systemd sends, closes clients with 1001 and ends with status 0."""
        self.assert_ends_well(signal.SIGTERM)

    def test_interrupted(self) -> None:
        """Ctrl-C does the same."""
        self.assert_ends_well(signal.SIGINT)

    def test_at_once(self) -> None:
        """A signal that comes as soon as the daemon says that it listens is no accident either."""
        self.assertEqual(0, self.start().stop())

    def test_idle_connections(self) -> None:
        """Connections that have asked for nothing keep nobody waiting."""
        daemon = self.start()
        with socket.create_connection(("127.0.0.1", daemon.port)):
            get(daemon.port, f"{API}/health")
            started = time.monotonic()
            self.assertEqual(0, daemon.stop())
            self.assertLess(time.monotonic() - started, 2.5)


class BackgroundTests(DaemonTestCase):
    """The way of twistd: in the background, with a log file and a pid file."""

    def setUp(self) -> None:
        """See to it that nothing stays in the background."""
        super().setUp()
        self.addCleanup(self.end)

    def end(self) -> None:
        """End what is still there."""
        pidfile = self.folder / "twistd.pid"
        if pidfile.exists():
            os.kill(int(pidfile.read_text()), signal.SIGKILL)

    def test_background(self) -> None:
        """It goes to the background when it is ready, writes its log, and can be stopped."""
        done = run_twistd("flodgatt", environment=self.environment, directory=self.folder)
        self.assertEqual((0, "", ""), (done.returncode, done.stdout, done.stderr))
        pid = int((self.folder / "twistd.pid").read_text())
        log = self.folder / "twistd.log"
        (address,) = eventually(lambda: READY.findall(log.read_text()), "it is ready")
        port = int(address.rpartition(":")[2])
        self.assertEqual(200, get(port, f"{API}/health")[0])
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: not lives(pid), "it has ended")
        self.assertEqual(["twistd.log"], os.listdir(self.folder))
        self.assertNotIn("Traceback", log.read_text())

    def test_taken_port(self) -> None:
        """What prevents it from starting is told on the terminal that it leaves."""
        daemon = self.start()
        environment = {**self.environment, "PORT": str(daemon.port)}
        done = run_twistd("flodgatt", environment=environment, directory=self.folder)
        self.assertEqual(1, done.returncode)
        self.assertIn("Address already in use", done.stdout + done.stderr)
        self.assertFalse((self.folder / "twistd.pid").exists())


class ListenTests(DaemonTestCase):
    """Where it listens, and what is said if it cannot."""

    def assert_refused(self, message: str, *options: str, **more: str) -> None:
        """Fail unless a daemon gives up with one line on the terminal."""
        done = self.run_to_the_end(*options, **more)
        self.assertEqual((1, f"flodgatt: {message}\n"), (done.returncode, done.stderr))
        self.assertNotIn("Traceback", done.stdout)

    def test_taken_port(self) -> None:
        """A port that is taken is told in one line, with status 1."""
        port = self.start().port
        message = f"cannot listen on 127.0.0.1:{port}: Address already in use"
        self.assert_refused(message, PORT=str(port))

    def test_foreign_address(self) -> None:
        """So is an address that is not this machine's."""
        message = "cannot listen on 192.0.2.1:0: Cannot assign requested address"
        self.assert_refused(message, BIND="192.0.2.1")

    def test_unix_socket(self) -> None:
        """A UNIX socket is open to everybody, for nginx runs as somebody else."""
        path = self.folder / "s"
        daemon = self.start(SOCKET=str(path))
        self.assertEqual([str(path)], daemon.addresses)
        self.assertEqual(0o666, stat.S_IMODE(path.stat().st_mode))
        self.assertEqual(b"HTTP/1.1 200 OK", ask_health(path))
        self.assertEqual(0, daemon.stop())
        self.assertFalse(path.exists())

    def test_stale_unix_socket(self) -> None:
        """The socket of a daemon that was killed is replaced."""
        path = self.folder / "s"
        self.assertEqual(-signal.SIGKILL, self.start(SOCKET=str(path)).stop(signal.SIGKILL))
        self.assertTrue(path.exists())
        self.start(SOCKET=str(path))
        self.assertEqual(b"HTTP/1.1 200 OK", ask_health(path))

    def test_live_unix_socket(self) -> None:
        """The socket of a daemon that lives is left to it."""
        path = self.folder / "s"
        self.start(SOCKET=str(path))
        message = f"cannot listen on {path}: another server listens there"
        self.assert_refused(message, SOCKET=str(path))
        self.assertEqual(b"HTTP/1.1 200 OK", ask_health(path))

    def test_no_socket(self) -> None:
        """A file that is no socket is not touched."""
        path = self.folder / "s"
        path.write_text("precious")
        message = f"cannot listen on {path}: it is there, and it is no socket"
        self.assert_refused(message, SOCKET=str(path))
        self.assertEqual("precious", path.read_text())

    def test_several(self) -> None:
        """It listens in several places if it is told so."""
        path = self.folder / "s"
        daemon = self.start(
            "--listen", "tcp:0:interface=127.0.0.1", f"--listen=unix:{path}", PORT="1"
        )
        eventually(lambda: len(daemon.addresses) == 2, "it listens in two places")
        self.assertEqual(200, get(daemon.port, f"{API}/health")[0])
        self.assertEqual(b"HTTP/1.1 200 OK", ask_health(path))

    def test_one_of_several(self) -> None:
        """If one of the places cannot be had, it does not start."""
        port = self.start().port
        done = self.run_to_the_end(
            "--listen=tcp:0:interface=127.0.0.1", f"--listen=tcp:{port}:interface=127.0.0.1"
        )
        self.assertEqual(1, done.returncode)
        self.assertIn(f"cannot listen on tcp:{port}:interface=127.0.0.1", done.stderr)


class CheckTests(DaemonTestCase):
    """`--check`."""

    def assert_problem(self, expected: str, **more: str) -> None:
        """Fail unless the check finds just one problem."""
        done = self.run_to_the_end("--check", **more)
        self.assertEqual(1, done.returncode, done.stdout)
        self.assertEqual(1, len(done.stderr.splitlines()), done.stderr)
        self.assertIn(expected, done.stderr)

    def test_good(self) -> None:
        """Where all is well it says so, with status 0, beside a daemon that runs."""
        port = self.start().port
        done = self.run_to_the_end("--check", PORT=str(port))
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertIn("Redis and PostgreSQL answer", done.stdout)
        self.assertIn(f"PORT={port} (environment)", done.stdout)

    def test_postgres(self) -> None:
        """What is wrong with PostgreSQL is told in plain words."""
        self.assert_problem("Connection refused", DB_PORT="1")
        self.assert_problem("the host name nowhere.invalid is not known", DB_HOST="nowhere.invalid")
        self.assert_problem('role "somebody" does not exist', DB_USER="somebody")
        self.assert_problem('database "nothing" does not exist', DB_NAME="nothing")

    def test_tables(self) -> None:
        """A database that is not Mastodon's is recognised."""
        self.assert_problem("has no table accounts", DB_NAME="postgres")
        database = new_database()
        rails = Rails(shared_servers(), database)
        self.addCleanup(rails.redis.close)
        rails.sql("DROP TABLE mutes")
        self.assert_problem(f"the database {database} has no table mutes", DB_NAME=database)

    def test_rights(self) -> None:
        """A role that may not read the tables is recognised."""
        self.rails.sql("DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN")
        self.assert_problem("does not let stranger read Mastodon's tables", DB_USER="stranger")

    def test_redis(self) -> None:
        """What is wrong with Redis is told in plain words, and never with the password."""
        self.assert_problem("Redis: nothing listens at 127.0.0.1:1", REDIS_PORT="1")
        host = "nowhere.invalid"
        self.assert_problem(f"Redis: the host name {host} is not known", REDIS_HOST=host)
        done = self.run_to_the_end("--check", REDIS_PASSWORD="open sesame")
        self.assertEqual(1, done.returncode)
        self.assertIn("refused us: ", done.stderr)
        self.assertNotIn("sesame", done.stderr + done.stdout)

    def test_everything(self) -> None:
        """All problems are told at once."""
        done = self.run_to_the_end("--check", DB_PORT="1", REDIS_PORT="1")
        self.assertEqual((1, 2), (done.returncode, len(done.stderr.splitlines())))


class SettingsTests(DaemonTestCase):
    """Where settings come from."""

    def test_mistakes(self) -> None:
        """All mistakes are told together, with status 1."""
        done = self.run_to_the_end(PORT="four", DB_PORT="five", REDIS_DB="six")
        self.assertEqual(1, done.returncode)
        for name in ("PORT", "DB_PORT", "REDIS_DB"):
            self.assertRegex(done.stdout + done.stderr, rf"\b{name}\b")
        self.assertNotIn("Traceback", done.stdout + done.stderr)

    def test_dotenv(self) -> None:
        """Mastodon's `.env.production`, in the folder where one starts, is enough."""
        self.environment["NODE_ENV"] = "production"
        written = {**self.environment, "SECRET_KEY_BASE": "do not touch"}
        lines = [f"{name}={value}\n" for name, value in written.items()]
        (self.folder / ".env.production").write_text("".join(lines))
        self.environment = {"NODE_ENV": "production"}
        daemon = self.start()
        person = self.rails.person()
        daemon.websocket(person.token).close()
        daemon.logs("(.env.production)")
        self.assertNotIn("do not touch", daemon.log)

    def test_unknown_option(self) -> None:
        """An option that does not exist is told with status 1."""
        done = self.run_to_the_end("--wings")
        self.assertEqual(1, done.returncode)
        self.assertIn("wings", done.stdout + done.stderr)

    def test_version(self) -> None:
        """`--version` says the version."""
        done = self.run_to_the_end("--version")
        self.assertEqual(0, done.returncode)
        self.assertRegex(done.stdout, r"^flodgatt_tx \d+\.\d+")


class SurroundingsTests(DaemonTestCase):
    """What others see who look after it."""

    def test_health(self) -> None:
        """GET says OK; HEAD, with which older containers are watched, answers the same way."""
        port = self.start().port
        status, _, body = get(port, f"{API}/health")
        self.assertEqual((200, b"OK"), (status, body))
        status, _, body = get(port, f"{API}/health", "HEAD")
        self.assertEqual((200, b""), (status, body))

    def test_keep_alive(self) -> None:
        """Several requests may come over one connection, as from a proxy."""
        connection = HTTPConnection("127.0.0.1", self.start().port, timeout=PATIENCE)
        self.addCleanup(connection.close)
        for target, expected in ((f"{API}/health", 200), (f"{API}/user", 401), (f"{API}/x", 400)):
            connection.request("GET", target)
            response = connection.getresponse()
            response.read()
            self.assertEqual(expected, response.status)

    def test_metrics(self) -> None:
        """The numbers have the names that Mastodon's dashboards know."""
        daemon = self.start()
        person = self.rails.person()
        each = daemon.websocket(person.token, stream="user")
        self.addCleanup(each.close)
        self.rails.hears_of(person.home)
        self.rails.publish(person.home, "delete", "1")
        each.hears()
        for name, labels, value in (
            ("connected_clients", {"type": "websocket"}, 1),
            ("connected_clients", {"type": "eventsource"}, 0),
            ("connected_channels", {"type": "websocket", "channel": "user"}, 1),
            ("connected_channels", {"type": "websocket", "channel": "system"}, 2),
            ("messages_sent_total", {"type": "websocket"}, 1),
            ("redis_messages_received_total", {}, 1),
            ("redis_subscriptions", {}, 4),
            ("pg_pool_waiting_queries", {}, 0),
        ):
            self.assertEqual(value, daemon.metric(name, **labels), msg=(name, labels))
        self.assertEqual(
            daemon.metric("pg_pool_total_connections"), daemon.metric("pg_pool_idle_connections")
        )
        self.assertLess(10e6, daemon.metric("process_resident_memory_bytes"))

    def test_log_keeps_secrets(self) -> None:
        """Nothing that is secret gets into the log, however much that is asked to tell."""
        url = self.redis_url("secret-redis")
        daemon = self.start(LOG_LEVEL="trace", DB_PASS="secret-db", REDIS_URL=url)
        person = self.rails.person()
        token = person.token
        for each in (daemon.websocket(token), daemon.websocket(access_token=token)):
            each.subscribe("user")
            each.say({"type": "subscribe", "stream": "nonsense", "access_token": token})
            each.hears()
            each.close()
        query = f"{API}/user?access_token={token}"
        EventSource(daemon.port, query, {"Referer": f"http://x.example{query}"}).close()
        for target in ("list", "nowhere", "health"):
            get(daemon.port, f"{API}/{target}?access_token={token}", Referer=query)
        get(daemon.port, f"{API}/user?access_token=secret-wrong")
        get(daemon.port, f"{API}/user", Authorization="Bearer secret-header")
        get(daemon.port, f"{API}/user?access_token=secret%FFbytes%00")
        for target in ("/metrics", "/", f"{API}/user", f"{API}/list?list={token}"):
            _, headers, body = get(daemon.port, target, Authorization=f"Bearer {token}x")
            self.assertNotIn("secret-", f"{headers}{body.decode()}")
        self.assertNotIn("secret-", daemon.title)
        self.assertEqual(0, daemon.stop())
        self.assertIn(f"{API}/user", daemon.log)
        self.assertEqual([], re.findall(r".*secret-.*", daemon.log))
        self.assertEqual([], re.findall(r".*access_token.*", daemon.log))

    def redis_url(self, password: str) -> str:
        """Write the URL of Redis, with the password of the default user, who has none."""
        return f"redis://default:{password}@127.0.0.1:{shared_servers().redis_port}"

    def test_without_dependencies(self) -> None:
        """It starts without PostgreSQL and Redis, says so, and refuses with 503 what needs them."""
        daemon = self.start(DB_PORT="1", REDIS_PORT="1")
        status, headers, body = get(daemon.port, f"{API}/user", Authorization="Bearer x")
        self.assertEqual(503, status)
        self.assertTrue(int(headers["Retry-After"]))
        self.assertEqual({"error": "Service temporarily unavailable"}, json.loads(body))
        daemon.logs("PostgreSQL does not answer")
        self.assertEqual(200, get(daemon.port, f"{API}/health")[0])
        self.assertEqual(0, daemon.stop())
        daemon.is_well()

    def test_sheds_privileges(self) -> None:
        """Started by root it can take a low port, and then be somebody else."""
        if os.geteuid() != 0:
            raise SkipTest("only root has privileges to shed")
        nobody = pwd.getpwnam("nobody")
        group = grp.getgrgid(nobody.pw_gid)
        who = ("--uid", "nobody", "--gid", group.gr_name)
        daemon = self.start(twistd=who)
        person = self.rails.person()
        daemon.websocket(person.token).close()
        status = Path(f"/proc/{daemon.process.pid}/status")
        if status.exists():
            self.assertIn(f"\nUid:\t{nobody.pw_uid}\t{nobody.pw_uid}\t", status.read_text())
            self.assertIn(f"\nGid:\t{group.gr_gid}\t{group.gr_gid}\t", status.read_text())
        self.assertEqual(0, daemon.stop())


class DemoTests(DaemonTestCase):
    """`--demo`."""

    def test_demo(self) -> None:
        """It prints what to paste, that shows events within seconds, and leaves nothing behind."""
        self.environment = {}
        daemon = self.start("--demo")
        curl = re.compile(r"curl -N -H '(.*?): (.*?)' '(.*?)'")
        ((name, value, url), *_) = eventually(lambda: curl.findall(daemon.log), "a line to paste")
        self.assertEqual("http://127.0.0.1", url.rpartition(":")[0])
        stream = EventSource(daemon.port, url.partition(str(daemon.port))[2], {name: value})
        self.addCleanup(stream.close)
        events = [stream.hears() for _ in range(2)]
        self.assertTrue(all(json.loads(data) for _, data in events))
        children = descendants(daemon.process.pid)
        self.assertTrue(any("redis" in command for command in children.values()), children)
        self.assertTrue(any("postgres" in command for command in children.values()), children)
        # As the terminal does it: to the whole process group.
        os.killpg(daemon.process.pid, signal.SIGINT)
        self.assertEqual(0, daemon.process.wait(PATIENCE))
        eventually(lambda: not any(map(lives, children)), "the servers have ended")
        self.assertEqual([], [path for path in demo_directories() if path in str(children)])
        daemon.is_well()


def descendants(pid: int) -> dict[int, str]:
    """Name the processes that a process has started, and those that these have, by command."""
    listed = subprocess.run(
        ["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    found = {str(pid): ""}
    for child, parent, command in sorted(rows, key=lambda row: int(row[0])):
        if parent in found:
            found[child] = command
    del found[str(pid)]
    return {int(child): command for child, command in found.items()}


def demo_directories() -> list[str]:
    """List where demonstrations keep their files."""
    return [str(path) for path in Path(tempfile.gettempdir()).glob("flodgatt-demo-*")]


def ask_health(path: Path) -> bytes:
    """Ask over a UNIX socket whether all is well; return the status line."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(str(path))
        client.sendall(f"GET {API}/health HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return client.recv(4096).partition(b"\r\n")[0]
