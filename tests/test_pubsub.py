"""
One connection to Redis for everything that is listened to, against a Redis in memory.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.application.internet import ClientService
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.pubsub import PubSub, keep_subscribed
from flodgatt_tx.edge.redis import PING_PERIOD, Command
from tests.fakes import Heard, MemoryRedis


class PubSubTestCase(SynchronousTestCase):
    """A test of `PubSub`."""

    def setUp(self) -> None:
        """Make a Redis that nobody uses."""
        self.clock = MemoryReactorClock()
        self.redis = MemoryRedis(self.clock)
        self.heard = Heard()
        self.gaps: list[set[str]] = []
        self.pubsub = PubSub(
            self.clock,
            self.heard,
            lambda: self.gaps.append(self.redis.channels()),
        )

    def connect(self, hello: Sequence[Command] = ()) -> ClientService:
        """Connect, and end that with the test."""
        service = keep_subscribed(self.clock, self.redis, hello, self.pubsub)
        service.startService()
        self.addCleanup(lambda: self.assertEqual([], self.clock.getDelayedCalls()))
        self.addCleanup(self.turn)
        self.addCleanup(service.stopService)
        self.turn()
        return service

    def turn(self) -> None:
        """Let everything happen that takes no time."""
        for _ in range(5):
            self.clock.advance(0)

    def open(self, *channels: str) -> None:
        """Open channels, and wait for them."""
        self.pubsub.open(channels)
        self.turn()
        self.successResultOf(self.pubsub.when_open(channels))

    def said(self, *commands: str) -> list[list[str]]:
        """The commands of these names that Redis was sent."""
        return [each for each in self.redis.commands if each[0] in commands]


class CommandTests(PubSubTestCase):
    """What Redis is told."""

    def test_batched(self) -> None:
        """What is asked for in one turn of the reactor goes into one command."""
        self.connect()
        for name in "abc":
            self.pubsub.open([name])
        self.assertEqual([], self.redis.commands)
        self.turn()
        self.assertEqual([["SUBSCRIBE", "a", "b", "c"]], self.redis.commands)
        self.redis.commands.clear()
        for name in "ab":
            self.pubsub.close([name])
        self.pubsub.open(["d", "e"])
        self.turn()
        self.assertEqual([["SUBSCRIBE", "d", "e"]], self.said("SUBSCRIBE"))
        self.assertEqual([{"a", "b"}], [set(each[1:]) for each in self.said("UNSUBSCRIBE")])

    def test_pieces(self) -> None:
        """Thousands of channels are told in pieces of a thousand."""
        self.connect()
        self.pubsub.open([f"c{number}" for number in range(2500)])
        self.turn()
        self.assertEqual([1000, 1000, 500], [len(each) - 1 for each in self.redis.commands])

    def test_changed_mind(self) -> None:
        """What is opened and closed in one turn is not told at all."""
        self.connect()
        self.pubsub.open(["a"])
        self.pubsub.close(["a"])
        self.turn()
        self.assertEqual([], self.redis.commands)

    def test_other_mind(self) -> None:
        """What is closed and opened in one turn stays."""
        self.connect()
        self.open("a")
        self.pubsub.close(["a"])
        self.pubsub.open(["a"])
        self.turn()
        self.assertEqual([["SUBSCRIBE", "a"]], self.redis.commands)
        self.successResultOf(self.pubsub.when_open(["a"]))

    def test_count(self) -> None:
        """It knows how many channels are open."""
        self.connect()
        self.open("a", "b")
        self.pubsub.close(["a"])
        self.assertEqual(1, len(self.pubsub))


class ConfirmationTests(PubSubTestCase):
    """When a channel counts as open."""

    def test_not_before(self) -> None:
        """A channel is open when Redis says so, and not before."""
        self.connect()
        self.redis.hung = {"SUBSCRIBE"}
        self.pubsub.open(["a", "b"])
        opened = self.pubsub.when_open(["a", "b"])
        self.turn()
        self.assertNoResult(opened)
        self.redis.recover()
        self.turn()
        self.successResultOf(opened)

    def test_each(self) -> None:
        """Who waits for one channel does not wait for another."""
        self.connect()
        self.open("a")
        self.redis.hung = {"SUBSCRIBE"}
        self.pubsub.open(["b"])
        self.turn()
        self.successResultOf(self.pubsub.when_open(["a"]))
        waiting = self.pubsub.when_open(["a", "b"])
        self.assertNoResult(waiting)
        waiting.addErrback(lambda failure: None)
        waiting.cancel()

    def test_reopened(self) -> None:
        """After closing and opening only the last confirmation counts."""
        self.connect()
        self.redis.hung = {"SUBSCRIBE"}
        for act in (self.pubsub.open, self.pubsub.close, self.pubsub.open):
            act(["a"])
            self.turn()
        opened = self.pubsub.when_open(["a"])
        undone, self.redis.undone = self.redis.undone, []
        self.assertEqual(3, len(undone))
        for connection, command in undone:
            self.assertNoResult(opened)
            connection.obey(*command)
            self.turn()
        self.successResultOf(opened)

    def test_given_up(self) -> None:
        """Who gives up waiting harms nobody else who waits."""
        self.connect()
        self.redis.hung = {"SUBSCRIBE"}
        self.pubsub.open(["a"])
        first, second = self.pubsub.when_open(["a"]), self.pubsub.when_open(["a"])
        self.turn()
        first.addErrback(lambda failure: None)
        first.cancel()
        self.redis.recover()
        self.turn()
        self.successResultOf(second)

    def test_before_connection(self) -> None:
        """Channels may be asked for before there is a Redis."""
        self.pubsub.open(["a"])
        opened = self.pubsub.when_open(["a"])
        self.turn()
        self.assertNoResult(opened)
        self.connect()
        self.successResultOf(opened)


class MessageTests(PubSubTestCase):
    """What arrives."""

    def test_trouble(self) -> None:
        """If a message cannot be delivered, the next one is all the same."""
        self.heard = Heard(trouble=b"0")
        self.pubsub = PubSub(self.clock, self.heard)
        self.connect()
        self.open("a")
        self.redis.publish("a", b"0")
        self.redis.publish("a", b"1")
        self.turn()
        self.assertEqual([("a", b"1")], self.heard)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.assertEqual(1, len(self.pubsub))

    def test_trouble_after_reading(self) -> None:
        """If what was read cannot be sent, what is read next is passed on all the same."""
        self.patch(self.heard, "all_read", lambda: 1 // 0)
        self.connect()
        self.open("a")
        self.redis.publish("a", b"1")
        self.turn()
        self.assertEqual([("a", b"1")], self.heard)
        self.assertTrue(self.flushLoggedErrors(ZeroDivisionError))

    def test_together(self) -> None:
        """It is told when all that was read in one go has been passed on."""
        self.connect()
        self.open("a")
        self.heard.reads.clear()
        [connection] = self.redis.connections
        one = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n1\r\n"
        connection.deliver(one * 3 + one[:5])
        connection.deliver(one[5:])
        self.assertEqual([3, 1], self.heard.reads)

    def test_nonsense(self) -> None:
        """What came before something that is no Redis counts; then the connection is given up."""
        self.connect()
        self.open("a")
        [connection] = self.redis.connections
        self.heard.reads.clear()
        connection.deliver(b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n1\r\n!nonsense\r\n")
        self.assertEqual(([("a", b"1")], [1]), (self.heard, self.heard.reads))
        self.turn()
        self.assertNotIn(connection, self.redis.connections)

    def test_paused(self) -> None:
        """Redis is not read while there is too much to do, and then it is."""
        self.pubsub.pauseProducing()
        self.pubsub.resumeProducing()
        self.connect()
        [connection] = self.redis.connections
        self.pubsub.pauseProducing()
        self.assertEqual("paused", connection.producerState)
        self.redis.hung = {"PING"}  # whatever it answered would not be read
        self.clock.pump([PING_PERIOD] * 3)
        self.redis.recover()
        self.pubsub.resumeProducing()
        self.assertEqual("producing", connection.producerState)
        self.clock.pump([PING_PERIOD / 2] * 4)
        self.assertEqual([connection], self.redis.connections)

    def test_pieces(self) -> None:
        """A message may come byte by byte."""
        self.connect()
        self.open("a")
        said = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$4\r\n\x00\r\n1\r\n"
        [connection] = self.redis.connections
        for at in range(len(said)):
            connection.deliver(said[at : at + 1])
        self.assertEqual([("a", b"\x00\r\n1")], self.heard)


class ReconnectionTests(PubSubTestCase):
    """Life with a Redis that comes and goes."""

    def test_everything_again(self) -> None:
        """A new connection subscribes to everything that is open now."""
        self.connect()
        self.open("a", "b")
        self.redis.cut()
        self.pubsub.close(["a"])
        self.pubsub.open(["c"])
        opened = self.pubsub.when_open(["b", "c"])
        self.assertNoResult(opened)
        self.clock.advance(2)
        self.turn()
        self.successResultOf(opened)
        self.assertEqual({"b", "c"}, self.redis.channels())

    def test_soon(self) -> None:
        """Redis is back for two seconds at most before we are."""
        self.connect()
        self.open("a")
        self.redis.up = False
        self.redis.cut()
        for _ in range(60):
            self.clock.advance(1)
        self.redis.up = True
        self.clock.advance(1)
        self.clock.advance(1)
        self.turn()
        self.assertEqual({"a"}, self.redis.channels())

    def test_gap(self) -> None:
        """Once all is subscribed again it is told that there was a gap; not at the start."""
        self.connect()
        self.open("a", "b")
        self.assertEqual([], self.gaps)
        self.redis.cut()
        self.clock.advance(2)
        self.turn()
        self.assertEqual([{"a", "b"}], self.gaps)

    def test_loss_while_waiting(self) -> None:
        """A channel whose confirmation was lost is confirmed by the next connection."""
        self.connect()
        self.redis.hung = {"SUBSCRIBE"}
        self.pubsub.open(["a"])
        opened = self.pubsub.when_open(["a"])
        self.turn()
        self.redis.cut()
        self.redis.undone.clear()
        self.redis.hung.clear()
        self.assertNoResult(opened)
        self.clock.advance(2)
        self.turn()
        self.successResultOf(opened)

    def test_refused(self) -> None:
        """If Redis refuses the password we come back, and it may be right then."""
        self.redis.password = "right"
        self.pubsub.open(["a"])
        self.connect([("AUTH", "right")])
        self.assertEqual({"a"}, self.redis.channels())
        self.redis.password = "other"
        self.redis.cut()
        for _ in range(10):
            self.clock.advance(1)
        self.assertEqual(set(), self.redis.channels())
        self.redis.password = "right"
        for _ in range(3):
            self.clock.advance(1)
        self.turn()
        self.assertEqual({"a"}, self.redis.channels())

    def test_no_password(self) -> None:
        """If Redis wants a password that we do not have, we come back and do not despair."""
        self.redis.password = "secret"
        self.pubsub.open(["a"])
        self.connect()
        for _ in range(5):
            self.clock.advance(1)
        self.redis.password = None
        for _ in range(3):
            self.clock.advance(1)
        self.turn()
        self.assertEqual({"a"}, self.redis.channels())


class SilenceTests(PubSubTestCase):
    """A Redis that says nothing any more, and does not hang up either."""

    def test_noticed(self) -> None:
        """Within half a minute the connection is given up, and a new one subscribes again."""
        self.connect()
        self.open("a")
        self.redis.hung = {"PING"}
        self.clock.pump([1] * 19)
        self.assertEqual(1, len(self.redis.connections))
        first = self.redis.connections[0]
        self.redis.hung = set()
        self.clock.pump([1] * 5)
        self.assertNotIn(first, self.redis.connections)
        self.assertEqual({"a"}, self.redis.channels())

    def test_signs_of_life(self) -> None:
        """A Redis that answers, or has something to say, is left alone."""
        self.connect()
        self.open("a")
        [connection] = self.redis.connections
        self.clock.pump([1] * 60)
        self.redis.hung = {"PING"}
        for _ in range(20):
            self.clock.pump([1] * 3)
            self.redis.publish("a", b"1")
        self.assertEqual([connection], self.redis.connections)
