"""
News of another master, from Sentinels in memory.
"""

from __future__ import annotations

from twisted.application.internet import ClientService
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from typing_extensions import override

from flodgatt_tx.edge.failover import NEWS, keep_informed
from flodgatt_tx.edge.presence import Presence, keep_present
from flodgatt_tx.edge.redis import PING_PERIOD, redis_endpoint
from flodgatt_tx.redis_settings import RedisSettings
from tests.test_sentinel import SENTINELS, SentinelTestCase


class NewsTestCase(SentinelTestCase):
    """A connection to the master, and what listens to the Sentinels."""

    @override
    def setUp(self) -> None:
        """Make them."""
        super().setUp()
        self.services: list[ClientService] = []

    def connect(self, **settings: str) -> None:
        """Connect."""
        endpoint = self.endpoint(**settings)
        presence = Presence(self.clock)
        self.services = [keep_present(self.clock, endpoint, [("PING",)], presence)]
        self.services += keep_informed(self.clock, endpoint, self.settings)
        for service in self.services:
            service.startService()
            self.addCleanup(service.stopService)
        presence.hold(["key"])
        self.turn()

    def tell(self, words: str, number: int = 0) -> None:
        """Let a Sentinel publish."""
        self.sentinels[number].publish(NEWS, words.encode())
        self.turn()


class NewsTests(NewsTestCase):
    """What is done about them."""

    def test_moved(self) -> None:
        """The connection to an old master that does not answer is given up at once."""
        self.connect()
        self.old.hung = {"PING"}
        self.assertEqual({"key"}, set(self.old.keys))
        self.new.role = "master"
        for sentinel in self.sentinels:
            sentinel.master = ("10.0.0.2", 6379)
        self.tell("mine 10.0.0.1 6379 10.0.0.2 6379")
        self.wait(2)
        self.assertEqual({"key"}, set(self.new.keys))
        self.assertEqual((0, 1), (len(self.old.connections), len(self.new.connections)))
        # The other Sentinels say it again, which is no news.
        self.tell("mine 10.0.0.1 6379 10.0.0.2 6379", 1)
        self.wait(2)
        self.assertEqual([["ROLE"], ["PING"]], self.new.commands[:2])
        self.assertEqual(1, self.new.commands.count(["ROLE"]))

    def test_replaced(self) -> None:
        """That to one that answers is kept until it hangs up: Rails publishes there until then."""
        self.connect()
        self.new.role = "master"
        for sentinel in self.sentinels:
            sentinel.master = ("10.0.0.2", 6379)
        for number in range(2):
            self.tell("mine 10.0.0.1 6379 10.0.0.2 6379", number)
        self.wait(5)
        self.assertEqual((1, 0), (len(self.old.connections), len(self.new.connections)))
        self.old.cut()
        self.wait(2)
        self.assertEqual((0, 1), (len(self.old.connections), len(self.new.connections)))

    def test_somebody_else(self) -> None:
        """Other masters, and nonsense, do not matter."""
        self.connect()
        for words in (
            "theirs 10.0.0.1 6379 10.0.0.2 6379",
            "mine",
            "",
            "mine a b c d",
            "mine a b c 99999",
            "mine \xff",
        ):
            self.tell(words)
        self.wait(2)
        self.assertEqual(1, self.old.commands.count(["ROLE"]))

    def test_greeting(self) -> None:
        """Sentinels want their password, and those that want none do not mind."""
        for sentinel in self.sentinels[1:]:
            sentinel.password = "whisper"
        self.connect(sentinel_username="s", sentinel_password="whisper")
        for sentinel in self.sentinels[1:]:
            self.assertEqual({NEWS}, sentinel.channels())

    def test_no_rights(self) -> None:
        """A Sentinel that does not tell is complained of once, and stays connected."""
        for sentinel in self.sentinels:
            sentinel.refusing = {"SUBSCRIBE", "PING"}
        with capturedLogs() as events:
            self.connect()
            self.wait(3 * PING_PERIOD)
        told = [formatEvent(event) for event in events if "tells no news" in formatEvent(event)]
        self.assertEqual(len(SENTINELS), len(told))
        self.assertIn("OOM command not allowed", told[0])
        self.assertEqual([1] * 3, [len(each.connections) for each in self.sentinels])

    def test_open_sentinel(self) -> None:
        """That a password was not needed is no complaint."""
        self.connect()
        [connection] = self.sentinels[0].connections
        with capturedLogs() as events:
            connection.deliver(b"-ERR Client sent AUTH, but no password is set\r\n")
        self.assertEqual([], events)

    def test_silent(self) -> None:
        """A Sentinel that hangs is given up, and the log does not blame Redis."""
        self.connect()
        self.sentinels[0].hung = {"PING"}
        with capturedLogs() as events:
            self.wait(2 * PING_PERIOD)
        texts = [formatEvent(event) for event in events]
        self.assertIn("a Sentinel has fallen silent, and is given up", texts)

    def test_without_sentinel(self) -> None:
        """Where there is no Sentinel nobody tells anything."""
        clock = MemoryReactorClock()
        endpoint = redis_endpoint(clock, RedisSettings(), None)
        self.assertEqual([], keep_informed(clock, endpoint, RedisSettings()))
