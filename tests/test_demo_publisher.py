"""What is published in Rails' place, and by whom."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from flodgatt_tx.demo.people import BY_NAME
from flodgatt_tx.demo.plan import Publication, State, plan
from flodgatt_tx.demo.publisher import Publisher
from tests.properties import FEW

STATUS_EVENTS = {"update", "status.update"}
ANONYMOUS = ("timeline:public", "timeline:hashtag:")


@cache
def turns(seed: int, count: int) -> list[list[Publication]]:
    """Plan *count* turns, a second apart."""
    return list(planned(seed, count))


def planned(seed: int, count: int) -> Iterator[list[Publication]]:
    """Plan anew, whatever was planned before."""
    random, state = Random(seed), State()
    for n in range(count):
        yield plan(random, state, datetime.fromtimestamp(1.8e9 + n, UTC))


@cache
def published(seed: int, count: int) -> list[tuple[Publication, dict[str, Any]]]:
    """Plan *count* turns and read the messages."""
    return [(p, json.loads(p.message)) for turn in turns(seed, count) for p in turn]


class PlanTests(SynchronousTestCase):
    """The plan keeps the rules of Rails' fan-out."""

    @override
    def setUp(self) -> None:
        """Plan enough turns for everything to happen."""
        self.published = published(1, 1200)

    @given(some.integers())
    @settings(FEW, max_examples=10)
    def test_determinism(self, seed: int) -> None:
        """The same seed plans the same publications."""
        self.assertEqual(list(planned(seed, 10)), list(planned(seed, 10)))

    @given(some.integers())
    @settings(FEW, max_examples=10)
    def test_envelopes(self, seed: int) -> None:
        """A message is an event with a payload, an object or a string; but for filters_changed."""
        for _, message in published(seed, 20):
            if message["event"] == "filters_changed":
                self.assertEqual({"event"}, message.keys())
            else:
                self.assertEqual({"event", "payload"}, message.keys())
                self.assertIsInstance(message["payload"], dict | str)

    def test_variety(self) -> None:
        """Everything happens that can happen."""
        events = {message["event"] for _, message in self.published}
        self.assertEqual(
            {
                *STATUS_EVENTS,
                *("delete", "notification", "conversation", "filters_changed", "announcement"),
                *("announcement.reaction", "announcement.delete"),
            },
            events,
        )

    def test_gates(self) -> None:
        """Feeds of one reader wait for a key, but for deletes and changes of filters."""
        for publication, message in self.published:
            channel, gates = publication.channel, publication.gates
            anonymous = channel.startswith(ANONYMOUS)
            if anonymous or message["event"] in ("delete", "filters_changed"):
                self.assertEqual((), gates)
            elif channel.endswith(":notifications"):
                home = channel.removesuffix(":notifications")
                self.assertEqual((f"subscribed:{home}", f"subscribed:{channel}"), gates)
            else:
                self.assertEqual((f"subscribed:{channel}",), gates)

    def test_filtered(self) -> None:
        """Statuses are rendered for nobody on anonymous channels, elsewhere for the reader."""
        for publication, message in self.published:
            if message["event"] in STATUS_EVENTS:
                anonymous = publication.channel.startswith(ANONYMOUS)
                self.assertEqual(anonymous, "filtered" not in message["payload"])

    def test_public_channels(self) -> None:
        """Public statuses only, no boosts, no replies to others; where they come from is right."""
        for publication, message in self.published:
            channel, status = publication.channel, message.get("payload", {})
            if not channel.startswith(ANONYMOUS) or message["event"] not in STATUS_EVENTS:
                continue
            self.assertEqual(("public", None), (status["visibility"], status["reblog"]))
            local = status["account"]["acct"] == status["account"]["username"]
            self.assertTrue(local or ":local" not in channel, channel)
            self.assertFalse(local and ":remote" in channel, channel)
            if channel.startswith("timeline:public"):
                self.assertIn(status["in_reply_to_account_id"], (None, status["account"]["id"]))
                self.assertTrue(status["media_attachments"] or ":media" not in channel)
            else:
                tag = channel.removesuffix(":local").removeprefix("timeline:hashtag:")
                self.assertIn(tag, [each["name"] for each in status["tags"]])

    def test_sides(self) -> None:
        """What is on the public channel is on exactly one of local and remote too."""
        sides = {"timeline:public:local", "timeline:public:remote"}
        for turn in turns(1, 1200):
            channels = [publication.channel for publication in turn]
            self.assertEqual(
                "timeline:public" in channels, len(sides.intersection(channels)) == 1, channels
            )

    def test_secrets(self) -> None:
        """A direct message reaches its author and whom it mentions, nobody else."""
        for publication, message in self.published:
            status = message.get("payload", {})
            if message["event"] in STATUS_EVENTS and status["visibility"] == "direct":
                people = [status["account"], *status["mentions"]]
                homes = {f"timeline:{person['id']}" for person in people}
                if publication.channel.startswith("timeline:list:"):
                    homes.add(publication.channel)
                self.assertIn(publication.channel.removesuffix(":notifications"), homes)

    def test_deletes(self) -> None:
        """A delete names the status as a string, wherever the status has been."""
        shown: dict[str, set[str]] = {}
        deleted: dict[str, set[str]] = {}
        for publication, message in self.published:
            payload, channel = message.get("payload", ""), publication.channel
            if message["event"] == "delete":
                deleted.setdefault(payload, set()).add(channel)
            elif message["event"] == "update":
                shown.setdefault(payload["id"], set()).add(channel)
        self.assertGreater(len(deleted), 10)
        for identifier, channels in deleted.items():
            self.assertEqual(set(), shown.get(identifier, set()) - channels)

    def test_ids_rise(self) -> None:
        """No two statuses share an id, and later ones have larger ids, as in Mastodon."""
        state = State()
        same = datetime.fromtimestamp(1.8e9, UTC)
        identifiers = [state.next_id(same) for _ in range(5)]
        self.assertEqual(sorted(set(identifiers)), identifiers)
        self.assertEqual(int(1.8e12) << 16, identifiers[0])

    def test_memory_is_bounded(self) -> None:
        """Only the newest statuses are remembered."""
        random, state = Random(1), State()
        for n in range(300):
            plan(random, state, datetime.fromtimestamp(1.8e9 + n, UTC))
        self.assertLessEqual(len(state.statuses), 50)


