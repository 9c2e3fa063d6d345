"""
What a subscription needs, and what it leaves behind: nothing.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred

from flodgatt_tx.edge.readers import WEBSOCKET, Reader
from flodgatt_tx.envelope import parse_event
from flodgatt_tx.errors import (
    UNAVAILABLE,
    BadRequestError,
    RefusalError,
    UnauthorizedError,
    UnavailableError,
)
from flodgatt_tx.framing import frame_websocket
from tests.stage import StageTestCase, viewer


class Ear:
    """A connection that keeps what it is sent."""

    unsent = 0

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.killed = 0

    def send(self, frame: bytes) -> None:
        self.frames.append(frame)

    def kill(self) -> None:
        self.killed += 1

    def go_away(self) -> None:
        raise NotImplementedError


class SubscriberTests(StageTestCase):
    """Subscribing, step by step."""

    def setUp(self) -> None:
        """Let a reader in."""
        super().setUp()
        self.subscriber = self.stage.parts.api.subscriber
        self.ear = Ear()
        self.reader = Reader(WEBSOCKET, viewer(1), self.ear)
        self.reader.outlet = self.ear
        self.reader.ready = True
        self.subscriber.enter(self.reader)
        self.stage.turn()
        self.stage.mastodon.asked.clear()

    def subscribing(self, kind: str, **parameters: object) -> Deferred[None]:
        """Start to subscribe."""
        subscribing = Deferred.fromCoroutine(
            self.subscriber.subscribe(self.reader, kind, parameters)
        )
        self.stage.turn()
        return subscribing

    def leave(self) -> None:
        """Leave, and look whether anything is left."""
        self.subscriber.leave(self.reader)
        self.subscriber.leave(self.reader)
        self.assertEqual({}, self.reader.subscriptions)
        self.assert_nothing_left()

    def test_all_is_ready(self) -> None:
        """A subscription is done when the channels are confirmed and the keys written."""
        self.stage.redis.hung = {"SET"}
        subscribing = self.subscribing("user")
        self.assertNoResult(subscribing)
        self.stage.redis.recover()
        self.stage.turn()
        self.successResultOf(subscribing)
        self.leave()

    def test_questions(self) -> None:
        """The database is asked what the stream needs, and nothing for home timelines."""
        self.stage.mastodon.lists.add((1, 501))
        for kind, parameters, asked in (
            ("user", {}, []),
            ("direct", {}, []),
            ("user:notification", {}, []),
            ("list", {"list": "501"}, ["list_owners"]),
            ("public", {}, ["closed_feeds", "domain_blocks", "filters"]),
        ):
            self.stage.mastodon.asked.clear()
            self.successResultOf(self.subscribing(kind, **parameters))
            self.assertEqual(asked, sorted(self.stage.mastodon.asked), kind)
        self.leave()

    def test_refused(self) -> None:
        """A subscription that is refused leaves nothing behind."""
        for kind, parameters, error in (
            ("nope", {}, BadRequestError),
            ("hashtag", {}, BadRequestError),
            ("list", {"list": "7"}, UnauthorizedError),
        ):
            self.failureResultOf(self.subscribing(kind, **parameters), error)
        self.assertEqual({}, self.reader.subscriptions)
        self.leave()

    def test_unavailable(self) -> None:
        """So does one that fails with the database, whatever is asked at that time."""
        self.stage.mastodon.lists.add((1, 501))
        for kind in ("list", "public"):
            for questions in range(3):
                self.stage.mastodon.held = []
                subscribing = self.subscribing(kind, list="501")
                for _ in range(questions):
                    self.stage.mastodon.let_go(holding=True)
                    self.stage.turn()
                self.stage.mastodon.failing = UnavailableError(UNAVAILABLE)
                self.stage.mastodon.let_go()
                self.stage.turn()
                self.stage.mastodon.failing = None
                self.assertTrue(subscribing.called)
                subscribing.addErrback(lambda failure: failure.trap(RefusalError))
                self.subscriber.unsubscribe(self.reader, kind, {"list": "501"})
        self.leave()

    def test_cancelled(self) -> None:
        """One that is given up leaves nothing behind, and says that it was given up."""
        for kind, hung in (("user", "SUBSCRIBE"), ("user", "SET"), ("public", "SUBSCRIBE")):
            self.stage.redis.hung = {hung}
            subscribing = self.subscribing(kind)
            subscribing.cancel()
            self.failureResultOf(subscribing, CancelledError)
            self.assertEqual({}, self.reader.subscriptions)
            self.stage.redis.recover()
        self.stage.mastodon.held = []
        subscribing = self.subscribing("public")
        subscribing.cancel()
        self.failureResultOf(subscribing, CancelledError)
        self.stage.mastodon.let_go()
        self.leave()

    def test_left_while_pending(self) -> None:
        """Who leaves while the database is asked is not subscribed by the answer."""
        self.stage.mastodon.held = []
        subscribing = self.subscribing("public")
        self.subscriber.leave(self.reader)
        self.stage.mastodon.let_go()
        self.stage.turn()
        self.successResultOf(subscribing)
        self.leave()

    def test_scopes(self) -> None:
        """A token that does not reach is refused before anything is asked."""
        self.reader.viewer = viewer(1, "write")
        self.failureResultOf(self.subscribing("public"), UnauthorizedError)
        self.assertEqual([], self.stage.mastodon.asked)
        self.leave()

    def test_shared_channels(self) -> None:
        """Redis hears of a channel once, however many subscriptions there are to it."""
        for tag in ("cats", "Cats", "CATS"):
            self.successResultOf(self.subscribing("hashtag", tag=tag))
        told = [each for each in self.stage.redis.commands if "timeline:hashtag:cats" in each]
        self.assertEqual(1, len(told))
        for _ in range(2):
            self.subscriber.unsubscribe(self.reader, "hashtag", {"tag": "cats"})
            self.stage.turn()
            self.assertIn("timeline:hashtag:cats", self.stage.redis.channels())
        self.subscriber.unsubscribe(self.reader, "hashtag", {"tag": "cats"})
        self.stage.turn()
        self.assertNotIn("timeline:hashtag:cats", self.stage.redis.channels())
        self.leave()

    def test_kinds(self) -> None:
        """Events are framed for the stream's name."""
        self.successResultOf(self.subscribing("hashtag", tag="Cats"))
        self.stage.publish("timeline:hashtag:cats", "delete", "1")
        event = parse_event(b'{"event":"delete","payload":"1"}')
        self.assertEqual([frame_websocket(event, b'["hashtag","Cats"]')], self.ear.frames)
        self.leave()

    def test_not_ready(self) -> None:
        """A reader that is not ready is sent nothing."""
        self.successResultOf(self.subscribing("user"))
        self.reader.ready = False
        self.stage.publish("timeline:1", "delete", "1")
        self.assertEqual([], self.ear.frames)
        self.leave()


