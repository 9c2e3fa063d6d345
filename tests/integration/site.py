"""
A whole site for tests: real servers, the daemon as an administrator starts it, Rails, and clients.

The daemon is another process, so everything here simply blocks. Whoever has to wait for something
says for what, with `eventually`; nothing sleeps and hopes.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, TypeVar, cast

import hiredis
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

import flodgatt_tx
from flodgatt_tx.demo import servers
from flodgatt_tx.demo.servers import Servers
from flodgatt_tx.demo.site import SCHEMA

API = "/api/v1/streaming"
ROOT = Path(flodgatt_tx.__file__).absolute().parent.parent
TWISTD = str(Path(sys.executable).parent / "twistd")
PATIENCE = 10.0  # seconds, for whatever should happen at once
SECRET = "secret-"  # is in every token, and in every password of a test

_TEMPLATE = "mastodon_template"
READY = re.compile(r"Streaming API now listening on ([^\s\"]+)")
_ACCOUNTS = itertools.count(110_000_000_000_000_001)
_DATABASES = itertools.count(1)

Value = TypeVar("Value")


def eventually(condition: Callable[[], Value], what: str, within: float = PATIENCE) -> Value:
    """Wait until *condition* holds, and return what it says; fail if that takes too long."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:.0f} s: {what}")
        time.sleep(0.01)
    return value


def lives(pid: int) -> bool:
    """Tell whether a process runs; one that has died and is not buried yet does not."""
    listed = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listed.stdout.strip()[:1] not in ("", "Z")


def family(pid: int) -> list[int]:
    """Name a process and its children."""
    command = ["ps", "-o", "pid=", "--ppid", str(pid)]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    return [pid, *map(int, listed.stdout.split())]


async def happens(condition: Callable[[], object], what: str) -> None:
    """Do as `eventually` does while the reactor goes on."""
    # The reactor must not be installed where it is not needed.
    from twisted.internet import reactor

    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {PATIENCE:.0f} s: {what}")
        await deferLater(cast(Any, reactor), 0.01)


@functools.cache
def shared_servers() -> Servers:
    """Start the servers that all tests of a run share; they end with the run."""
    opened = servers.start()
    atexit.register(opened.stop)
    opened.create_database(_TEMPLATE)
    opened.load(SCHEMA, database=_TEMPLATE)
    opened.create_database(template=_TEMPLATE)
    return opened


def new_database() -> str:
    """Make a database as `rails db:schema:load` leaves it, and return its name."""
    name = f"mastodon_{next(_DATABASES)}"
    shared_servers().create_database(name, template=_TEMPLATE)
    return name


@functools.cache
def shared_daemon() -> Daemon:
    """
    Start the daemon that those tests share who do nothing worse than visit it.

    It logs whatever it can, so that what it should keep to itself would be found there, and lets
    them talk as fast as they can.
    """
    more = {"LOG_LEVEL": "trace", "FLODGATT_MAX_MESSAGES_PER_SECOND": "0"}
    daemon = Daemon({**shared_servers().environment(), **more})
    atexit.register(daemon.stop)
    return daemon


@functools.cache
def shared_rails() -> Rails:
    """Make the Rails behind `shared_daemon`."""
    return Rails(shared_servers())


class Redis:
    """A connection to Redis that sends one command at a time."""

    def __init__(
        self,
        port: int,
        db: int = 0,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._reader = hiredis.Reader(encoding="utf-8")
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        if tls:
            self._socket = tls.wrap_socket(self._socket, server_hostname="127.0.0.1")
        if password:
            self("AUTH", password)
        if db:
            self("SELECT", db)

    def __call__(self, *words: object) -> Any:
        """Send a command and return the reply."""
        encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        command = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)
        self._socket.sendall(b"*%d\r\n%b" % (len(encoded), command))
        while (reply := self._reader.gets()) is False:
            received = self._socket.recv(65536)
            if not received:
                raise ConnectionError("Redis has closed the connection")
            self._reader.feed(received)
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def channels(self) -> set[str]:
        """Name the channels that somebody is subscribed to."""
        return set(self("PUBSUB", "CHANNELS"))

    def subscribers(self, channel: str) -> int:
        """Count the connections that are subscribed to a channel."""
        return int(self("PUBSUB", "NUMSUB", channel)[1])


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who lives here, and one of his tokens."""

    account: int
    user: int
    token: str
    token_id: int

    @property
    def home(self) -> str:
        """The channel of the home timeline."""
        return f"timeline:{self.account}"

    @property
    def system(self) -> str:
        """The channel that tells of the account's end."""
        return f"timeline:system:{self.account}"


