"""
What is known of Redis and of PostgreSQL.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.dependency import Dependency


class DependencyTests(SynchronousTestCase):
    """Something of two parts."""

    def setUp(self) -> None:
        """Depend on it."""
        self.clock = Clock()
        self.clock.advance(100)
        self.redis = Dependency("Redis", self.clock, "a", "b")

    def state(self) -> tuple[bool, tuple[str, ...], float]:
        """Whether it is up, what is missing, and since when that is so."""
        return self.redis.up, self.redis.missing, self.redis.since

    def test_parts(self) -> None:
        """It is up while all of it is there."""
        self.assertEqual((False, ("a", "b"), 100), self.state())
        self.clock.advance(1)
        self.redis.gain("b")
        self.assertEqual((False, ("a",), 100), self.state())
        self.redis.gain("a")
        self.assertEqual((True, (), 101), self.state())
        self.clock.advance(1)
        self.redis.lose("a", "cut")
        self.clock.advance(1)
        self.redis.lose("b", "cut")
        self.redis.lose("b", "cut")
        self.assertEqual((False, ("a", "b"), 102), self.state())

    def test_heard(self) -> None:
        """Every sign of life counts, and none but these."""
        self.assertIsNone(self.redis.heard)
        for part in "aab":
            self.clock.advance(1)
            self.redis.gain(part)
            self.assertEqual(self.clock.seconds(), self.redis.heard)
        heard = self.redis.heard
        self.clock.advance(1)
        self.redis.lose("a", "cut")
        self.assertEqual(heard, self.redis.heard)
        self.redis.doubt()
        self.assertIsNone(self.redis.heard)

    def test_log(self) -> None:
        """The log is told of each change once, and of the beginning only if that was bad."""
        with capturedLogs() as events:
            self.redis.gain("a")
            self.redis.gain("b")
            for _ in range(2):
                self.redis.lose("a", "cut")
                self.redis.lose("b", "refused")
                self.redis.complain("still away")
                self.clock.advance(2.5)
                self.redis.gain("a")
                self.redis.gain("b")
            self.redis.complain("but it is there")
        said = [
            "Redis does not answer: cut",
            "Redis answers again, after 2.5 s",
        ]
        self.assertEqual(said * 2, [formatEvent(event) for event in events])

    def test_never(self) -> None:
        """One that has never been there can be complained of, too."""
        with capturedLogs() as events:
            self.redis.complain("nothing so far")
            self.clock.advance(3)
            self.redis.gain("a")
            self.redis.gain("b")
        self.assertEqual(
            ["Redis does not answer: nothing so far", "Redis answers again, after 3.0 s"],
            [formatEvent(event) for event in events],
        )
