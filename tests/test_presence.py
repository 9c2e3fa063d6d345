"""
The keys by which Rails knows who listens, in a Redis in memory.
"""

from __future__ import annotations

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.presence import LIFETIME, REFRESH, Presence, keep_present
from tests.fakes import MemoryRedis


class PresenceTests(SynchronousTestCase):
    """Writing keys, and writing them again."""

    def setUp(self) -> None:
        """Connect."""
        self.clock = MemoryReactorClock()
        self.redis = MemoryRedis(self.clock)
        self.presence = Presence(self.clock)
        services = [
            self.presence,
            keep_present(self.clock, self.redis, [("SELECT", 3)], self.presence),
        ]
        self.addCleanup(lambda: self.assertEqual([], self.clock.getDelayedCalls()))
        self.addCleanup(self.turn)
        for service in services:
            service.startService()
            self.addCleanup(service.stopService)
        self.turn()
        self.redis.commands.clear()

    def turn(self) -> None:
        """Let everything happen that takes no time."""
        for _ in range(5):
            self.clock.advance(0)

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        for _ in range(seconds):
            self.clock.advance(1)
        self.turn()

    def written(self) -> list[str]:
        """The keys that were written since this was last asked."""
        keys = [each[1] for each in self.redis.commands if each[0] == "SET"]
        self.redis.commands.clear()
        return keys

    def test_written(self) -> None:
        """A key lives for eighteen minutes."""
        held = self.presence.hold(["a", "b"])
        self.assertNoResult(held)
        self.turn()
        self.successResultOf(held)
        self.assertEqual({"a": LIFETIME, "b": LIFETIME}, self.redis.keys)
        self.assertEqual([["SET", key, "1", "EX", "1080"] for key in "ab"], self.redis.commands)

    def test_once(self) -> None:
        """A key that others hold is not written again for the next one."""
        first, second = self.presence.hold(["a"]), self.presence.hold(["a"])
        self.turn()
        self.successResultOf(first)
        self.successResultOf(second)
        self.successResultOf(self.presence.hold(["a"]))
        self.assertEqual(["a"], self.written())

    def test_very_many(self) -> None:
        """Very many keys are written turn by turn, each once."""
        keys = [f"k{number}" for number in range(1100)]
        held = self.presence.hold(keys)
        self.turn()
        self.successResultOf(held)
        self.assertEqual(keys, self.written())

    def test_nothing(self) -> None:
        """Streams without keys wait for none."""
        self.successResultOf(self.presence.hold([]))
        self.assertEqual([], self.redis.commands)

    def test_refreshed(self) -> None:
        """A key is written again every six minutes, as long as anybody holds it."""
        for _ in range(2):
            self.presence.hold(["a"])
        self.turn()
        self.presence.release(["a"])
        self.written()
        self.wait(3 * REFRESH)
        self.assertEqual(["a"] * 3, self.written())

    def test_released(self) -> None:
        """A key that nobody holds is not written again, nor is it deleted."""
        self.presence.hold(["a"])
        self.turn()
        self.presence.release(["a"])
        self.written()
        self.wait(REFRESH)
        self.assertEqual([], self.written())
        self.assertIn("a", self.redis.keys)

    def test_held_again(self) -> None:
        """Who holds it later has it written anew."""
        self.presence.hold(["a"])
        self.turn()
        self.presence.release(["a"])
        self.written()
        held = self.presence.hold(["a"])
        self.turn()
        self.successResultOf(held)
        self.assertEqual(["a"], self.written())

    def test_released_while_written(self) -> None:
        """A key that is released while Redis writes it counts as not written."""
        self.redis.hung = {"SET"}
        self.presence.hold(["a"])
        self.turn()
        self.presence.release(["a"])
        self.redis.recover()
        self.turn()
        self.written()
        self.presence.hold(["a"])
        self.turn()
        self.assertEqual(["a"], self.written())

    def test_given_up(self) -> None:
        """Who gives up waiting harms nobody else who waits."""
        self.redis.hung = {"SET"}
        first, second = self.presence.hold(["a"]), self.presence.hold(["a"])
        self.turn()
        first.addErrback(lambda failure: None)
        first.cancel()
        self.redis.recover()
        self.turn()
        self.successResultOf(second)

    def test_reconnected(self) -> None:
        """All keys that are held are written again to a Redis that comes back."""
        self.presence.hold(["a", "b", "c"])
        self.turn()
        self.presence.release(["b"])
        self.redis.cut()
        self.redis.keys.clear()
        held = self.presence.hold(["d"])
        self.assertNoResult(held)
        self.wait(2)
        self.successResultOf(held)
        self.assertEqual({"a", "c", "d"}, set(self.redis.keys))

    def test_lost_while_written(self) -> None:
        """A key whose confirmation was lost is confirmed by the next connection."""
        self.redis.hung = {"SET"}
        held = self.presence.hold(["a"])
        self.turn()
        self.redis.cut()
        self.redis.undone.clear()
        self.redis.hung.clear()
        self.assertNoResult(held)
        self.wait(2)
        self.successResultOf(held)

    def test_greeting(self) -> None:
        """A new connection begins with the greeting."""
        self.redis.cut()
        self.wait(2)
        self.assertEqual(["SELECT", "3"], self.redis.commands[0])

    def test_refused(self) -> None:
        """A Redis that refuses to write is asked again and again, and complained of once."""
        self.redis.refusing = {"SET"}
        with capturedLogs() as events:
            held = self.presence.hold(["a"])
            self.wait(10)
        self.assertEqual(1, len(events))
        self.assertNoResult(held)
        self.assertGreater(len(self.written()), 2)
        self.assertEqual(1, len(self.redis.connections))
        self.redis.refusing = set()
        self.wait(3)
        self.successResultOf(held)
