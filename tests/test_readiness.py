"""
Whether the server can do its work.
"""

from __future__ import annotations

import json

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.dependency import ANSWERS, SUBSCRIPTIONS, Dependency
from flodgatt_tx.edge.metrics import Metrics
from flodgatt_tx.edge.presence import keep_present
from flodgatt_tx.edge.pubsub import keep_subscribed
from flodgatt_tx.edge.readiness import PATIENCE, PERIOD, Readiness
from flodgatt_tx.edge.server import make_parts
from flodgatt_tx.errors import UNAVAILABLE, UnavailableError
from tests.fakes import MemoryMastodon, MemoryRedis
from tests.stage import API, StageTestCase


class ReadinessTests(SynchronousTestCase):
    """A PostgreSQL that is asked now and then, and a Redis that speaks for itself."""

    def setUp(self) -> None:
        """Depend on both."""
        self.clock = Clock()
        self.asked: list[Deferred[None]] = []
        self.postgres = Dependency("PostgreSQL", self.clock, ANSWERS)
        self.redis = Dependency("Redis", self.clock, SUBSCRIPTIONS)
        self.metrics = Metrics()
        self.readiness = Readiness(self.clock, self.metrics, lambda: self.clock.seconds() + 86400)
        self.readiness.add(self.postgres, self.ask)
        self.readiness.add(self.redis)
        self.readiness.startService()
        self.addCleanup(lambda: self.assertEqual([], self.clock.getDelayedCalls()))
        self.addCleanup(self.readiness.stopService)

    def ask(self) -> Deferred[None]:
        """Ask for a sign of life."""
        asked: Deferred[None] = Deferred()
        self.asked.append(asked)
        return asked

    def answer(self) -> None:
        """Let PostgreSQL give one, as the pool hears it."""
        self.postgres.gain(ANSWERS)
        self.asked.pop().callback(None)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.pump([1] * int(seconds))

    def test_beginning(self) -> None:
        """It is ready once everything is there, and not before."""
        self.assertFalse(self.readiness.ready)
        self.assertEqual(["PostgreSQL", "Redis"], self.readiness.missing)
        self.answer()
        self.assertFalse(self.readiness.ready)
        self.redis.gain(SUBSCRIPTIONS)
        self.assertTrue(self.readiness.ready)

    def test_report(self) -> None:
        """The report says since when what is missing."""
        self.answer()
        self.clock.advance(2)
        self.redis.gain(SUBSCRIPTIONS)
        self.clock.advance(1)
        self.redis.lose(SUBSCRIPTIONS, "cut")
        self.assertEqual(
            {
                "ready": False,
                "leaving": False,
                "dependencies": {
                    "postgresql": {"up": True, "since": "1970-01-02T00:00:00Z"},
                    "redis": {
                        "up": False,
                        "since": "1970-01-02T00:00:03Z",
                        "missing": ("subscriptions",),
                    },
                },
            },
            self.readiness.report(),
        )

    def test_leaving(self) -> None:
        """A process that goes down is not ready, whatever is there."""
        self.answer()
        self.redis.gain(SUBSCRIPTIONS)
        self.readiness.leaving = True
        self.assertFalse(self.readiness.ready)
        self.assertEqual([], self.readiness.missing)

    def test_silence(self) -> None:
        """PostgreSQL is asked when nothing was heard from it for a while, and only then."""
        self.answer()
        for _ in range(4):
            self.wait(PERIOD - 1)
            self.postgres.gain(ANSWERS)
        self.assertEqual([], self.asked)
        self.wait(PERIOD)
        self.answer()
        self.assertEqual([], self.asked)

    def test_doubt(self) -> None:
        """It is asked soon if something speaks against it."""
        self.answer()
        self.postgres.doubt()
        self.wait(1)
        self.answer()

    def test_no_answer(self) -> None:
        """One that does not answer counts as down, and is not asked again meanwhile."""
        self.answer()
        self.wait(PERIOD + PATIENCE - 1)
        self.assertTrue(self.postgres.up)
        self.wait(1)
        self.assertFalse(self.postgres.up)
        self.wait(2 * PERIOD)
        self.assertEqual(1, len(self.asked))
        self.answer()
        self.assertTrue(self.postgres.up)

    def test_down(self) -> None:
        """One that is down is asked every second."""
        self.answer()
        for _ in range(3):
            self.postgres.lose(ANSWERS, "refused")
            self.wait(1)
            self.asked.pop().errback(UnavailableError(UNAVAILABLE))
        self.wait(1)
        self.answer()
        self.wait(1)
        self.assertEqual([], self.asked)

    def test_failing(self) -> None:
        """What comes of asking is no surprise, unless it is one."""
        self.asked.pop().errback(UnavailableError(UNAVAILABLE))
        self.wait(1)
        self.asked.pop().errback(ZeroDivisionError())
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.wait(1)
        self.answer()

    def test_never_there(self) -> None:
        """What has not been there since the start is complained of."""
        self.answer()
        with capturedLogs() as events:
            self.wait(5)
            self.answer()
        self.assertEqual(
            ["Redis does not answer: no subscriptions so far"],
            [formatEvent(event) for event in events],
        )

    def test_metrics(self) -> None:
        """There is a gauge for each."""
        self.answer()
        for name, value in (("postgresql", 1), ("redis", 0)):
            labels = {"dependency": name}
            read = self.metrics.registry.get_sample_value("dependency_up", labels)
            self.assertEqual(value, read, name)


class GreetingTests(SynchronousTestCase):
    """When Redis counts as there."""

    def test_refused(self) -> None:
        """A Redis that lets us connect, and then wants a password, is not there."""
        clock = MemoryReactorClock()
        redis = MemoryRedis(clock, password="secret")
        parts = make_parts(clock, MemoryMastodon())
        for keep in (
            keep_subscribed(clock, redis, [("PING",)], parts.pubsub),
            keep_present(clock, redis, [("PING",)], parts.presence),
        ):
            keep.startService()
            self.addCleanup(keep.stopService)
        clock.pump([0] * 5)
        self.assertFalse(parts.api.readiness.ready)
        redis.password = None
        clock.pump([0.5] * 10)
        self.assertTrue(parts.api.readiness.ready)


class EndpointTests(StageTestCase):
    """What `health/ready` answers."""

    def test_ready(self) -> None:
        """While all is well it is 200."""
        client = self.stage.get(f"{API}/health/ready")
        self.assertEqual((200, True), (client.status, json.loads(client.body)["ready"]))
        self.assertEqual("application/json", client.headers["content-type"])
        self.assertEqual("private, no-store", client.headers["cache-control"])

    def test_head(self) -> None:
        """The status is enough for many."""
        client = self.stage.get(f"{API}/health/ready", "HEAD")
        self.assertEqual((200, b""), (client.status, client.body))

    def test_redis(self) -> None:
        """Without Redis it is 503, and health is as it was."""
        self.stage.redis.up = False
        self.stage.redis.cut()
        client = self.stage.get(f"{API}/health/ready")
        redis = json.loads(client.body)["dependencies"]["redis"]
        self.assertEqual((503, False), (client.status, redis["up"]))
        self.assertEqual(["subscriptions", "commands"], sorted(redis["missing"], reverse=True))
        self.assertEqual(200, self.stage.get(f"{API}/health").status)
        self.stage.redis.up = True
        self.stage.wait(2)
        self.assertEqual(200, self.stage.get(f"{API}/health/ready").status)