class PublisherTests(SynchronousTestCase):
    """The publisher asks Redis who listens, and publishes."""

    home = f"timeline:{BY_NAME['alice'].id}"

    @override
    def setUp(self) -> None:
        """Start a publisher and connect it."""
        self.reactor: Any = MemoryReactorClock()
        self.planned = [
            Publication("timeline:public", b"one"),
            Publication(self.home, b"two", (f"subscribed:{self.home}", "subscribed:other")),
        ]
        self.publisher: Any = Publisher(
            TCP4ClientEndpoint(self.reactor, "127.0.0.1", 6379),
            self.reactor,
            Random(1),
            plan=lambda *_: self.planned,
        )
        self.publisher.startService()
        self.connect()

    def connect(self) -> None:
        """Let the newest connection succeed."""
        self.redis = self.reactor.tcpClients[-1][2].buildProtocol(None)
        self.transport = StringTransport()
        self.redis.makeConnection(self.transport)

    def sent(self) -> list[bytes]:
        """Take what was sent to Redis, without the lengths."""
        words = self.transport.value().split(b"\r\n")
        self.transport.clear()
        return [word for word in words if word and word[:1] not in b"*$"]

    def answer(self, reply: bytes) -> list[bytes]:
        """Answer a command, and return the next."""
        self.redis.dataReceived(reply)
        return self.sent()

    def test_publishes(self) -> None:
        """What has no gates is published at once, the rest if one of the keys exists."""
        home = self.home.encode()
        self.assertEqual([b"PUBLISH", b"timeline:public", b"one"], self.sent())
        self.assertEqual([b"EXISTS", b"subscribed:" + home], self.answer(b":1\r\n"))
        self.assertEqual([b"EXISTS", b"subscribed:other"], self.answer(b":0\r\n"))
        self.assertEqual([b"PUBLISH", home, b"two"], self.answer(b":1\r\n"))

    def test_silent_when_nobody_listens(self) -> None:
        """Without any of the keys nothing is published, and the next turn comes."""
        self.sent()
        for reply in (b":1\r\n", b":0\r\n"):
            self.answer(reply)
        self.assertEqual([], self.answer(b":0\r\n"))
        self.reactor.advance(1)
        self.assertEqual([b"PUBLISH", b"timeline:public", b"one"], self.sent())

    def test_refusals(self) -> None:
        """An error of Redis is logged, and the next turn comes."""
        self.sent()
        with capturedLogs() as events:
            self.answer(b"-OOM too much\r\n")
        self.assertEqual([LogLevel.warn], [event["log_level"] for event in events])
        self.reactor.advance(1)
        self.assertEqual([b"PUBLISH", b"timeline:public", b"one"], self.sent())

    def test_comes_back(self) -> None:
        """After a lost connection another is made, and publishing goes on."""
        with capturedLogs():
            self.redis.connectionLost(None)
        self.reactor.advance(2)
        self.connect()
        self.reactor.advance(1)
        self.assertEqual([b"PUBLISH", b"timeline:public", b"one"], self.sent())

    def test_stops(self) -> None:
        """Stopping closes the connection and leaves no timer, even in the middle of a turn."""
        with capturedLogs():
            stopped = self.publisher.stopService()
            self.assertTrue(self.transport.disconnecting)
            self.redis.connectionLost(None)
        self.successResultOf(stopped)
        self.assertEqual([], self.reactor.getDelayedCalls())
