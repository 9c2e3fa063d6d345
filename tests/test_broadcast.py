"""
Who hears what is published, and in which order, against a server in memory.
"""

from __future__ import annotations

import json
from typing import Any

from flodgatt_tx.errors import UNAVAILABLE, UnavailableError
from flodgatt_tx.feeds import Feed
from flodgatt_tx.keyword_filters import Filter
from tests.stage import API, Socket, StageTestCase, status, viewer


def dragons(action: str = "warn", keyword: str = "dragon") -> tuple[Filter, ...]:
    """Make the filters of somebody who fears dragons."""
    return (Filter("7", "Beasts", ("public",), None, None, action, ((keyword, True),)),)


class BroadcastTestCase(StageTestCase):
    """A test of what is passed on."""

    def listen(self, token: str = "ann", stream: str = "public", **parameters: str) -> Socket:
        """A client of somebody's that hears one stream."""
        socket = self.stage.websocket(f"{API}?access_token={token}")
        socket.subscribe(stream, **parameters)
        return socket

    def heard(self, socket: Socket) -> list[str]:
        """The ids of what a client was sent."""
        ids = []
        for message in socket.messages:
            payload: Any = message["payload"]
            ids.append(json.loads(payload)["id"] if payload.startswith("{") else payload)
        return ids

    def say(self, id_: str, channel: str = "timeline:public", **more: Any) -> None:
        """Publish a status."""
        self.stage.publish(channel, "update", status(id_, **more))

    def delete(self, id_: str, channel: str = "timeline:public") -> None:
        """Publish that a status is gone."""
        self.stage.publish(channel, "delete", id_)

    def dropped(self, reason: str) -> float | None:
        """How many messages were sent to nobody for a *reason*."""
        return self.stage.metric("redis_messages_dropped_total", reason=reason)


class OrderTests(BroadcastTestCase):
    """What leaves before what."""

    def test_delete_waits(self) -> None:
        """A delete never overtakes an update that waits for the database."""
        socket = self.listen()
        self.stage.mastodon.held = []
        self.say("1")
        self.delete("1")
        self.say("2")
        self.delete("2")
        self.assertEqual([], self.heard(socket))
        self.stage.mastodon.let_go()
        self.assertEqual(["1", "1", "2", "2"], self.heard(socket))

    def test_slower_first(self) -> None:
        """An update whose answer comes later still leaves first."""
        socket = self.listen()
        self.stage.mastodon.held = []
        self.say("1")
        self.say("2", account="51")
        self.stage.mastodon.let_go(holding=True)
        self.assertEqual(["1"], self.heard(socket))
        self.delete("3")
        self.assertEqual(["1"], self.heard(socket))
        self.stage.mastodon.let_go()
        self.assertEqual(["1", "2", "3"], self.heard(socket))

    def test_other_channels(self) -> None:
        """Another channel does not wait."""
        socket = self.listen()
        socket.subscribe("user")
        socket.subscribe("hashtag", tag="cats")
        self.stage.mastodon.held = []
        self.say("1")
        self.delete("2", "timeline:hashtag:cats")
        self.say("3", "timeline:1")
        self.assertEqual(["2", "3"], self.heard(socket))
        self.stage.mastodon.let_go()
        self.assertEqual(["2", "3", "1"], self.heard(socket))

    def test_recipients(self) -> None:
        """An event goes to those who were subscribed when it came."""
        early, leaving = self.listen(), self.listen("ben")
        self.stage.mastodon.held = []
        self.say("1")
        self.delete("2")
        leaving.unsubscribe("public")
        late = self.stage.websocket(f"{API}?access_token=cyd")
        self.stage.mastodon.let_go()
        self.assertTrue(late.open)
        late.subscribe("public")
        self.delete("3")
        self.assertEqual(["1", "2", "3"], self.heard(early))
        self.assertEqual([], self.heard(leaving))
        self.assertEqual(["3"], self.heard(late))

    def test_late_comer(self) -> None:
        """Who subscribes while an event waits does not get it."""
        self.listen()
        late = self.stage.websocket(f"{API}?access_token=cyd")
        self.stage.mastodon.held = []
        self.say("1")
        late.subscribe("public")
        while self.stage.mastodon.held:
            self.stage.mastodon.let_go(holding=True)
            self.stage.turn()
        self.assertEqual([], self.heard(late))
        self.delete("2")
        self.assertEqual(["2"], self.heard(late))

    def test_gone(self) -> None:
        """Who left while an event waits is sent nothing."""
        socket = self.listen()
        self.stage.mastodon.held = []
        self.say("1")
        socket.hang_up()
        before = socket.raw
        self.stage.mastodon.let_go()
        self.assertEqual(before, socket.raw)
        self.assert_nothing_left()