class Rails:
    """Mastodon's other half: it writes to the database, and publishes to Redis."""

    def __init__(
        self,
        opened: Servers,
        database: str = servers.DATABASE,
        redis_db: int = 0,
        redis_port: int | None = None,
        redis_password: str | None = None,
    ) -> None:
        self._servers = opened
        self._database = database
        self.prefix = ""
        self.redis = Redis(redis_port or opened.redis_port, redis_db, redis_password)

    def sql(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        """Run SQL; return the rows of the last statement."""
        return self._servers.sql(text, values or None, database=self._database)

    def person(self, scopes: str | None = "read", **user: object) -> Person:
        """Let somebody sign up, and sign in; *user* are more columns of that table."""
        account = next(_ACCOUNTS)
        name = f"person{account % 10**9}"
        self.sql("INSERT INTO accounts (id, username) VALUES (%s, %s)", account, name)
        columns = {"account_id": account, "email": f"{name}@site.example", **user}
        names, places = ", ".join(columns), ", ".join(["%s"] * len(columns))
        ((id_,),) = self.sql(
            f"INSERT INTO users ({names}) VALUES ({places}) RETURNING id", *columns.values()
        )
        return self._sign_in(account, id_, scopes)

    def sign_in(self, person: Person, scopes: str | None = "read") -> Person:
        """Give somebody another token."""
        return self._sign_in(person.account, person.user, scopes)

    def _sign_in(self, account: int, user: int, scopes: str | None) -> Person:
        ((id_, token),) = self.sql(
            "INSERT INTO oauth_access_tokens (token, resource_owner_id, scopes)"
            " VALUES (%s || gen_random_uuid(), %s, %s) RETURNING id, token",
            SECRET,
            user,
            scopes,
        )
        return Person(account, user, token, id_)

    def keep_list(self, person: Person) -> int:
        """Make a list and return its id."""
        statement = "INSERT INTO lists (account_id) VALUES (%s) RETURNING id"
        ((id_,),) = self.sql(statement, person.account)
        return int(id_)

    def publish(self, channel: str, event: str, payload: object = None) -> int:
        """Publish, and return how many subscribers Redis found."""
        message = {"event": event} if payload is None else {"event": event, "payload": payload}
        return int(self.redis("PUBLISH", self.prefix + channel, dump(message)))

    def push(self, channel: str, event: str, payload: object) -> None:
        """Publish what belongs to one account, but only if somebody listens, as Rails does."""
        keys = [channel]
        if channel.endswith(":notifications"):
            keys.append(channel.removesuffix(":notifications"))
        if self.redis("EXISTS", *(f"{self.prefix}subscribed:{key}" for key in keys)):
            self.publish(channel, event, payload)

    def notify(self, person: Person, event: str, payload: object) -> None:
        """Push what belongs to the notifications."""
        self.push(f"{person.home}:notifications", event, payload)

    def post(self, status: Mapping[str, Any], event: str = "update") -> None:
        """Bring a public status to the public timelines."""
        local = status["account"]["username"] == status["account"]["acct"]
        for channel in ("timeline:public", f"timeline:public:{'local' if local else 'remote'}"):
            self.publish(channel, event, dict(status))

    def revoke(self, person: Person) -> None:
        """Revoke the token."""
        self.sql("UPDATE oauth_access_tokens SET revoked_at = now() WHERE id = %s", person.token_id)
        self.publish(f"timeline:access_token:{person.token_id}", "kill")

    def disable(self, person: Person) -> None:
        """Disable the user."""
        self.sql("UPDATE users SET disabled = true WHERE id = %s", person.user)
        self.publish(person.system, "kill")

    def suspend(self, person: Person) -> None:
        """Suspend the account."""
        self.sql("UPDATE accounts SET suspended_at = now() WHERE id = %s", person.account)
        self.publish(person.system, "kill")

    def hears_of(self, *channels: str) -> None:
        """Wait until somebody is subscribed to *channels*."""
        for channel in channels:
            name = self.prefix + channel
            eventually(partial(self.redis.subscribers, name), f"somebody is subscribed to {name}")


def dump(message: object) -> str:
    """Write JSON as Rails does."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def twistd_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Add to the server's settings what any process needs to find its programs, and no more."""
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    return {**kept, "PORT": "0", **environment}


def run_twistd(
    *arguments: str, environment: Mapping[str, str], directory: str | Path = "/"
) -> subprocess.CompletedProcess[str]:
    """Run a `twistd` that is expected to end by itself."""
    return subprocess.run(
        [TWISTD, *arguments],
        env=twistd_environment(environment),
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def _giving(sockets: Sequence[socket.socket]) -> list[str]:
    """The beginning of a command line that is given such sockets."""
    if not sockets:
        return []
    (given,) = sockets
    number = given.fileno()
    variables = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=streaming"
    script = f'exec 3<&{number}; export {variables}; exec "$@"'
    return ["bash", "-c", script, "bash"]


class Daemon:
    """
    A `twistd -n --pidfile= flodgatt` with nothing in its environment but *environment*.

    It has come up when this returns. *options* are the plugin's, *twistd* is twistd's own; one
    of the *sockets* is given to it as systemd does, with the name `streaming`.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *options: str,
        twistd: tuple[str, ...] = (),
        sockets: Sequence[socket.socket] = (),
        directory: str | Path | None = None,
    ) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="flodgatt-test-"))
        self._log = self._scratch / "log"
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [*_giving(sockets), TWISTD, "-n", "--pidfile=", *twistd, "flodgatt", *options],
                env=twistd_environment(environment),
                pass_fds=[each.fileno() for each in sockets],
                cwd=directory or self._scratch,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        try:
            eventually(self._is_settled, "the daemon listens", 30)
            if not self.addresses:
                raise AssertionError(f"the daemon has ended:\n{self.log}")
        except BaseException:
            self.stop(signal.SIGKILL)
            raise

    def _is_settled(self) -> bool:
        return bool(self.addresses) or self.process.poll() is not None

    @property
    def log(self) -> str:
        """All that it has written."""
        if self._log.exists():
            self._last = self._log.read_text(errors="replace")
        return self._last

    @property
    def addresses(self) -> list[str]:
        """Where it listens."""
        return READY.findall(self.log)

    @property
    def port(self) -> int:
        """The TCP port where it listens."""
        return int(self.addresses[0].rpartition(":")[2])

    @property
    def mark(self) -> int:
        """How long the log is by now."""
        return len(self.log)

    def is_well(self, since: int = 0) -> None:
        """Fail if there is a traceback in the log, or what nobody shall read."""
        for trouble in ("Traceback", SECRET):
            before, found, after = self.log[since:].partition(trouble)
            if found:
                raise AssertionError(f"in the log: {before[-300:]}{found}{after[:3000]}")

    @property
    def title(self) -> str:
        """What others on the machine can read of the process: its command line."""
        return Path(f"/proc/{self.process.pid}/cmdline").read_text().replace("\0", " ")

    def logs(self, text: str) -> None:
        """Wait until the log says *text*."""
        eventually(lambda: text in self.log, f"{text!r} in the log:\n{self.log}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal, and return its exit status; again is no mistake."""
        try:
            if self.process.poll() is None:
                self.process.send_signal(number)
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the daemon does not end:\n{self.log}") from None
        finally:
            _ = self.log
            shutil.rmtree(self._scratch, ignore_errors=True)

    def websocket(self, token: str | None = None, **query: str) -> Socket:
        """Connect a WebSocket, with the token as most clients send it."""
        words = "&".join(f"{name}={value}" for name, value in query.items())
        return Socket(self.port, f"{API}?{words}" if words else API, token)

    def sse(self, path: str, token: str) -> EventSource:
        """Open a stream of server-sent events."""
        return EventSource(self.port, f"{API}/{path}", {"Authorization": f"Bearer {token}"})

    def metric(self, name: str, **labels: str) -> float:
        """Add up the samples of a metric that have these labels."""
        _, _, body = get(self.port, "/metrics")
        return sum(
            sample.value
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def is_left(self) -> None:
        """Wait until nobody is connected any more, nor anything kept for those who were."""
        eventually(lambda: not self._guests(), "everybody is gone, and forgotten")

    def _guests(self) -> float:
        names = ("connected_clients", "connected_channels", "redis_subscriptions")
        return sum(self.metric(name) for name in names)


def get(port: int, target: str, method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
    """Make one HTTP request; return status, headers and body."""
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request(method, target, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()


class EventSource:
    """A client of server-sent events; it has been greeted, or refused, when it is there."""

    def __init__(self, port: int, target: str, headers: Mapping[str, str]) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self._connection.request("GET", target, headers=dict(headers))
        self.response: HTTPResponse = self._connection.getresponse()
        if self.response.status == 200 and self.response.readline() != b":)\n":
            raise AssertionError("not greeted")

    def hears(self) -> tuple[str, str]:
        """Wait for an event; return its name and its data."""
        fields: dict[str, str] = {}
        for line in self._lines():
            if not line and "data" in fields:
                return fields["event"], fields["data"]
            name, _, value = line.partition(": ")
            fields[name] = f"{fields[name]}\n{value}" if name in fields else value
        raise AssertionError("the stream has ended")

    def ends(self) -> None:
        """Wait for the end; fail if there is anything before it."""
        rest = self.response.read()
        if rest.strip():
            raise AssertionError(f"came before the end: {rest!r}")

    def close(self) -> None:
        """Hang up."""
        self.response.close()
        self._connection.close()

    def _lines(self) -> Iterator[str]:
        while line := self.response.readline():
            yield line.decode().removesuffix("\n")


class Socket:
    """A WebSocket client, by the library `websockets`; it is connected when it is there."""

    def __init__(
        self,
        port: int,
        target: str = API,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        self.connection: ClientConnection = connect(
            f"ws://127.0.0.1:{port}{target}",
            # So that no proxy of the environment is asked.
            sock=socket.create_connection(("127.0.0.1", port), timeout=PATIENCE),
            subprotocols=[Subprotocol(token)] if token else None,
            additional_headers=headers,
            open_timeout=PATIENCE,
            close_timeout=PATIENCE,
            ping_interval=None,
            **options,
        )

    def say(self, message: object) -> None:
        """Send a text message: JSON, or a str as it is."""
        self.connection.send(message if isinstance(message, str) else json.dumps(message))

    def subscribe(self, stream: str, **parameters: object) -> None:
        """Subscribe to a stream."""
        self.say({"type": "subscribe", "stream": stream, **parameters})

    def unsubscribe(self, stream: str, **parameters: object) -> None:
        """Unsubscribe from a stream."""
        self.say({"type": "unsubscribe", "stream": stream, **parameters})

    def hears(self) -> Any:
        """Wait for a message."""
        return json.loads(self.connection.recv(timeout=PATIENCE))

    def close_code(self) -> int:
        """Wait for the server to close, and return its code; 1005 stands for none."""
        try:
            message = self.connection.recv(timeout=PATIENCE)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006
        raise AssertionError(f"came before the end: {message!r}")

    def close(self) -> None:
        """Say goodbye, and hang up."""
        self.connection.close()


class VisitTestCase(SynchronousTestCase):
    """A test that visits the shared daemon, and leaves it as it was."""

    def setUp(self) -> None:
        """Find everything there."""
        self.rails = shared_rails()
        self.daemon = shared_daemon()
        self.addCleanup(self.assert_as_before, self.daemon.mark)

    def assert_as_before(self, mark: int) -> None:
        """Fail unless the daemon has forgotten its guests, and complained about nothing."""
        self.daemon.is_left()
        self.daemon.is_well(mark)

    def websocket(self, person: Person | None = None, **query: str) -> Socket:
        """Connect a WebSocket for as long as the test lasts."""
        opened = self.daemon.websocket(person.token if person else None, **query)
        self.addCleanup(opened.close)
        return opened

    def sse(self, path: str, person: Person) -> EventSource:
        """Open a stream for as long as the test lasts."""
        opened = self.daemon.sse(path, person.token)
        self.addCleanup(opened.close)
        return opened
