"""
What the fakes do beyond their contracts.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from tests.fakes import MemoryMastodon, MemoryRedis
from tests.stage import API, StageTestCase


class Receiver(Protocol):
    """Keeps what it receives."""

    received = b""
    lost = False

    @override
    def dataReceived(self, data: bytes) -> None:
        """See `IProtocol`."""
        self.received += data

    @override
    def connectionLost(self, reason: object = None) -> None:
        """See `IProtocol`."""
        self.lost = True


class MemoryRedisTests(SynchronousTestCase):
    """The protocol of the Redis in memory."""

    def setUp(self) -> None:
        """Connect."""
        self.clock = MemoryReactorClock()
        self.redis = MemoryRedis(self.clock)
        self.client = self.successResultOf(self.redis.connect(Factory.forProtocol(Receiver)))

    def says(self, command: bytes) -> bytes:
        """The answer to a command."""
        self.client.received = b""
        words = command.split()
        parts = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
        self.client.transport.write(b"*%d\r\n%b" % (len(words), parts))
        self.clock.advance(0)
        answer: bytes = self.client.received
        return answer

    def test_replies(self) -> None:
        """It answers as Redis does."""
        for command, answer in (
            (b"PING", b"+PONG\r\n"),
            (b"SELECT 3", b"+OK\r\n"),
            (b"SET a 1 EX 5", b"+OK\r\n"),
            (b"SUBSCRIBE x", b"*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n"),
            (b"UNSUBSCRIBE x", b"*3\r\n$11\r\nunsubscribe\r\n$1\r\nx\r\n:0\r\n"),
        ):
            self.assertEqual(answer, self.says(command), command)

    def test_password(self) -> None:
        """With a password nothing goes without it."""
        self.redis.password = "secret"
        self.client = self.successResultOf(self.redis.connect(Factory.forProtocol(Receiver)))
        self.assertTrue(self.says(b"PING").startswith(b"-NOAUTH"))
        self.assertTrue(self.says(b"AUTH wrong").startswith(b"-WRONGPASS"))
        self.assertTrue(self.says(b"PING").startswith(b"-NOAUTH"))
        self.assertEqual(b"+OK\r\n", self.says(b"AUTH me secret"))
        self.assertEqual(b"+PONG\r\n", self.says(b"PING"))

    def test_heard(self) -> None:
        """Publishing tells how many hear it."""
        self.assertEqual(0, self.redis.publish("x", b"1"))
        self.says(b"SUBSCRIBE x")
        self.assertEqual(1, self.redis.publish("x", b"1"))

    def test_down(self) -> None:
        """While it is down nobody gets in."""
        self.redis.up = False
        refused = self.redis.connect(Factory.forProtocol(Receiver))
        self.failureResultOf(refused, ConnectionRefusedError)

    def test_cut(self) -> None:
        """Cutting ends connections; what was on its way is lost."""
        self.client.transport.write(b"*1\r\n$4\r\nPING\r\n")
        self.redis.cut()
        self.clock.advance(0)
        self.assertEqual((b"", True), (self.client.received, self.client.lost))

    def test_hung(self) -> None:
        """What it hangs at, and what is behind that, waits."""
        self.redis.hung = {"SET"}
        self.assertEqual(b"", self.says(b"SET a 1 EX 5"))
        self.assertEqual(b"", self.says(b"PING"))
        self.redis.recover()
        self.clock.advance(0)
        self.assertEqual(b"+OK\r\n+PONG\r\n", self.client.received)


class MemoryMastodonTests(SynchronousTestCase):
    """How its answers can be held back."""

    def test_held(self) -> None:
        """Questions wait until they are let go."""
        mastodon = MemoryMastodon()
        mastodon.held = []
        asked = Deferred.fromCoroutine(mastodon.list_owners([1, 2]))
        self.assertNoResult(asked)
        mastodon.let_go()
        self.assertEqual({}, self.successResultOf(asked))


class StageTests(StageTestCase):
    """The stage itself."""

    def test_nothing_left(self) -> None:
        """It notices what is left behind."""
        self.stage.websocket(f"{API}?access_token=ann&stream=user")
        self.assertRaises(self.failureException, self.assert_nothing_left)
