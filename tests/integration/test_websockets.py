"""The library `websockets`, one of the strict ones, against the daemon."""

from __future__ import annotations

import json

from websockets.exceptions import InvalidStatus

from tests.integration.site import API, Person, Socket, VisitTestCase, eventually
from tests.stage import status

BINARY = "The mastodon streaming server does not support binary messages"


class HandshakeTests(VisitTestCase):
    """How a client says who it is, and what it hears if it may not come in."""

    def refusal(self, target: str, token: str | None = None) -> tuple[int, str]:
        """Connect and be refused; return the status and the reason."""
        refused = self.assertRaises(InvalidStatus, Socket, self.daemon.port, target, token)
        headers = refused.response.headers
        self.assertIn("X-Request-Id", headers)
        self.assertEqual("close", headers["Connection"])
        return refused.response.status_code, headers["X-Error-Message"]

    def test_web_client(self) -> None:
        """Mastodon's own web client has a slash and a bare question mark in its URL."""
        person = self.rails.person()
        socket = Socket(self.daemon.port, f"{API}/?", person.token)
        self.addCleanup(socket.close)
        self.assertEqual(person.token, socket.connection.subprotocol)

    def test_any_path(self) -> None:
        """A WebSocket is welcome on any path."""
        socket = Socket(self.daemon.port, "/somewhere/else", self.rails.person().token)
        socket.close()

    def test_header_wins(self) -> None:
        """The header wins over the query, and the query over the subprotocol."""
        good, bad = self.rails.person().token, "bad"
        headers = {"Authorization": f"Bearer {good}"}
        Socket(self.daemon.port, f"{API}?access_token={bad}", bad, headers).close()
        Socket(self.daemon.port, f"{API}?access_token={good}", bad).close()
        self.assertEqual(401, self.refusal(f"{API}?access_token={bad}", good)[0])

    def test_request_id(self) -> None:
        """The name that a proxy gave the request comes back."""
        headers = {"X-Request-Id": "proxy-17"}
        socket = Socket(self.daemon.port, API, self.rails.person().token, headers)
        self.addCleanup(socket.close)
        response = socket.connection.response
        self.assertEqual("proxy-17", response and response.headers["X-Request-Id"])

    def test_refusals(self) -> None:
        """Who has no token, or one that is not good, reads why."""
        self.assertEqual((401, "Missing access token"), self.refusal(API))
        self.assertEqual((401, "Invalid access token"), self.refusal(API, "wrong"))
        nobody = self.rails.person(None, disabled=True)
        self.assertEqual((401, "Invalid access token"), self.refusal(API, nobody.token))

    def test_application_tokens(self) -> None:
        """The token of an application without a user is refused."""
        self.rails.sql(
            "INSERT INTO oauth_access_tokens (token, scopes) VALUES ('application', 'read')"
            " ON CONFLICT DO NOTHING"
        )
        self.assertEqual(401, self.refusal(API, "application")[0])