class QuestionTests(BroadcastTestCase):
    """What the database is asked."""

    def test_one_question(self) -> None:
        """However many readers there are, an event is one question."""
        sockets = [self.listen(token) for token in ("ann", "ben", "cyd")] * 3
        self.stage.mastodon.asked.clear()
        self.say("1")
        self.assertEqual(["relations"], self.stage.mastodon.asked)
        self.assertTrue(all(self.heard(socket) == ["1"] for socket in sockets))

    def test_shared_question(self) -> None:
        """Events that come while a question is under way share the next one."""
        socket = self.listen()
        socket.subscribe("hashtag", tag="cats")
        self.stage.mastodon.asked.clear()
        self.stage.mastodon.held = []
        for id_ in "12345":
            self.say(id_, account=f"5{id_}")
            self.say(id_, "timeline:hashtag:cats", account=f"5{id_}")
        self.stage.mastodon.let_go()
        self.stage.turn()
        self.assertEqual(["relations"] * 2, self.stage.mastodon.asked)
        self.assertEqual(10, len(self.heard(socket)))

    def test_no_question(self) -> None:
        """Nothing is asked for other events, other streams, or when nobody could hear."""
        socket = self.listen()
        socket.subscribe("user")
        self.stage.mastodon.asked.clear()
        self.delete("1")
        self.say("2", "timeline:1")
        self.say("3", "timeline:public:local")
        self.stage.mastodon.tokens["ann"] = viewer(1)
        self.assertEqual([], self.stage.mastodon.asked)
        self.assertEqual(["1", "2"], self.heard(socket))

    def test_unavailable(self) -> None:
        """A status that cannot be judged reaches nobody; everything else goes on."""
        socket = self.listen()
        socket.subscribe("user")
        self.stage.mastodon.failing = UnavailableError(UNAVAILABLE)
        self.say("1")
        self.delete("2")
        self.say("3", "timeline:1")
        self.stage.mastodon.failing = None
        self.say("4")
        self.assertEqual(["2", "3", "4"], self.heard(socket))
        self.assertEqual(1, self.dropped("unjudged"))

    def test_unexpected(self) -> None:
        """So it is when something else goes wrong, which is logged."""
        socket = self.listen()
        self.stage.mastodon.failing = ZeroDivisionError()
        self.say("1")
        self.delete("2")
        self.assertEqual(["2"], self.heard(socket))
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_immeasurable(self) -> None:
        """One with a number that Python cannot hold is malformed, and does no other harm."""
        socket = self.listen()
        whole = json.dumps({"event": "update", "payload": status("1", x=12345)}).encode()
        self.stage.publish_bytes("timeline:public", whole.replace(b"12345", b"9" * 5000))
        self.say("2")
        self.assertEqual((["2"], 1), (self.heard(socket), self.dropped("malformed")))

    def test_unreadable(self) -> None:
        """A status whose people cannot be read reaches nobody on a filtered stream."""
        socket = self.listen()
        socket.subscribe("user")
        good = status("1")
        for broken in (
            {**good, "account": None},
            {**good, "account": {"id": "x", "acct": "a", "username": "a"}},
            {**good, "mentions": None},
            {**good, "mentions": [{"id": None}]},
            [good],
            "text",
        ):
            self.stage.publish("timeline:public", "update", broken)
        self.assertEqual([], self.heard(socket))
        self.assertEqual(6, self.dropped("unreadable"))
        self.stage.publish("timeline:1", "update", "text")
        self.assertEqual(["text"], self.heard(socket))


