"""
Times in which nobody heard what was published.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionLost
from twisted.logger import capturedLogs, formatEvent

from flodgatt_tx.edge.gaps import Gaps
from tests.stage import API, StageTestCase


class GapTests(StageTestCase):
    """A server that loses its Redis."""

    def setUp(self) -> None:
        """Let somebody listen."""
        super().setUp()
        self.socket = self.stage.websocket(f"{API}?access_token=ann&stream=user")

    def counted(self) -> tuple[float | None, float | None]:
        """How many gaps there were, and how many seconds they have lasted."""
        return (
            self.stage.metric("redis_gaps_total"),
            self.stage.metric("redis_gap_seconds_total"),
        )

    def test_none(self) -> None:
        """The first connection ends no gap."""
        self.assertEqual((0, 0), self.counted())

    def test_closed(self) -> None:
        """A gap lasts from the end of a connection until everything is subscribed again."""
        self.stage.wait(3)
        self.stage.redis.up = False
        self.stage.redis.cut()
        self.assertEqual((1, 0), self.counted())
        self.stage.wait(7)
        self.stage.redis.hung = {"SUBSCRIBE"}
        self.stage.redis.up = True
        self.stage.wait(2)
        self.assertEqual((1, 0), self.counted())
        with capturedLogs() as events:
            self.stage.redis.recover()
            self.stage.turn()
        self.assertEqual((1, 9), self.counted())
        said = "All is subscribed again; what was published in the last 9.0 s is lost"
        self.assertIn(said, [formatEvent(event) for event in events])

    def test_lost_again(self) -> None:
        """What is lost again before it was whole is still the same gap."""
        self.stage.redis.hung = {"SUBSCRIBE"}
        self.stage.redis.cut()
        self.stage.wait(2)
        self.stage.redis.undone.clear()
        self.stage.redis.cut()
        self.stage.wait(2)
        self.stage.redis.recover()
        self.stage.turn()
        self.assertEqual((1, 4), self.counted())

    def test_hung(self) -> None:
        """If Redis falls silent the gap began with its last sign of life, not when that showed."""
        self.stage.wait(10)
        self.stage.redis.hung = {"PING"}
        lost_after = next(second for second in range(40) if self.gap_after_a_second())
        self.assertLess(lost_after, 30)
        self.stage.redis.undone.clear()
        self.stage.redis.hung.clear()
        self.stage.wait(2)
        gaps, seconds = self.counted()
        self.assertEqual(1, gaps)
        self.assertGreater(seconds or 0, lost_after)

    def gap_after_a_second(self) -> bool:
        """Let a second pass, and tell whether a gap has been noticed."""
        self.stage.wait(1)
        return bool(self.counted()[0])

    def test_cut_off(self) -> None:
        """So it did if the connection broke: the other side may have been gone for long."""
        self.stage.wait(13)  # the last answer came 3 seconds ago
        subscriber = next(each for each in self.stage.redis.connections if each.channels)
        subscriber.end(ConnectionLost())
        self.stage.wait(2)
        gaps, seconds = self.counted()
        self.assertEqual(1, gaps)
        self.assertGreaterEqual(seconds or 0, 4)

    def test_our_own_end(self) -> None:
        """When it is we who go there is no gap, and nobody complains."""
        with capturedLogs() as events:
            self.stage.part(Gaps).stopService()
            self.stage.redis.up = False
            next(each for each in self.stage.redis.connections if each.channels).end()
        self.assertEqual((0, 0), self.counted())
        said = [event for event in events if event["log_namespace"].startswith("flodgatt")]
        self.assertEqual([], said)
