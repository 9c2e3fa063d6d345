"""
What a whole server counts.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.link import SqlError
from flodgatt_tx.edge.mastodon import MastodonDatabase
from flodgatt_tx.edge.metrics import QUESTIONS, Metrics, render
from flodgatt_tx.edge.rechecks import Rechecks
from flodgatt_tx.errors import UNAVAILABLE, RefusalError, UnavailableError
from flodgatt_tx.feeds import Feed
from flodgatt_tx.limits import Limits
from tests.stage import API, Stage, StageTestCase, status, viewer


class CountingTestCase(StageTestCase):
    """A test with a look at the numbers."""

    def counted(self, name: str) -> dict[tuple[str, ...], float]:
        """The samples of a metric that are not zero, by the values of their labels."""
        return {
            tuple(sample.labels.values()): sample.value
            for family in self.stage.parts.metrics.registry.collect()
            for sample in family.samples
            if sample.name == name and sample.value
        }


class EventTests(CountingTestCase):
    """Events, by what they are and where they go."""

    def test_kinds(self) -> None:
        """They are counted by the kind of channel and by name; names from outside are few."""
        socket = self.stage.websocket(f"{API}?access_token=ann&stream=user")
        socket.subscribe("hashtag", tag="cats")
        self.stage.publish("timeline:1", "delete", "1")
        self.stage.publish("timeline:1", "delete", "2")
        self.stage.publish("timeline:1:notifications", "notification", {"id": "3"})
        self.stage.publish("timeline:hashtag:cats", "x" * 1000, "4")
        self.stage.publish("timeline:system:1", "filters_changed")
        self.stage.publish("timeline:99", "delete", "nobody hears this")
        expected = {
            ("user", "delete"): 2,
            ("user:notification", "notification"): 1,
            ("hashtag", "other"): 1,
            ("system", "filters_changed"): 1,
        }
        self.assertEqual(expected, self.counted("redis_events_total"))

    def test_bytes(self) -> None:
        """What clients are sent is counted by transport, to the byte."""
        socket = self.stage.websocket(f"{API}?access_token=ann&stream=user")
        clients = [self.stage.get(f"{API}/user?access_token=ann") for _ in range(2)]
        before = {client: len(client.raw) for client in (socket, *clients)}
        self.stage.publish("timeline:1", "delete", "1")
        sent = {client: len(client.raw) - size for client, size in before.items()}
        self.assertEqual(
            {
                ("websocket",): sent[socket],
                ("eventsource",): sent[clients[0]] + sent[clients[1]],
            },
            self.counted("sent_bytes_total"),
        )
        self.assertEqual(
            {("websocket",): 1, ("eventsource",): 2}, self.counted("messages_sent_total")
        )

    def test_latency(self) -> None:
        """Each write is timed from when its event was heard, what PostgreSQL took included."""
        for token in ("ann", "ben"):
            self.stage.get(f"{API}/public?access_token={token}")
        self.stage.publish("timeline:public", "delete", "1")
        self.stage.mastodon.held = []
        self.stage.publish("timeline:public", "update", status())
        self.stage.publish("timeline:public", "delete", "2")
        self.assertEqual(2, self.stage.metric("unjudged_events"))
        self.stage.clock.advance(2)
        self.stage.mastodon.let_go()
        self.stage.turn()
        self.assertEqual(0, self.stage.metric("unjudged_events"))
        metric = self.stage.metric
        self.assertEqual(4, metric("delivery_latency_seconds_count"))
        self.assertEqual(2, metric("delivery_latency_seconds_bucket", le="1.0"))
        self.assertEqual(4, metric("delivery_latency_seconds_sum"))
        self.assertEqual((2, 0), (metric("fanout_seconds_count"), metric("fanout_seconds_sum")))
        self.assertEqual(0, metric("unsent_fanouts"))


class FilteredTests(CountingTestCase):
    """Statuses that are withheld, and why."""

    def test_reasons(self) -> None:
        """Each reader who misses one counts for the reason."""
        mastodon = self.stage.mastodon
        mastodon.tokens["cyd"] = viewer(3, languages=frozenset({"is"}))
        mastodon.blocks.add((2, 50))
        mastodon.blocked_domains[1] = frozenset({"remote.example"})
        for token in ("ann", "ben", "cyd"):
            self.stage.get(f"{API}/public?access_token={token}")
        self.stage.publish("timeline:public", "update", status())
        expected = {("language",): 1, ("block_or_mute",): 1, ("domain_block",): 1}
        self.assertEqual(expected, self.counted("messages_filtered_total"))
        self.stage.publish("timeline:public", "update", status(local_only=True))
        self.assertEqual(3, self.counted("messages_filtered_total")[("local_only",)])

    def test_unknown(self) -> None:
        """Nobody knows what a reader would block whose blocks could not be loaded."""
        self.stage.get(f"{API}/public?access_token=ann")
        [listening] = self.stage.parts.api.subscriber._broadcast.streams.hearing("timeline:public")
        assert listening.account
        listening.account.loaded = False
        self.stage.publish("timeline:public", "update", status())
        self.assertEqual({("unknown",): 1}, self.counted("messages_filtered_total"))

    def test_closed(self) -> None:
        """So it does if the site has switched a feed off."""
        self.stage.mastodon.closed = frozenset({(Feed.LIVE, False)})
        self.stage.wait(60)
        self.stage.get(f"{API}/public?access_token=ann")
        self.stage.publish("timeline:public", "update", status())
        self.assertEqual({("closed_feed",): 1}, self.counted("messages_filtered_total"))


class DroppedTests(CountingTestCase):
    """Readers who are cut off."""

    def test_revoked(self) -> None:
        """A token that is taken away counts, for whoever used it, once."""
        self.stage.websocket(f"{API}?access_token=ann&stream=user")
        self.stage.get(f"{API}/user?access_token=ann")
        self.stage.publish("timeline:system:1", "kill")
        self.stage.publish("timeline:access_token:1001", "kill")
        del self.stage.mastodon.tokens["ann"]
        self.stage.part(Rechecks).hurry()
        self.stage.turn()
        expected = {("websocket", "revoked"): 1, ("eventsource", "revoked"): 1}
        self.assertEqual(expected, self.counted("readers_dropped_total"))

    def test_rechecked(self) -> None:
        """So does one that is found to be gone."""
        self.stage.get(f"{API}/user?access_token=ann")
        del self.stage.mastodon.tokens["ann"]
        self.stage.wait(301)
        self.assertEqual({("eventsource", "revoked"): 1}, self.counted("readers_dropped_total"))

    def test_silent(self) -> None:
        """A WebSocket that gives no sign of life counts."""
        socket = self.stage.websocket(f"{API}?access_token=ann&stream=user")
        self.stage.wait(70)
        self.assertTrue(socket.closed)
        self.assertEqual({("websocket", "silent"): 1}, self.counted("readers_dropped_total"))

    def test_broken(self) -> None:
        """One that cannot be written to counts."""
        client = self.stage.get(f"{API}/user?access_token=ann")
        self.patch(client.wire, "write", lambda data: 1 / 0)
        self.stage.publish("timeline:1", "delete", "1")
        self.assertEqual({("eventsource", "broken"): 1}, self.counted("readers_dropped_total"))
        self.flushLoggedErrors(ZeroDivisionError)

    def test_waiting(self) -> None:
        """Those for whom bytes wait are counted while they do."""
        client = self.stage.get(f"{API}/user?access_token=ann")
        transport: Any = client.wire
        transport.producer.pauseProducing()
        for number in range(2):
            self.stage.publish("timeline:1", "delete", str(number))
        self.assertEqual(1, self.stage.metric("unsent_clients"))
        transport.producer.resumeProducing()
        self.assertEqual(0, self.stage.metric("unsent_clients"))


class LoginTests(CountingTestCase):
    """Who is let in, and who is not."""

    def test_causes(self) -> None:
        """Refused logins are counted by cause, whichever the transport."""
        self.set_stage(Limits(connections_per_account=1, failed_logins=3), "192.0.2.1")
        self.stage.get(f"{API}/user")
        self.stage.websocket(API)
        self.stage.get(f"{API}/user?access_token=ann")
        self.stage.get(f"{API}/user?access_token=ann")
        self.stage.mastodon.failing = UnavailableError(UNAVAILABLE)
        self.stage.get(f"{API}/user?access_token=ben")
        self.stage.mastodon.failing = None
        for _ in range(4):
            self.stage.get(f"{API}/user?access_token=nobody")
        expected = {
            ("missing_token",): 2,
            ("account",): 1,
            ("unavailable",): 1,
            ("invalid_token",): 3,
            ("failed_logins",): 1,
        }
        self.assertEqual(expected, self.counted("logins_refused_total"))
        self.assertEqual(1, self.stage.metric("logins_total"))


class DependencyTests(CountingTestCase):
    """Redis, coming and going."""

    def test_reconnects(self) -> None:
        """Connections and losses are counted."""
        self.assertEqual({}, self.counted("dependency_losses_total"))
        self.stage.redis.cut()
        self.stage.wait(3)
        self.assertEqual({("redis",): 1}, self.counted("dependency_losses_total"))
        expected = {("redis", "subscriptions"): 2, ("redis", "commands"): 2}
        self.assertEqual(expected, self.counted("dependency_connects_total"))


class Answers:
    """A database that takes a second, and answers with nothing or fails."""

    def __init__(self) -> None:
        self.now = 0.0
        self.failing: Exception | None = None

    async def query(self, sql: str, parameters: object) -> list[Any]:
        """Answer."""
        self.now += 1
        if self.failing:
            raise self.failing
        return []


class QuestionTests(SynchronousTestCase):
    """Questions to PostgreSQL."""

    def test_questions(self) -> None:
        """They are timed, sized, and counted if they fail, by what was asked."""
        answers, metrics = Answers(), Metrics()
        mastodon = MastodonDatabase(answers, lambda: answers.now, metrics)
        self.successResultOf(Deferred.fromCoroutine(mastodon.viewers(["a", "b", "c"])))
        for error in (UnavailableError(UNAVAILABLE), SqlError("22P02")):
            answers.failing = error
            asked = Deferred.fromCoroutine(mastodon.viewers(["a"]))
            self.failureResultOf(asked, RefusalError)
        self.flushLoggedErrors()
        value = metrics.registry.get_sample_value
        asked_for = {"question": "viewers"}
        self.assertEqual(3, value("pg_query_seconds_sum", asked_for))
        self.assertEqual(3, value("pg_query_seconds_count", asked_for))
        self.assertEqual(5, value("pg_batch_size_sum", asked_for))
        self.assertEqual(1, value("pg_query_seconds_count", {"question": "tables"}))
        for reason in ("unavailable", "refused"):
            self.assertEqual(
                1, value("pg_query_failures_total", {"reason": reason, **asked_for}), reason
            )

    def test_all_known(self) -> None:
        """Whatever is asked is known by its name."""
        answers = Answers()
        mastodon = MastodonDatabase(answers, lambda: answers.now)
        questions: tuple[Any, ...] = (
            *(mastodon.viewers(["a"]), mastodon.viewers_again([1]), mastodon.list_owners([1])),
            *(mastodon.relations([1], [1]), mastodon.domain_blocks([1]), mastodon.filters([1])),
            *(mastodon.closed_feeds(), mastodon.namespaced()),
        )
        for question in questions:
            self.successResultOf(Deferred.fromCoroutine(question))
        self.assertEqual(len(questions), len(QUESTIONS))


class MergeTests(SynchronousTestCase):
    """Several workers."""

    def test_histograms(self) -> None:
        """Buckets are added up; what is one worker's own stays apart."""
        answers = {}
        for worker, seconds in (("1", 0.002), ("2", 0.2)):
            metrics = Metrics()
            metrics.latency.observe(seconds, 3)
            metrics.lag.observe(seconds)
            answers[worker] = metrics.families()
        lines = render(answers).decode().splitlines()
        for bound, count in (("0.001", 0), ("0.0025", 3), ("0.1", 3), ("0.25", 6), ("+Inf", 6)):
            self.assertIn(f'delivery_latency_seconds_bucket{{le="{bound}"}} {count}.0', lines)
        self.assertIn("delivery_latency_seconds_count 6.0", lines)
        self.assertIn('reactor_lag_seconds_bucket{le="0.1",worker="1"} 1.0', lines)
        self.assertIn('reactor_lag_seconds_bucket{le="0.1",worker="2"} 0.0', lines)
        builds = [line for line in lines if line.startswith("flodgatt_build_info{")]
        self.assertEqual(2, len(builds))
        self.assertTrue(all(re.search(r'version="\d+\.\d+', line) for line in builds))

    def test_from_the_start(self) -> None:
        """What can be counted is there at zero, so that rates have a beginning."""
        stage = Stage()
        self.addCleanup(stage.close)
        for name, labels in (
            ("redis_events_total", {"channel": "list", "event": "update"}),
            ("messages_filtered_total", {"reason": "block_or_mute"}),
            ("readers_dropped_total", {"type": "websocket", "reason": "slow"}),
            ("logins_refused_total", {"reason": "invalid_token"}),
            ("redis_messages_dropped_total", {"reason": "unjudged"}),
            ("pg_query_failures_total", {"question": "relations", "reason": "refused"}),
            ("pg_query_seconds_count", {"question": "relations"}),
            ("sent_bytes_total", {"type": "eventsource"}),
            ("dependency_losses_total", {"dependency": "redis"}),
        ):
            self.assertEqual(0, stage.metric(name, **labels), name)
