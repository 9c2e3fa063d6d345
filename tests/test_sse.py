"""
Clients that listen over Server-Sent Events, against a server in memory.
"""

from __future__ import annotations

import gc
import weakref
from typing import Any

from flodgatt_tx.edge.sse import PATIENCE
from flodgatt_tx.errors import UNAVAILABLE, UnavailableError
from tests.stage import API, StageTestCase, Visitor, status, viewer

KILL_ANN = "timeline:access_token:1001"


class EventSourceTestCase(StageTestCase):
    """A test of SSE."""

    def listen(self, path: str = "user", token: str = "ann") -> Visitor:
        """Listen to a stream."""
        return self.stage.get(f"{API}/{path}", Authorization=f"Bearer {token}")


class OpenTests(EventSourceTestCase):
    """When a stream begins."""

    def test_greeting(self) -> None:
        """The stream begins with `:)`, after headers that keep proxies from holding it back."""
        client = self.listen()
        self.assertEqual((200, b":)\n"), (client.status, client.body))
        for name, value in (
            ("content-type", "text/event-stream"),
            ("cache-control", "private, no-store"),
            ("x-accel-buffering", "no"),
            ("access-control-allow-origin", "*"),
        ):
            self.assertEqual(value, client.headers[name])

    def test_no_greeting_before_redis(self) -> None:
        """`:)` is sent when Redis has confirmed all channels and the keys, and never before."""
        for kind, command in (("user", "SUBSCRIBE"), ("user", "SET"), ("public", "SUBSCRIBE")):
            self.stage.redis.hung = {command}
            client = self.listen(kind)
            self.stage.wait(1)
            self.assertEqual(b"", client.raw, (kind, command))
            self.stage.redis.recover()
            self.stage.turn()
            self.assertEqual(b":)\n", client.body, (kind, command))
            client.hang_up()
        self.assert_nothing_left()

    def test_all_channels(self) -> None:
        """When `:)` is there, so are the stream's channels, the system's, and the keys."""
        self.listen()
        self.assertEqual(
            {"timeline:1", "timeline:1:notifications", KILL_ANN, "timeline:system:1"},
            self.stage.redis.channels(),
        )
        self.assertEqual(
            {"subscribed:timeline:1": 1080, "subscribed:timeline:1:notifications": 1080},
            self.stage.redis.keys,
        )

    def test_system_channels(self) -> None:
        """`:)` waits for the system channels, though the stream's are open already."""
        self.stage.mastodon.tokens["ann2"] = viewer(1, token_id=7)
        self.listen()
        self.stage.redis.hung = {"SUBSCRIBE"}
        client = self.listen(token="ann2")
        self.assertEqual(b"", client.raw)
        self.stage.redis.recover()
        self.stage.turn()
        self.assertEqual(b":)\n", client.body)

    def test_no_presence_for_public(self) -> None:
        """Streams that Rails publishes in any case need no keys."""
        for path in ("public", "public/local", "hashtag?tag=cats"):
            self.assertEqual(b":)\n", self.listen(path).body)
        self.assertEqual({}, self.stage.redis.keys)

    def test_nothing_before_greeting(self) -> None:
        """An event that comes before `:)` may be sent is not sent."""
        self.stage.redis.hung = {"SET"}
        client = self.listen()
        self.stage.publish("timeline:1", "update", status())
        self.stage.redis.recover()
        self.stage.turn()
        self.assertEqual((b":)\n", []), (client.body, client.events))

    def test_patience(self) -> None:
        """If Redis does not confirm in time, the client is told to come back."""
        for path, command in (("user", "SUBSCRIBE"), ("user", "SET"), ("public", "SUBSCRIBE")):
            self.stage.redis.hung = {command}
            client = self.listen(path)
            self.stage.wait(PATIENCE - 1)
            self.assertEqual(b"", client.raw)
            self.stage.wait(1)
            self.assertEqual((503, "5"), (client.status, client.headers["retry-after"]))
            self.assertEqual(b'{"error":"Service temporarily unavailable"}', client.body)
            self.stage.redis.recover()
            client.hang_up()
        self.assert_nothing_left()

    def test_redis_down(self) -> None:
        """If there is no Redis, the client is told to come back."""
        self.stage.redis.up = False
        self.stage.redis.cut()
        client = self.listen()
        self.stage.wait(PATIENCE)
        self.assertEqual(503, client.status)

    def test_redis_back(self) -> None:
        """If Redis comes back in time, the client is greeted."""
        self.stage.redis.up = False
        self.stage.redis.cut()
        client = self.listen()
        self.stage.wait(5)
        self.assertEqual(b"", client.raw)
        self.stage.redis.up = True
        self.stage.wait(3)
        self.assertEqual(b":)\n", client.body)

    def test_head(self) -> None:
        """HEAD answers the headers after the token check, and subscribes nothing."""
        client = self.stage.get(f"{API}/user?access_token=ann", "HEAD")
        self.assertEqual((200, b""), (client.status, client.body))
        self.assertEqual("text/event-stream", client.headers["content-type"])
        refused = self.stage.get(f"{API}/user?access_token=wrong", "HEAD")
        self.assertEqual((401, b""), (refused.status, refused.body))
        missing = self.stage.get(f"{API}/hashtag?access_token=ann", "HEAD")
        self.assertEqual(400, missing.status)
        for each in (client, refused, missing):
            each.hang_up()
        self.assert_nothing_left()


