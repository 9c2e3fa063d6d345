"""
Redis through Sentinel, with real ones: clients stay, whatever becomes of the master.
"""

from __future__ import annotations

import signal
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.certificates import Authority
from tests.integration.fleet import Fleet, Node, speaks_tls
from tests.integration.site import (
    Daemon,
    EventSource,
    Person,
    Rails,
    eventually,
    run_twistd,
    shared_servers,
)

PROMOTED = 30.0  # seconds, until the Sentinels have agreed on another master
BACK = 2.0  # seconds, from the promotion on


class FleetTestCase(SynchronousTestCase):
    """A fleet, and a daemon that finds its way there."""

    authority: Authority | None = None

    def setUp(self) -> None:
        """Start the fleet."""
        self.fleet = Fleet(self.authority)
        self.addCleanup(self.fleet.stop)
        self.rails = Rails(shared_servers())
        self.rails.redis.close()
        self.rails.redis = self.fleet.connect(self.fleet.first)
        self.addCleanup(lambda: self.rails.redis.close())

    def environment(self, **variables: str) -> dict[str, str]:
        """Write down where everything is."""
        return {**shared_servers().environment(), **self.fleet.environment(), **variables}

    def start(self, **variables: str) -> Daemon:
        """Start a daemon."""
        daemon = Daemon(self.environment(**variables))
        self.addCleanup(daemon.stop)
        return daemon

    def check(self, **variables: str) -> tuple[int, str]:
        """Run `--check`; return its exit status, and what it complains of."""
        words = ("-n", "--pidfile=", "flodgatt", "--check")
        done = run_twistd(*words, environment=self.environment(**variables))
        self.assertNotIn("Traceback", done.stdout + done.stderr)
        return done.returncode, done.stderr


class FailoverTestCase(FleetTestCase):
    """Somebody listens over WebSocket, and over server-sent events."""

    def setUp(self) -> None:
        """Let them listen."""
        super().setUp()
        self.begin()

    def begin(self, **variables: str) -> None:
        """Start a daemon, and let somebody listen there."""
        self.daemon = self.start(**variables)
        self.person = self.rails.person()
        self.socket = self.daemon.websocket(self.person.token, stream="user")
        self.addCleanup(self.socket.close)
        self.stream = self.daemon.sse("user", self.person.token)
        self.addCleanup(self.stream.close)
        self.assert_heard("1")

    def assert_heard(self, number: str) -> None:
        """Fail unless both hear what is published because somebody listens."""
        home, key = self.person.home, f"subscribed:{self.person.home}"
        self.rails.hears_of(home)
        eventually(lambda: self.rails.redis("EXISTS", key), "Rails knows that somebody listens")
        self.rails.push(home, "delete", number)
        self.assertEqual(number, self.socket.hears()["payload"])
        self.assertEqual(("delete", number), self.stream.hears())

    def promoted(self, node: Node) -> float:
        """Wait until a replica is the master, and go there; return since when it is, about."""
        eventually(lambda: self.fleet.is_master(node), "there is another master", PROMOTED)
        moment = time.monotonic()
        self.rails.redis.close()
        self.rails.redis = self.fleet.connect(node)
        return moment

    def assert_comes_along(self, node: Node) -> None:
        """Fail unless everybody is served from there, soon."""
        moment = self.promoted(node)
        self.rails.hears_of(self.person.home)
        took = time.monotonic() - moment
        self.assertLess(took, BACK)
        self.assert_heard("2")
        self.daemon.is_well()


class FailoverTests(FailoverTestCase):
    """The master goes, in several ways."""

    def test_crash(self) -> None:
        """It dies; when it comes back as a second master it is not used."""
        self.fleet.first.kill()
        self.assert_comes_along(self.fleet.second)
        self.fleet.first.start()
        eventually(lambda: self.fleet.answers(self.fleet.first), "the old one is back")
        self.rails.redis("CLIENT", "KILL", "TYPE", "pubsub")
        self.rails.redis("CLIENT", "KILL", "USER", "streaming")
        self.assert_heard("3")
        self.assertEqual([], self.fleet.ask(self.fleet.first, "PUBSUB", "CHANNELS", "timeline:*"))

    def test_by_hand(self) -> None:
        """It is replaced; everybody stays there until it hangs up, and is served meanwhile."""
        self.fleet.ask_sentinel("failover", "mine")
        eventually(lambda: self.fleet.is_master(self.fleet.second), "another one", PROMOTED)
        self.assert_heard("2")
        eventually(lambda: not self.fleet.is_master(self.fleet.first), "it knows", 30)
        self.rails.redis.close()
        self.rails.redis = self.fleet.connect(self.fleet.second)
        self.assert_heard("3")
        self.daemon.is_well()

    def test_hangs(self) -> None:
        """It hangs, and keeps its connections."""
        self.fleet.first.signal(signal.SIGSTOP)
        self.addCleanup(self.fleet.first.signal, signal.SIGCONT)
        self.assert_comes_along(self.fleet.second)

    def test_demoted(self) -> None:
        """It is made a replica behind the Sentinels' backs, and hangs up: that is not used."""
        self.rails.redis("REPLICAOF", "127.0.0.1", self.fleet.second.port)
        self.rails.redis("CLIENT", "KILL", "TYPE", "pubsub")
        self.daemon.logs("whom Sentinel names, is no master")
        self.assertEqual([], self.fleet.ask(self.fleet.first, "PUBSUB", "CHANNELS", "timeline:*"))