class FilterTests(BroadcastTestCase):
    """Who is spared what."""

    def sees(self, token: str = "ann", event: str = "update", **more: Any) -> bool:
        """Whether somebody sees a status."""
        socket = self.listen(token)
        self.stage.publish("timeline:public", event, status("1", **more))
        seen = self.heard(socket) == ["1"]
        socket.hang_up()
        return seen

    def test_blocks(self) -> None:
        """Neither who blocks the author nor whom the author blocks sees a status."""
        self.stage.mastodon.blocks |= {(1, 50), (51, 1)}
        self.assertFalse(self.sees(account="50"))
        self.assertFalse(self.sees(account="51"))
        self.assertFalse(self.sees(account="50", event="status.update"))
        self.assertTrue(self.sees(account="52"))
        self.assertTrue(self.sees("ben", account="50"))

    def test_mutes(self) -> None:
        """Who mutes the author does not see a status; whom the author mutes does."""
        self.stage.mastodon.mutes |= {(1, 50), (51, 1)}
        self.assertFalse(self.sees(account="50"))
        self.assertTrue(self.sees(account="51"))

    def test_mentions(self) -> None:
        """Who blocks or mutes somebody mentioned does not see it; the other way round does."""
        self.stage.mastodon.blocks |= {(1, 60), (62, 1)}
        self.stage.mastodon.mutes |= {(1, 61)}
        for id_, seen in (("60", False), ("61", False), ("62", True), ("63", True)):
            mentions = [{"id": "70"}, {"id": id_}]
            self.assertEqual(seen, self.sees(mentions=mentions), id_)

    def test_domains(self) -> None:
        """Who blocks the author's domain does not see it, however the domain is written."""
        self.stage.mastodon.blocked_domains[1] = frozenset({"bad.example", "Bücher.Example"})
        for acct, seen in (
            ("a@bad.example", False),
            ("a@BAD.example", False),
            ("a@bücher.example", False),
            ("a@xn--bcher-kva.example", False),
            ("a@XN--BCHER-KVA.example", False),
            ("a@sub.bad.example", True),
            ("a@good.example", True),
            ("local", True),
        ):
            self.assertEqual(seen, self.sees(acct=acct), acct)
        self.assertTrue(self.sees("ben", acct="a@bad.example"))

    def test_languages(self) -> None:
        """Who chose languages sees those only."""
        self.stage.mastodon.tokens["dee"] = viewer(4, languages=frozenset({"de", "is"}))
        for language, seen in (("de", True), ("is", True), ("en", False), (None, False)):
            self.assertEqual(seen, self.sees("dee", language=language), language)
            self.assertTrue(self.sees("ann", language=language), language)

    def test_local_only(self) -> None:
        """What shall stay on the site is on its own streams only."""
        listeners = {
            kind: self.listen("ann", kind)
            for kind in ("public", "public:local", "public:remote", "public:allow_local_only")
        }
        for channel in ("timeline:public", "timeline:public:local", "timeline:public:remote"):
            self.say("1", channel, local_only=True)
        heard = {kind for kind, socket in listeners.items() if self.heard(socket)}
        self.assertEqual({"public:local", "public:allow_local_only"}, heard)

    def test_other_events(self) -> None:
        """Only statuses are judged; a delete reaches everybody."""
        self.stage.mastodon.blocks.add((1, 50))
        socket = self.listen()
        self.stage.publish("timeline:public", "delete", "1")
        self.stage.publish("timeline:public", "made.up", {"id": "2", "account": {"id": "50"}})
        self.assertEqual(["1", "2"], self.heard(socket))

    def test_home(self) -> None:
        """Home timelines are Mastodon's own affair, and nothing is judged there."""
        self.stage.mastodon.blocks.add((1, 50))
        socket = self.listen("ann", "user")
        self.say("1", "timeline:1", account="50")
        self.assertEqual(["1"], self.heard(socket))
        self.assertNotIn("filtered", json.loads(socket.messages[0]["payload"]))

    def test_fresh(self) -> None:
        """A block counts for the next status."""
        socket = self.listen()
        self.say("1", account="50")
        self.stage.mastodon.blocks.add((1, 50))
        self.say("2", account="50")
        self.stage.mastodon.blocks.clear()
        self.say("3", account="50")
        self.assertEqual(["1", "3"], self.heard(socket))