class RefusalTests(EventSourceTestCase):
    """Whom the server does not let listen, and what it tells them."""

    def test_refusals(self) -> None:
        """Every refusal has Mastodon's status and text, as JSON."""
        self.stage.mastodon.tokens["writer"] = viewer(4, "write")
        self.stage.mastodon.tokens["notifs"] = viewer(5, "read:notifications")
        self.stage.mastodon.tokens["statuses"] = viewer(6, "read:statuses")
        self.stage.mastodon.lists.add((2, 502))
        scopes = "Access token does not have the required scopes"
        foreign = "Not authorized to stream this list"
        for path, token, code, error in (
            ("user", "wrong", 401, "Invalid access token"),
            ("user", "a b", 401, "Invalid access token"),
            ("user", "writer", 401, scopes),
            ("public", "writer", 401, scopes),
            ("user", "notifs", 401, scopes),
            ("user/notification", "statuses", 401, scopes),
            ("hashtag", "ann", 400, "Missing tag name parameter"),
            ("hashtag/local?tag=", "ann", 400, "Missing tag name parameter"),
            ("hashtag?tag=" + "x" * 1025, "ann", 400, "Tag name parameter is too long"),
            ("list", "ann", 400, "Missing list name parameter"),
            ("list?list=502", "ann", 401, foreign),
            ("list?list=999", "ann", 401, foreign),
            ("list?list=cats", "ann", 401, foreign),
        ):
            client = self.listen(path, token)
            self.assertEqual(
                (code, f'{{"error":"{error}"}}'.encode(), "application/json"),
                (client.status, client.body, client.headers["content-type"]),
                (path, token),
            )
            client.hang_up()
        self.assert_nothing_left()

    def test_missing_token(self) -> None:
        """Without a token there is no stream."""
        client = self.stage.get(f"{API}/public")
        self.assertEqual((401, b'{"error":"Missing access token"}'), (client.status, client.body))

    def test_allowed(self) -> None:
        """Each scope is enough for its streams."""
        self.stage.mastodon.tokens["notifs"] = viewer(5, "read:notifications")
        self.stage.mastodon.tokens["statuses"] = viewer(6, "read:statuses")
        self.stage.mastodon.lists.add((1, 501))
        for path, token in (
            ("user/notification", "notifs"),
            ("user", "statuses"),
            ("list?list=501", "ann"),
            ("direct", "ann"),
            ("public/remote?only_media=true", "ann"),
        ):
            self.assertEqual(b":)\n", self.listen(path, token).body, (path, token))

    def test_places_of_a_token(self) -> None:
        """The header is asked first, then the query, then the subprotocol."""
        for target, headers, code in (
            ("", {"Authorization": "Bearer ann"}, 200),
            ("", {"Authorization": "ann"}, 200),
            ("", {"Authorization": "bearer ann"}, 401),
            ("?access_token=ann", {"Authorization": "Bearer wrong"}, 401),
            ("?access_token=wrong", {"Authorization": "Bearer ann"}, 200),
            ("?access_token=ann", {"Sec_WebSocket_Protocol": "wrong"}, 200),
            ("", {"Sec_WebSocket_Protocol": "ann"}, 200),
            ("?access_token=wrong&access_token=ann", {}, 401),
        ):
            client = self.stage.get(f"{API}/user{target}", **headers)
            self.assertEqual(code, client.status, (target, headers))

    def test_unavailable(self) -> None:
        """While the database does not answer, clients are told to come back."""
        self.stage.mastodon.failing = UnavailableError(UNAVAILABLE)
        client = self.listen()
        self.assertEqual((503, "5"), (client.status, client.headers["retry-after"]))
        self.assertEqual(b'{"error":"Service temporarily unavailable"}', client.body)

    def test_unexpected(self) -> None:
        """What nobody expected is 500, is logged, and says nothing about itself."""
        self.stage.mastodon.failing = ZeroDivisionError("secret")
        client = self.listen()
        self.assertEqual(
            (500, b'{"error":"An unexpected error occurred"}'), (client.status, client.body)
        )
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))