class NodesTests(FleetTestCase):
    """Two nodes of two workers each, which share nothing but the fleet and PostgreSQL."""

    def test_crash(self) -> None:
        """The master dies: readers of all workers of both nodes come along."""
        environment = self.environment(FLODGATT_MAX_CONNECTIONS_PER_ADDRESS="0")
        nodes = [Daemon(environment, "--workers=2") for _ in range(2)]
        for each in nodes:
            self.addCleanup(each.stop)
        person = self.rails.person()
        readers = [node.sse("user", person.token) for node in nodes for _ in range(16)]
        for reader in readers:
            self.addCleanup(reader.close)
        self.assert_all_hear(person, readers, "1")
        second = self.fleet.second
        self.fleet.first.kill()
        eventually(lambda: self.fleet.is_master(second), "there is another master", PROMOTED)
        self.rails.redis.close()
        self.rails.redis = self.fleet.connect(second)
        self.assert_all_hear(person, readers, "2")
        for node in nodes:
            node.is_well()

    def assert_all_hear(self, person: Person, readers: list[EventSource], number: str) -> None:
        """Wait until all four workers listen; fail unless everybody hears what is published."""
        eventually(lambda: self.rails.redis.subscribers(person.home) == 4, "all workers listen")
        key = f"subscribed:{person.home}"
        eventually(lambda: self.rails.redis("EXISTS", key), "Rails knows that somebody listens")
        self.rails.push(person.home, "delete", number)
        for reader in readers:
            self.assertEqual(("delete", number), reader.hears())


class SentinelLossTests(FailoverTestCase):
    """Sentinels themselves go."""

    def test_one_is_left(self) -> None:
        """One that answers is enough, though another hangs and another is gone."""
        self.fleet.sentinels[0].signal(signal.SIGSTOP)
        self.addCleanup(self.fleet.sentinels[0].signal, signal.SIGCONT)
        self.fleet.sentinels[1].kill()
        self.rails.redis("CLIENT", "KILL", "TYPE", "pubsub")
        self.assert_heard("2")

    def test_none_is_left(self) -> None:
        """Connections that are there outlive all of them."""
        for sentinel in self.fleet.sentinels:
            sentinel.kill()
        self.assert_heard("2")


class RightsTests(FleetTestCase):
    """Passwords and rights."""

    def test_check(self) -> None:
        """With what is needed, and no more, all is well."""
        self.assertEqual((0, ""), self.check())

    def test_mistakes(self) -> None:
        """Otherwise each fault is told, without the passwords."""
        refused = "invalid username-password pair or user is disabled."
        for variables, expected in (
            ({"REDIS_SENTINEL_PASSWORD": "barley"}, f"refuses: WRONGPASS {refused}"),
            ({"REDIS_PASSWORD": "barley"}, f"whom Sentinel names, refuses: WRONGPASS {refused}"),
            ({"REDIS_SENTINEL_MASTER": "theirs"}, "knows no master called theirs"),
            ({"REDIS_USER": "copying", "REDIS_PASSWORD": "mirror"}, "refuses: NOPERM"),
            ({"REDIS_DB": "1"}, "Redis at the master mine refused us: NOPERM"),
        ):
            status, complaint = self.check(**variables)
            self.assertEqual(1, status)
            self.assertIn(expected, complaint)
            self.assertNotIn("barley", complaint)

    def test_log(self) -> None:
        """The log says so once, however often it is tried."""
        daemon = self.start(REDIS_PASSWORD="barley")
        daemon.logs("no way to Redis: Redis at 127.0.0.1")
        time.sleep(4 * BACK)
        self.assertEqual(1, daemon.log.count("no way to Redis"))
        self.assertNotIn("barley", daemon.log)
        self.assertEqual(0, daemon.stop())


class TlsTests(FailoverTestCase):
    """The same over TLS, with certificates on both sides."""

    def setUp(self) -> None:
        """Make certificates."""
        if not speaks_tls():
            raise SkipTest("this redis-server was built without TLS")
        folder = tempfile.TemporaryDirectory(prefix="flodgatt-test-")
        self.addCleanup(folder.cleanup)
        self.authority = Authority(Path(folder.name))
        self.certificate, self.key = map(str, self.authority.sign("streaming"))
        super().setUp()

    def environment(self, **variables: str) -> dict[str, str]:
        assert self.authority
        files = {
            "FLODGATT_REDIS_TLS": "true",
            "FLODGATT_REDIS_CA": str(self.authority.path),
            "FLODGATT_REDIS_CERT": self.certificate,
            "FLODGATT_REDIS_KEY": self.key,
        }
        return super().environment(**{**files, **variables})

    def test_crash(self) -> None:
        """The master dies."""
        self.fleet.first.kill()
        self.assert_comes_along(self.fleet.second)
        self.assertEqual((0, ""), self.check())

    def test_stranger(self) -> None:
        """Sentinels of somebody who is not trusted are not asked."""
        assert self.authority
        stranger = Authority(self.authority.path.parent, "stranger")
        status, complaint = self.check(FLODGATT_REDIS_CA=str(stranger.path))
        self.assertEqual(1, status)
        for sentinel in self.fleet.sentinels:
            self.assertIn(
                f"the Sentinel 127.0.0.1:{sentinel.port} cannot be reached over TLS:"
                " its certificate is signed by no authority that is trusted",
                complaint,
            )