class KeywordTests(BroadcastTestCase):
    """What readers with keyword filters are told."""

    def filtered(self, socket: Socket) -> list[Any]:
        """The titles of the filters that each status matched."""
        payloads = [json.loads(message["payload"]) for message in socket.messages]
        return [
            [result["filter"]["title"] for result in payload["filtered"]]
            if "filtered" in payload
            else None
            for payload in payloads
        ]

    def test_filters(self) -> None:
        """Who has filters is told which match; everybody else that none does."""
        self.stage.mastodon.filters_of = {1: dragons()}
        ann, ben = self.listen("ann"), self.listen("ben")
        self.say("1", content="<p>a dragon</p>")
        self.say("2", content="<p>a cat</p>")
        self.assertEqual([["Beasts"], []], self.filtered(ann))
        self.assertEqual([[], []], self.filtered(ben))

    def test_judged(self) -> None:
        """A status that Rails has filtered stays as it is."""
        self.stage.mastodon.filters_of = {1: dragons()}
        ann = self.listen()
        self.say("1", content="<p>a dragon</p>", filtered=[])
        self.assertEqual([[]], self.filtered(ann))

    def test_old_mastodon(self) -> None:
        """Where clients filter by themselves nothing is added."""
        self.stage.mastodon.filters_of = None
        ann = self.listen()
        self.say("1", content="<p>a dragon</p>")
        self.assertEqual([None], self.filtered(ann))

    def test_changed(self) -> None:
        """Filters that have changed count from the announcement on, for what waits too."""
        ann = self.listen()
        self.stage.mastodon.filters_of = {1: dragons()}
        self.say("1", content="<p>a dragon</p>")
        self.stage.publish("timeline:system:1", "filters_changed")
        self.say("2", content="<p>a dragon</p>")
        self.assertEqual([[], ["Beasts"]], self.filtered(ann))

    def test_changing(self) -> None:
        """A status that comes while filters are loaded again waits for them."""
        ann = self.listen()
        self.stage.mastodon.filters_of = {1: dragons()}
        self.stage.mastodon.held = []
        self.stage.publish("timeline:system:1", "filters_changed")
        self.say("1", content="<p>a dragon</p>")
        self.assertEqual([], ann.messages)
        while self.stage.mastodon.held:
            self.stage.mastodon.let_go(holding=True)
            self.stage.turn()
        self.assertEqual([["Beasts"]], self.filtered(ann))

    def test_not_loaded(self) -> None:
        """Who has filters that cannot be loaded gets no statuses until they can be."""
        ann = self.listen()
        self.stage.mastodon.failing = UnavailableError(UNAVAILABLE)
        self.stage.publish("timeline:system:1", "filters_changed")
        self.stage.mastodon.failing = None
        self.say("1")
        self.assertEqual([], ann.messages)
        self.stage.wait(31)
        self.say("2")
        self.assertEqual(["2"], self.heard(ann))

    def test_same_bytes(self) -> None:
        """Readers of one kind share one frame."""
        sockets = [self.listen(token) for token in ("ann", "ben", "cyd")]
        for socket in sockets:
            socket.wire.clear()
        self.say("1")
        self.assertEqual(1, len({socket.raw for socket in sockets}))

    def test_both_transports(self) -> None:
        """Over SSE the same statuses come with the same filters."""
        self.stage.mastodon.filters_of = {1: dragons()}
        client = self.stage.get(f"{API}/public?access_token=ann")
        self.say("1", content="<p>a dragon</p>")
        payload = json.loads(client.events[0][1])
        self.assertEqual(["dragon"], payload["filtered"][0]["keyword_matches"])


class ClosedFeedTests(BroadcastTestCase):
    """Feeds that the site has switched off."""

    def test_closed(self) -> None:
        """A feed that is switched off is open to those who may see it all the same."""
        self.stage.mastodon.closed = frozenset({(Feed.LIVE, False)})
        self.stage.mastodon.tokens["admin"] = viewer(4, permissions=1)
        ann, admin = self.listen(), self.listen("admin")
        tag = self.listen("ann", "hashtag", tag="cats")
        self.say("1")
        self.say("2", acct="local")
        self.say("3", "timeline:hashtag:cats")
        self.assertEqual(["2"], self.heard(ann))
        self.assertEqual(["1", "2"], self.heard(admin))
        self.assertEqual(["3"], self.heard(tag))

    def test_reopened(self) -> None:
        """The settings are read again twice a minute."""
        ann = self.listen()
        self.stage.mastodon.closed = frozenset({(Feed.LIVE, False)})
        self.stage.wait(29)
        self.say("1")
        self.stage.wait(1)
        _ = ann.messages
        self.say("2")
        self.assertEqual(["1"], self.heard(ann))