class EventTests(EventSourceTestCase):
    """What listeners are sent."""

    def test_event(self) -> None:
        """An event has its name and its data, as they were published."""
        client = self.listen()
        self.stage.publish_bytes(
            "timeline:1", b'{"event":"update","payload":{"id": "1",  "b":2.0}}'
        )
        self.assertEqual(b':)\nevent: update\ndata: {"id": "1",  "b":2.0}\n\n', client.body)

    def test_strings(self) -> None:
        """A string is sent without quotes, line by line, and no payload as null."""
        client = self.listen()
        self.stage.publish("timeline:1", "delete", "109")
        self.stage.publish("timeline:1", "text", "one\ntwo\r\nthree\rfour")
        self.stage.publish("timeline:1", "filters_changed")
        self.assertEqual(
            [("delete", "109"), ("text", "one\ntwo\nthree\nfour"), ("filters_changed", "null")],
            client.events,
        )

    def test_thump(self) -> None:
        """A comment every fifteen seconds shows that the server is there."""
        client = self.listen()
        for count in range(1, 4):
            self.stage.wait(15)
            self.assertEqual(count, client.body.count(b":thump\n\n"))
        self.assertEqual(b":)\n" + b":thump\n\n" * 3, client.body)

    def test_counted(self) -> None:
        """Listeners, their channels and what they are sent are counted."""
        client = self.listen()
        self.stage.publish("timeline:1", "delete", "109")
        metric = self.stage.metric
        self.assertEqual(1, metric("connected_clients", type="eventsource"))
        self.assertEqual(1, metric("connected_channels", type="eventsource", channel="user"))
        self.assertEqual(2, metric("connected_channels", type="eventsource", channel="system"))
        self.assertEqual(1, metric("messages_sent_total", type="eventsource"))
        client.hang_up()
        self.assert_nothing_left()

    def test_malformed(self) -> None:
        """What is no event is dropped and counted, and what comes after it is not."""
        client = self.listen()
        for message in (b"", b"5", b"not json", b'{"payload":"x"}', b'{"event":"x"}', b"\xff"):
            self.stage.publish_bytes("timeline:1", message)
        self.stage.publish("timeline:1", "delete", "1")
        self.assertEqual([("delete", "1")], client.events)
        self.assertEqual(6, self.stage.metric("redis_messages_dropped_total", reason="malformed"))
        self.assertEqual(7, self.stage.metric("redis_messages_received_total"))