class RecheckTests(StageTestCase):
    """Tokens are asked about again."""

    def setUp(self) -> None:
        """Let a reader in."""
        super().setUp()
        self.subscriber = self.stage.parts.api.subscriber
        self.ear = Ear()
        self.reader = Reader(WEBSOCKET, self.stage.mastodon.tokens["ann"], self.ear)
        self.reader.outlet = self.ear
        self.reader.ready = True

    def test_entering(self) -> None:
        """A token that was revoked before its channel was open is noticed."""
        del self.stage.mastodon.tokens["ann"]
        self.subscriber.enter(self.reader)
        self.stage.turn()
        self.assertEqual((1, False), (self.ear.killed, self.reader.ready))

    def test_again(self) -> None:
        """One that goes without a word is noticed within five minutes."""
        self.subscriber.enter(self.reader)
        self.stage.turn()
        del self.stage.mastodon.tokens["ann"]
        self.stage.wait(299)
        self.assertEqual(0, self.ear.killed)
        self.stage.wait(2)
        self.assertEqual(1, self.ear.killed)

    def test_gap(self) -> None:
        """One that went while Redis was away is noticed as soon as it is back."""
        self.subscriber.enter(self.reader)
        self.stage.turn()
        self.stage.redis.cut()
        del self.stage.mastodon.tokens["ann"]
        self.stage.wait(3)
        self.assertEqual(1, self.ear.killed)

    def test_changed(self) -> None:
        """Languages and permissions are refreshed; other scopes or another owner end it."""
        self.subscriber.enter(self.reader)
        self.stage.turn()
        changed = viewer(1, languages=frozenset({"de"}), permissions=1)
        self.stage.mastodon.tokens["ann"] = changed
        self.stage.wait(300)
        self.assertEqual((0, changed), (self.ear.killed, self.reader.viewer))
        self.stage.mastodon.tokens["ann"] = viewer(1, "write")
        self.stage.wait(300)
        self.assertEqual(1, self.ear.killed)

    def test_unavailable(self) -> None:
        """Who cannot be asked about stays."""
        self.subscriber.enter(self.reader)
        self.stage.turn()
        self.stage.mastodon.failing = UnavailableError(UNAVAILABLE)
        self.stage.wait(300)
        self.assertEqual(0, self.ear.killed)

    def test_gone(self) -> None:
        """Who has left is asked about no more, and not killed by an answer that comes late."""
        self.stage.mastodon.held = []
        self.subscriber.enter(self.reader)
        self.stage.turn()
        del self.stage.mastodon.tokens["ann"]
        self.subscriber.leave(self.reader)
        self.stage.mastodon.let_go()
        self.assertEqual(0, self.ear.killed)
        self.assert_nothing_left()

    def test_unexpected(self) -> None:
        """What nobody expected is logged, and ends nothing."""
        self.stage.mastodon.failing = ZeroDivisionError()
        self.subscriber.enter(self.reader)
        self.stage.turn()
        self.assertEqual(0, self.ear.killed)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