class StreamTests(VisitTestCase):
    """What clients say, and hear."""

    def setUp(self) -> None:
        """Sign up."""
        super().setUp()
        self.person = self.rails.person()

    def assert_alive(self, person: Person, socket: Socket) -> None:
        """Fail unless the next thing that is heard is what is published now."""
        self.rails.publish(person.home, "delete", "99")
        self.assertEqual("99", socket.hears()["payload"])

    def test_stream_in_query(self) -> None:
        """The first stream may be named in the query, with its parameter."""
        socket = self.websocket(self.person, stream="hashtag", tag="Cats")
        self.rails.hears_of("timeline:hashtag:cats")
        self.rails.publish("timeline:hashtag:cats", "delete", "5")
        expected = {"stream": ["hashtag", "Cats"], "event": "delete", "payload": "5"}
        self.assertEqual(expected, socket.hears())

    def test_multiplexing(self) -> None:
        """Many streams share a connection; each message tells which it belongs to."""
        mine = self.rails.keep_list(self.person)
        socket = self.websocket(self.person)
        socket.subscribe("user")
        socket.subscribe("public:remote")
        socket.subscribe("list", list=str(mine))
        socket.subscribe("list", list=str(mine))
        channels = (self.person.home, "timeline:public:remote", f"timeline:list:{mine}")
        self.rails.hears_of(*channels)
        for number, channel in enumerate(channels):
            self.rails.publish(channel, "update", {**status(str(number)), "filtered": []})
        heard = sorted((socket.hears() for _ in channels), key=lambda message: message["payload"])
        self.assertEqual(
            [["user"], ["public:remote"], ["list", str(mine)]],
            [message["stream"] for message in heard],
        )
        self.assertEqual(
            ["0", "1", "2"], [json.loads(message["payload"])["id"] for message in heard]
        )

    def test_unsubscribe(self) -> None:
        """What was unsubscribed is heard no more, by nobody here: Redis is told so."""
        socket = self.websocket(self.person)
        socket.subscribe("user")
        socket.subscribe("hashtag", tag="cats")
        self.rails.hears_of(self.person.home, "timeline:hashtag:cats")
        socket.unsubscribe("hashtag", tag="cats")
        eventually(
            lambda: not self.rails.redis.subscribers("timeline:hashtag:cats"), "unsubscribed"
        )
        self.rails.publish("timeline:hashtag:cats", "delete", "5")
        self.assert_alive(self.person, socket)

    def test_errors(self) -> None:
        """Mistakes are answered; what is not understood is not, and nothing ends."""
        foreign = self.rails.keep_list(self.rails.person())
        socket = self.websocket(self.person)
        for message in ("no JSON", "[]", '{"type": "dance"}', '"ping"', ""):
            socket.say(message)
        socket.subscribe("nonsense")
        self.assertEqual({"error": "Unknown stream type", "status": 400}, socket.hears())
        socket.subscribe("hashtag")
        self.assertEqual({"error": "Missing tag name parameter", "status": 400}, socket.hears())
        socket.subscribe("list", list=str(foreign))
        expected = {"error": "Not authorized to stream this list", "status": 401}
        self.assertEqual(expected, socket.hears())
        socket.unsubscribe("nonsense")
        self.assertEqual({"error": "Error unsubscribing from channel"}, socket.hears())
        socket.subscribe("user")
        self.rails.hears_of(self.person.home)
        self.assert_alive(self.person, socket)

    def test_filters_changed(self) -> None:
        """`filters_changed` has no payload, not even an empty one."""
        socket = self.websocket(self.person, stream="user")
        self.rails.hears_of(self.person.home)
        self.rails.publish(self.person.home, "filters_changed")
        self.assertEqual({"stream": ["user"], "event": "filters_changed"}, socket.hears())

    def test_blocks_at_once(self) -> None:
        """A block counts from the next status on, whoever asked before."""
        author = self.rails.person()
        socket = self.websocket(self.person, stream="public:local")
        self.rails.hears_of("timeline:public:local")
        post = status("1", str(author.account), "author")
        self.rails.post(post)
        self.assertEqual("update", socket.hears()["event"])
        self.rails.sql(
            "INSERT INTO blocks (account_id, target_account_id) VALUES (%s, %s)",
            author.account,
            self.person.account,
        )
        self.rails.post(post, "status.update")
        self.rails.publish("timeline:public:local", "delete", "1")
        self.assertEqual("delete", socket.hears()["event"])

    def test_large_message(self) -> None:
        """A status of the size that a long thread has arrives whole."""
        socket = self.websocket(self.person, stream="user")
        self.rails.hears_of(self.person.home)
        content = "ü" * 100_000
        self.rails.publish(self.person.home, "update", {"id": "1", "content": content})
        self.assertEqual(content, json.loads(socket.hears()["payload"])["content"])


class CloseTests(VisitTestCase):
    """How connections end, and what shows that they have not."""

    def test_ping(self) -> None:
        """Clients that ping get their pong."""
        socket = self.websocket(self.rails.person())
        self.assertTrue(socket.connection.ping(b"hello").wait(10))

    def test_binary(self) -> None:
        """Binary messages are refused with 1003."""
        socket = self.websocket(self.rails.person())
        socket.connection.send(b"bytes")
        self.assertEqual(1003, socket.close_code())
        self.assertEqual(BINARY, socket.connection.close_reason)

    def test_too_large(self) -> None:
        """A message that no client has reason to send is refused with 1009."""
        socket = self.websocket(self.rails.person())
        socket.say("x" * 70_000)
        self.assertEqual(1009, socket.close_code())

    def test_bad_utf8(self) -> None:
        """Text that is not UTF-8 is refused with 1007."""
        socket = self.websocket(self.rails.person())
        socket.connection.send(b"\xff\xfe", text=True)
        self.assertEqual(1007, socket.close_code())

    def test_client_closes(self) -> None:
        """A client that closes is answered in kind."""
        socket = self.websocket(self.rails.person())
        socket.connection.close(1000, "bye")
        self.assertEqual(1000, socket.connection.close_code)

    def test_kill(self) -> None:
        """Nothing that is published after `kill` is heard."""
        person = self.rails.person()
        socket = self.websocket(person, stream="user")
        self.rails.hears_of(person.home)
        self.rails.revoke(person)
        self.rails.publish(person.home, "delete", "1")
        self.assertEqual(1005, socket.close_code())