class EndTests(EventSourceTestCase):
    """How streams end."""

    def test_kill_token(self) -> None:
        """A revoked token ends its streams, and no others."""
        client, other = self.listen(), self.listen(token="ben")
        self.stage.publish(KILL_ANN, "kill")
        self.assertEqual((True, False), (client.ended, other.ended))
        before = client.raw
        self.stage.publish("timeline:1", "update", status())
        self.stage.publish(KILL_ANN, "kill")
        self.assertEqual(before, client.raw)
        client.hang_up()
        other.hang_up()
        self.assert_nothing_left()

    def test_kill_account(self) -> None:
        """A suspended account ends all its streams, whatever their tokens."""
        self.stage.mastodon.tokens["ann2"] = viewer(1, token_id=7)
        clients = [self.listen(token=token) for token in ("ann", "ann2", "ben")]
        self.stage.publish("timeline:system:1", "kill")
        self.assertEqual([True, True, False], [client.ended for client in clients])

    def test_kill_overtakes(self) -> None:
        """What waits for the database when a kill comes is not sent any more."""
        client = self.listen("public")
        self.stage.mastodon.held = []
        self.stage.publish("timeline:public", "update", status())
        self.stage.publish("timeline:public", "delete", "1")
        self.stage.publish(KILL_ANN, "kill")
        self.stage.mastodon.let_go()
        self.stage.turn()
        self.assertEqual(([], True), (client.events, client.ended))

    def test_kill_while_waiting(self) -> None:
        """A kill that comes while Redis or the database is asked refuses the client."""
        for hung in ("SET", ""):
            # Somebody else's channels are open, or no kill would come.
            other = self.stage.websocket(f"{API}?access_token=ann")
            self.stage.redis.hung = {hung}
            self.stage.mastodon.held = None if hung else []
            client = self.listen("user" if hung else "public")
            if not hung:
                self.stage.mastodon.let_go(holding=True)  # the token's lookup
            self.stage.publish(KILL_ANN, "kill")
            self.assertEqual(
                (401, b'{"error":"Invalid access token"}'), (client.status, client.body), hung
            )
            self.stage.redis.recover()
            self.stage.mastodon.let_go()
            self.stage.turn()
            client.hang_up()
            other.hang_up()
        self.assert_nothing_left()

    def test_going_down(self) -> None:
        """When the server goes down, streams end, and their connections too."""
        client = self.listen()
        for reader in self.stage.parts.readers:
            reader.connection.go_away()
        self.stage.turn()
        self.assertEqual((True, True), (client.ended, client.closed))
        self.assert_nothing_left()

    def test_vanished(self) -> None:
        """A client that vanishes leaves nothing behind."""
        for path in ("user", "public", "direct", "hashtag?tag=x"):
            self.listen(path).hang_up()
        self.assert_nothing_left()

    def test_vanished_while_waiting(self) -> None:
        """Whatever is asked when a client vanishes, nothing of it is left behind."""
        self.stage.mastodon.lists.add((1, 501))
        for path in ("user", "public", "list?list=501"):
            for hung in ("SUBSCRIBE", "SET"):
                self.stage.redis.hung = {hung}
                client = self.listen(path)
                client.hang_up()
                self.stage.redis.recover()
                self.stage.turn()
            for questions in range(1, 5):
                self.stage.mastodon.held = []
                client = self.listen(path)
                for _ in range(questions - 1):
                    self.stage.mastodon.let_go(holding=True)
                    self.stage.turn()
                client.hang_up()
                self.stage.mastodon.let_go()
                self.stage.turn()
        self.assert_nothing_left()

    def test_connection(self) -> None:
        """The connection ends with its stream, and what is asked behind it is not answered."""
        client = self.listen()
        before = client.raw
        client.request(f"{API}/health")
        self.assertEqual(before, client.raw)
        self.stage.publish(KILL_ANN, "kill")
        self.assertEqual((True, True), (client.ended, client.closed))
        self.assertEqual(before + b"0\r\n\r\n", client.raw)

    def test_old_http(self) -> None:
        """For HTTP/1.0 there are no chunks."""
        client = self.stage.connect()
        client.send(f"GET {API}/user?access_token=ann HTTP/1.0\r\n\r\n".encode())
        self.stage.publish("timeline:1", "delete", "1")
        self.stage.wait(15)
        self.stage.publish(KILL_ANN, "kill")
        body = client.raw.partition(b"\r\n\r\n")[2]
        self.assertEqual(b":)\nevent: delete\ndata: 1\n\n:thump\n\n", body)
        self.assertTrue(client.closed)

    def test_nothing_kept(self) -> None:
        """Of the request nothing is kept, not even until the garbage is collected."""
        kept: list[weakref.ref[object]] = []
        build = self.stage.parts.front.site.buildProtocol

        def remember(address: Any) -> Any:
            channel = build(address)
            kept.append(weakref.ref(channel))
            return channel

        self.patch(self.stage.parts.front.site, "buildProtocol", remember)
        gc.disable()
        self.addCleanup(gc.enable)
        client = self.listen()
        self.assertEqual([None], [each() for each in kept])
        client.hang_up()
