"""
How Redis is reached and greeted.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.redis import CommandProtocol, greeting, keep_connected, redis_endpoint
from flodgatt_tx.redis_settings import RedisSettings
from tests.fakes import MemoryRedis


class GreetingTests(SynchronousTestCase):
    """What a connection begins with."""

    def test_greetings(self) -> None:
        """The password, with the user if there is one, comes before the database."""
        for settings, commands in (
            (RedisSettings(), []),
            (RedisSettings(username="u"), []),
            (RedisSettings(password="p"), [("AUTH", "p")]),
            (RedisSettings(username="u", password="p"), [("AUTH", "u", "p")]),
            (RedisSettings(db=3), [("SELECT", 3)]),
            (RedisSettings(password="p", db=3), [("AUTH", "p"), ("SELECT", 3)]),
        ):
            self.assertEqual(commands, greeting(settings), settings)


class EndpointTests(SynchronousTestCase):
    """Where connections go."""

    def test_tcp(self) -> None:
        """Without anything else Redis is a host and a port."""
        clock = MemoryReactorClock()
        endpoint = redis_endpoint(clock, RedisSettings(host="127.0.0.1", port=7000), None)
        self.assertIsInstance(endpoint, HostnameEndpoint)
        CommandConnection(clock).connect(endpoint)
        [(host, port, *_)] = clock.tcpClients
        self.assertEqual(("127.0.0.1", 7000), (host, port))

    def test_unix(self) -> None:
        """A socket's path wins."""
        clock = MemoryReactorClock()
        endpoint = redis_endpoint(clock, RedisSettings(socket="/run/redis.sock"), None)
        self.assertIsInstance(endpoint, UNIXClientEndpoint)
        CommandConnection(clock).connect(endpoint)
        [(path, *_)] = clock.unixClients
        self.assertEqual("/run/redis.sock", path)

    def test_tls(self) -> None:
        """With TLS the bytes on the wire are TLS."""
        clock = MemoryReactorClock()
        endpoint = redis_endpoint(clock, RedisSettings(host="127.0.0.1", tls=True), None)
        CommandConnection(clock).connect(endpoint)
        [(_, _, factory, *_)] = clock.tcpClients
        protocol: Any = factory.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        self.assertEqual(b"\x16\x03", transport.value()[:2])
        protocol.connectionLost(Failure(ConnectionDone()))


class CommandConnection:
    """Keeps count of the connections that became ready, and were lost."""

    def __init__(self, clock: MemoryReactorClock) -> None:
        self.clock = clock
        self.ready: list[CommandProtocol] = []
        self.losses = 0

    def connect(self, endpoint: object, *hello: tuple[str | int, ...]) -> None:
        """Connect."""

        def lost() -> None:
            self.losses += 1

        service = keep_connected(
            self.clock,
            endpoint,  # type: ignore[arg-type] # all of them are endpoints
            lambda: CommandProtocol(self.clock, hello, self.ready.append, lost),
        )
        service.startService()
        self.wait(0)

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        for _ in range(seconds):
            self.clock.advance(1)
        for _ in range(5):
            self.clock.advance(0)


class CommandTests(SynchronousTestCase):
    """A connection for commands."""

    def setUp(self) -> None:
        """Make a Redis."""
        self.clock = MemoryReactorClock()
        self.redis = MemoryRedis(self.clock, password="right")
        self.connection = CommandConnection(self.clock)

    def test_ready(self) -> None:
        """It is ready once the greeting has been answered."""
        self.redis.hung = {"AUTH"}
        self.connection.connect(self.redis, ("AUTH", "right"), ("SELECT", 1))
        self.assertEqual([], self.connection.ready)
        self.redis.recover()
        self.connection.wait(0)
        [protocol] = self.connection.ready
        replies: Deferred[Any] = protocol.run([("PING",), ("SET", "a", "1", "EX", 5)])
        self.connection.wait(0)
        self.assertEqual([b"PONG", b"OK"], [*map(_plain, self.successResultOf(replies))])

    def test_refused(self) -> None:
        """A refusal is logged without what was sent, and tried again."""
        with capturedLogs() as events:
            self.connection.connect(self.redis, ("AUTH", "wrong"))
            self.connection.wait(3)
        self.assertEqual([], self.connection.ready)
        self.assertGreater(self.connection.losses, 1)
        reasons = {event.get("reason") for event in events}
        self.assertIn("WRONGPASS invalid password", reasons)
        self.redis.password = "wrong"
        self.connection.wait(3)
        self.assertEqual(1, len(self.connection.ready))

    def test_lost_while_greeting(self) -> None:
        """A connection that ends during the greeting is no mistake of anybody's."""
        self.redis.hung = {"AUTH"}
        self.connection.connect(self.redis, ("AUTH", "right"))
        self.redis.cut()
        self.redis.undone.clear()
        self.redis.hung.clear()
        self.assertEqual(1, self.connection.losses)
        self.connection.wait(2)
        self.assertEqual(1, len(self.connection.ready))


def _plain(reply: object) -> object:
    return reply.encode() if isinstance(reply, str) else reply
