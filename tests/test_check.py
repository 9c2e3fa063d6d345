"""
`--check`, as far as it can be told without servers.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.check import PATIENCE, find_problems
from flodgatt_tx.edge.sentinel import ROUNDS
from flodgatt_tx.edge.tls import UntrustedError
from flodgatt_tx.settings import Layer, Settings, load
from tests.fakes import MemoryConnection, MemoryRedis, MemoryResolver


class CheckTests(SynchronousTestCase):
    """What is found wrong, in plain words."""

    def setUp(self) -> None:
        """Make a Redis that wants a password; there is no PostgreSQL."""
        self.reactor = MemoryReactorClock()
        self.redis = MemoryRedis(self.reactor, password="right")

    def settings(self, **variables: str) -> Settings:
        """Make settings."""
        values = {"DB_HOST": "/nowhere", "REDIS_PASSWORD": "right", **variables}
        return load([Layer("environment", values)])

    def checking(self, **variables: str) -> Deferred[list[str]]:
        """Begin to check."""
        return Deferred.fromCoroutine(find_problems(self.reactor, self.settings(**variables)))

    def connect(self) -> None:
        """Let the connection to Redis be made."""
        [(_, _, factory, *_)] = self.reactor.tcpClients
        protocol: Any = factory.buildProtocol(None)
        self.redis.connections.append(MemoryConnection(self.redis, protocol))
        for _ in range(10):
            self.reactor.advance(0)

    def found(self, checking: Deferred[list[str]]) -> str:
        """What is wrong with Redis."""
        problems = self.successResultOf(checking)
        self.reactor.advance(0)
        self.assertEqual([], self.reactor.getDelayedCalls())
        self.assertIn("/nowhere", problems[-1])
        return "\n".join(problems[:-1])

    def test_well(self) -> None:
        """A Redis that answers is no problem."""
        checking = self.checking(REDIS_HOST="127.0.0.1", REDIS_DB="2")
        self.connect()
        self.assertEqual("", self.found(checking))
        self.assertEqual([["AUTH", "right"], ["SELECT", "2"], ["PING"]], self.redis.commands)
        self.assertEqual([], self.redis.connections)

    def test_postgres(self) -> None:
        """A PostgreSQL that is not there is one, in libpq's words."""
        checking = self.checking(REDIS_HOST="127.0.0.1")
        self.connect()
        [problem] = self.successResultOf(checking)
        self.assertTrue(problem.startswith("PostgreSQL: "), problem)

    def test_refused(self) -> None:
        """So is a Redis that refuses us."""
        checking = self.checking(REDIS_HOST="127.0.0.1", REDIS_PASSWORD="wrong")
        self.connect()
        self.assertEqual(
            "Redis at 127.0.0.1:6379 refused us: WRONGPASS invalid password", self.found(checking)
        )

    def test_nobody(self) -> None:
        """So is a place where nobody listens, or that cannot be reached."""
        for error, text in (
            (ConnectionRefusedError(), "Redis: nothing listens at 127.0.0.1:6379"),
            (
                ConnectError(osError=OSError(101, "unreachable")),
                "Redis at 127.0.0.1:6379 cannot be reached: [Errno 101] unreachable",
            ),
            (ValueError("odd"), "Redis at 127.0.0.1:6379 does not answer as Redis does: odd"),
            (ValueError(), "Redis at 127.0.0.1:6379 does not answer as Redis does: ValueError"),
        ):
            self.setUp()
            checking = self.checking(REDIS_HOST="127.0.0.1")
            [(_, _, factory, *_)] = self.reactor.tcpClients
            connector: Any = None
            factory.clientConnectionFailed(connector, Failure(error))
            self.reactor.advance(1)  # nor does another address come up
            self.assertEqual(text, self.found(checking))

    def test_unknown_host(self) -> None:
        """So is a host that nobody knows."""
        self.reactor.installNameResolver(MemoryResolver({}))
        checking = self.checking(REDIS_HOST="nowhere.invalid")
        self.assertEqual("Redis: the host name nowhere.invalid is not known", self.found(checking))

    def test_hung_up(self) -> None:
        """So is one that hangs up before it answers."""
        self.redis.hung = {"AUTH", "PING"}
        checking = self.checking(REDIS_HOST="127.0.0.1")
        self.connect()
        self.redis.cut()
        self.assertIn("Redis at 127.0.0.1:6379", self.found(checking))

    def test_silent(self) -> None:
        """So is one that does not answer."""
        self.redis.hung = {"AUTH", "PING"}
        checking = self.checking(REDIS_HOST="127.0.0.1")
        self.connect()
        self.reactor.advance(PATIENCE)
        self.assertIn("does not answer as Redis does", self.found(checking))

    def test_socket(self) -> None:
        """A socket is named by its path."""
        checking = self.checking(REDIS_URL="unix:///run/redis.sock")
        [(path, factory, *_)] = self.reactor.unixClients
        self.assertEqual("/run/redis.sock", path)
        connector: Any = None
        factory.clientConnectionFailed(connector, Failure(ConnectionRefusedError()))
        self.assertEqual("Redis: nothing listens at /run/redis.sock", self.found(checking))

    def test_certificates(self) -> None:
        """Certificates that cannot be read are a problem, and no traceback."""
        variables = {"FLODGATT_REDIS_TLS": "true", "FLODGATT_REDIS_CA": "/nowhere.pem"}
        expected = "Redis: /nowhere.pem cannot be read: No such file or directory"
        self.assertEqual(expected, self.found(self.checking(**variables)))

    def test_certificates_for_postgres(self) -> None:
        """The same goes for those of PostgreSQL."""
        variables = {"DB_SSLMODE": "verify-full", "NODE_EXTRA_CA_CERTS": "/nowhere.pem"}
        checking = self.checking(REDIS_HOST="127.0.0.1", **variables)
        self.connect()
        self.assertEqual(
            ["PostgreSQL: /nowhere.pem cannot be read: No such file or directory"],
            self.successResultOf(checking),
        )

    def test_bad_certificate(self) -> None:
        """So is what Redis shows, if it is no good."""
        checking = self.checking(REDIS_HOST="127.0.0.1")
        [(_, _, factory, *_)] = self.reactor.tcpClients
        protocol: Any = factory.buildProtocol(None)
        protocol.makeConnection(StringTransport())
        protocol.connectionLost(Failure(UntrustedError("its certificate has expired")))
        self.assertEqual(
            "Redis at 127.0.0.1:6379 cannot be reached over TLS: its certificate has expired",
            self.found(checking),
        )

    def test_sentinels(self) -> None:
        """What is wrong with Sentinels is told."""
        checking = self.checking(REDIS_SENTINELS="127.0.0.1", REDIS_SENTINEL_MASTER="mine")
        connector: Any = None
        for _ in range(ROUNDS):
            factory = self.reactor.tcpClients.pop()[2]
            factory.clientConnectionFailed(connector, Failure(ConnectionRefusedError()))
            self.reactor.pump([0.1] * 20)
        expected = "Redis: the Sentinel 127.0.0.1:26379 refuses connections"
        self.assertEqual(expected, self.found(checking))
