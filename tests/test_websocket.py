"""
WebSocket clients, from their handshake to their close, against a server in memory.
"""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Callable

from websockets.frames import Frame, Opcode

from flodgatt_tx.edge.websocket import CLOSE_TIMEOUT, LARGEST_MESSAGE, NO_BINARY
from flodgatt_tx.errors import UNAVAILABLE, UnavailableError
from tests.stage import API, Socket, StageTestCase, status, viewer

KILL_ANN = "timeline:access_token:1001"
NO_CODE = 1005


class WebSocketTestCase(StageTestCase):
    """A test of WebSockets."""

    def user(self) -> Socket:
        """A client of ann's that hears her home timeline."""
        return self.stage.websocket(f"{API}?stream=user&access_token=ann")

    def say_frame(self, socket: Socket, opcode: Opcode, data: bytes) -> None:
        """Send one masked frame of whatever kind."""
        socket.send(Frame(opcode, data).serialize(mask=True))


class HandshakeTests(WebSocketTestCase):
    """Who gets in, and how the others are told."""

    def refused(self, socket: Socket) -> tuple[int, str, str | None]:
        """The status, the phrase and the explanation of a refusal; the connection is closed."""
        self.assertTrue(socket.closed)
        phrase = socket.raw.split(b"\r\n", 1)[0].decode().split(" ", 2)[2]
        self.assertEqual("close", socket.headers["connection"])
        self.assertEqual("0", socket.headers["content-length"])
        self.assertEqual("text/plain", socket.headers["content-type"])
        self.assertTrue(socket.headers["x-request-id"])
        self.assertEqual(b"", socket.raw.partition(b"\r\n\r\n")[2])
        return socket.status, phrase, socket.headers.get("x-error-message")

    def test_query(self) -> None:
        """The token may come in the query."""
        self.assertTrue(self.stage.websocket(f"{API}?access_token=ann").open)

    def test_header(self) -> None:
        """The token may come in the Authorization header, with `Bearer` or without."""
        self.assertTrue(self.stage.websocket(Authorization="Bearer ann").open)
        self.assertTrue(self.stage.websocket(Authorization="ann").open)

    def test_subprotocol(self) -> None:
        """The token may be offered as the subprotocol, which is echoed."""
        socket = self.stage.websocket(subprotocol="ann")
        self.assertTrue(socket.open)
        self.assertEqual("ann", socket.protocol.subprotocol)

    def test_subprotocol_beside_query(self) -> None:
        """A subprotocol is echoed though the token came another way."""
        socket = self.stage.websocket(f"{API}?access_token=ann", "ben")
        self.assertEqual("ben", socket.protocol.subprotocol)
        self.stage.publish("timeline:access_token:1002", "kill")
        self.assertTrue(socket.open)

    def test_streams(self) -> None:
        """An event is sent under the name of its stream."""
        socket = self.user()
        self.stage.publish("timeline:1", "update", status())
        self.assertEqual(["user"], socket.messages[0]["stream"])

    def test_any_path(self) -> None:
        """The path does not matter."""
        for path in ("/", "/anything", f"{API}/", f"{API}/user"):
            self.assertTrue(self.stage.websocket(f"{path}?access_token=ann").open, path)

    def test_missing_token(self) -> None:
        """Without a token there is no way in."""
        self.assertEqual(
            (401, "Unauthorized", "Missing access token"), self.refused(self.stage.websocket())
        )
        self.assert_nothing_left()

    def test_bad_tokens(self) -> None:
        """With a bad token there is none either."""
        for token in ("wrong", "a%00b", "%F0%9F%98%80", "x" * 300):
            self.assertEqual(
                (401, "Unauthorized", "Invalid access token"),
                self.refused(self.stage.websocket(f"{API}?access_token={token}")),
                token,
            )
        self.assert_nothing_left()

    def test_unavailable(self) -> None:
        """While the database does not answer, clients are told to come back."""
        self.stage.mastodon.failing = UnavailableError(UNAVAILABLE)
        socket = self.stage.websocket(f"{API}?access_token=ann")
        self.assertEqual((503, "Service Unavailable", UNAVAILABLE), self.refused(socket))
        self.assertEqual("5", socket.headers["retry-after"])

    def test_unexpected(self) -> None:
        """What nobody expected is 500, and says nothing about itself."""
        self.stage.mastodon.failing = ZeroDivisionError("secret")
        socket = self.stage.websocket(f"{API}?access_token=ann")
        self.assertEqual(
            (500, "Internal Server Error", "An unexpected error occurred"), self.refused(socket)
        )
        self.flushLoggedErrors(ZeroDivisionError)

    def test_malformed(self) -> None:
        """A handshake that is none is refused in the same form."""
        key = "x" * 22 + "=="
        for headers, code in (
            ({"Sec_WebSocket_Version": "7", "Sec_WebSocket_Key": key}, 400),
            ({"Sec_WebSocket_Version": "13"}, 400),
            ({}, 400),
        ):
            client = self.stage.get(
                f"{API}?access_token=ann", Upgrade="websocket", Connection="Upgrade", **headers
            )
            self.assertEqual((code, True), (client.status, client.closed), headers)
            self.assertIn("x-error-message", client.headers)

    def test_post(self) -> None:
        """A handshake is a GET."""
        client = self.stage.get("/", "POST", Upgrade="websocket", Connection="upgrade")
        self.assertEqual(405, client.status)

    def test_origins(self) -> None:
        """Pages of every origin are let in, also files and sandboxed pages."""
        for origin in ("null", "file://", "https://app.example", "http://localhost:3000"):
            socket = self.stage.websocket(f"{API}?access_token=ann", Origin=origin)
            self.assertTrue(socket.open, origin)

    def test_request_id(self) -> None:
        """A request keeps the name that it has, if that is a fit name."""
        socket = self.stage.websocket(f"{API}?access_token=ann", X_Request_Id="a-b_1")
        self.assertEqual("a-b_1", socket.headers["x-request-id"])
        socket = self.stage.websocket(X_Request_Id="a-b_1")
        self.assertEqual("a-b_1", socket.headers["x-request-id"])
        for unfit in ("a b", "x" * 201, "é"):
            socket = self.stage.websocket(f"{API}?access_token=ann", X_Request_Id=unfit)
            self.assertRegex(socket.headers["x-request-id"], r"\A[0-9a-f-]{36}\Z")

    def test_no_compression(self) -> None:
        """Compression is not agreed to."""
        socket = self.stage.websocket(
            f"{API}?access_token=ann", Sec_WebSocket_Extensions="permessage-deflate"
        )
        self.assertTrue(socket.open)
        self.assertNotIn("sec-websocket-extensions", socket.headers)

    def test_left_while_token_is_looked_up(self) -> None:
        """Who leaves while the token is looked up leaves nothing behind."""
        self.stage.mastodon.held = []
        socket = self.user()
        socket.hang_up()
        self.stage.mastodon.let_go()
        self.assertEqual(b"", socket.raw)
        self.assert_nothing_left()

    def test_together(self) -> None:
        """What is said before the handshake is answered counts when it is."""
        self.stage.mastodon.held = []
        socket = self.stage.websocket(f"{API}?access_token=ann")
        said = Frame(Opcode.TEXT, b'{"type":"subscribe","stream":"user"}').serialize(mask=True)
        for byte in said:
            socket.send(bytes([byte]))
        self.stage.mastodon.let_go()
        self.stage.turn()
        self.stage.publish("timeline:1", "delete", "5")
        self.assertEqual("5", socket.messages[0]["payload"])

    def test_second_handshake(self) -> None:
        """A second handshake while the first is pending is no handshake."""
        self.stage.mastodon.held = []
        socket = self.stage.websocket(f"{API}?access_token=ann")
        again = self.stage.websocket(f"{API}?access_token=ben")
        socket.request("/", Upgrade="websocket", Connection="Upgrade")
        self.stage.mastodon.let_go()
        self.stage.turn()
        self.assertTrue(again.open)
        self.assertEqual(1, socket.raw.count(b"101 Switching"))
        # Read as frames it is not masked, which is a mistake in the protocol.
        self.assertEqual(1002, socket.close_code)

    def test_talkative(self) -> None:
        """Who says more than a message before being let in is cut off."""
        self.stage.mastodon.held = []
        socket = self.stage.websocket(f"{API}?access_token=ann")
        socket.send(b"x" * (LARGEST_MESSAGE + 1))
        self.assertTrue(socket.closed)
        self.stage.mastodon.let_go()
        self.assertEqual(b"", socket.raw)
        self.assert_nothing_left()

    def test_strange_origins(self) -> None:
        """Every origin is welcome, also those that are none."""
        for origin in ("null", "localhost", "ionic://", "file://", "https://[broken"):
            socket = self.stage.websocket(f"{API}?access_token=ann", Origin=origin)
            self.assertTrue(socket.open, origin)
            socket.hang_up()

    def test_other_versions(self) -> None:
        """Who speaks another version is told which ones are spoken here."""
        headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "99"}
        client = self.stage.get(f"{API}?access_token=ann", **headers)
        self.assertEqual(400, client.status)
        self.assertIn("13", client.headers["sec-websocket-version"])

    def test_impatience(self) -> None:
        """A lookup that takes too long is given up, and the client told to come back."""
        self.stage.mastodon.held = []
        socket = self.user()
        self.stage.wait(14)
        self.assertEqual(b"", socket.raw)
        self.stage.wait(1)
        self.assertEqual(503, socket.status)
        self.assertIn("retry-after", socket.headers)
        self.assertTrue(socket.closed)
        self.stage.mastodon.let_go()
        self.assert_nothing_left()


class MessageTests(WebSocketTestCase):
    """What clients say, and what they hear for it."""

    def setUp(self) -> None:
        """Connect without a stream."""
        super().setUp()
        self.socket = self.stage.websocket(f"{API}?access_token=ann")

    def hears(self, channel: str) -> list[list[str]]:
        """The names under which an event on *channel* comes."""
        before = len(self.socket.messages)
        self.stage.publish(channel, "delete", "1")
        return [each["stream"] for each in self.socket.messages[before:]]

    def test_multiplexing(self) -> None:
        """One connection may listen to many streams."""
        for kind in ("user", "public", "direct"):
            self.socket.subscribe(kind)
        self.socket.subscribe("hashtag", tag="Cats")
        self.assertEqual([["user"]], self.hears("timeline:1"))
        self.assertEqual([["user"]], self.hears("timeline:1:notifications"))
        self.assertEqual([["public"]], self.hears("timeline:public"))
        self.assertEqual([["direct"]], self.hears("timeline:direct:1"))
        self.assertEqual([["hashtag", "Cats"]], self.hears("timeline:hashtag:cats"))

    def test_unsubscribe(self) -> None:
        """A stream that was unsubscribed from is silent; the others are not."""
        self.socket.subscribe("user")
        self.socket.subscribe("direct")
        self.socket.unsubscribe("user")
        self.assertEqual([], self.hears("timeline:1"))
        self.assertEqual([["direct"]], self.hears("timeline:direct:1"))
        self.socket.hang_up()
        self.assert_nothing_left()

    def test_twice(self) -> None:
        """Subscribing twice is subscribing once, and so is unsubscribing."""
        self.socket.subscribe("user")
        self.socket.subscribe("user")
        self.assertEqual([["user"]], self.hears("timeline:1"))
        self.socket.unsubscribe("user")
        self.socket.unsubscribe("user")
        self.assertEqual([], self.hears("timeline:1"))
        self.assertEqual(2, len(self.socket.messages) + 1)

    def test_spellings(self) -> None:
        """Two spellings of one hashtag are both served, each under its own name."""
        self.socket.subscribe("hashtag", tag="cats")
        self.socket.subscribe("hashtag", tag="CATS")
        self.assertEqual(
            [["hashtag", "cats"], ["hashtag", "CATS"]], self.hears("timeline:hashtag:cats")
        )
        self.socket.unsubscribe("hashtag", tag="CATS")
        self.assertEqual([["hashtag", "cats"]], self.hears("timeline:hashtag:cats"))
        self.socket.unsubscribe("hashtag", tag="Cats")
        self.assertEqual([], self.hears("timeline:hashtag:cats"))

    def test_refusals(self) -> None:
        """A stream that cannot be had is refused with a text and a status."""
        self.stage.mastodon.tokens["ann"] = viewer(1)
        self.stage.mastodon.lists.add((2, 502))
        for asked, answer in (
            ({"stream": "nope"}, ("Unknown stream type", 400)),
            ({}, ("Unknown stream type", 400)),
            ({"stream": "hashtag"}, ("Missing tag name parameter", 400)),
            ({"stream": "hashtag:local", "tag": ""}, ("Missing tag name parameter", 400)),
            ({"stream": "list"}, ("Missing list name parameter", 400)),
            ({"stream": "list", "list": "502"}, ("Not authorized to stream this list", 401)),
            ({"stream": "list", "list": "x"}, ("Not authorized to stream this list", 401)),
        ):
            self.socket.say({"type": "subscribe", **asked})
            error, code = answer
            self.assertEqual({"error": error, "status": code}, self.socket.messages[-1], asked)
        self.assertTrue(self.socket.open)

    def test_scopes(self) -> None:
        """A token without the scope gets in, and is refused the stream."""
        self.stage.mastodon.tokens["writer"] = viewer(4, "write")
        for query in ("", "&stream=public"):
            socket = self.stage.websocket(f"{API}?access_token=writer{query}")
            self.assertTrue(socket.open)
            if not query:
                socket.subscribe("public")
            self.assertEqual(
                [{"error": "Access token does not have the required scopes", "status": 401}],
                socket.messages,
            )

    def test_unavailable(self) -> None:
        """A stream that needs the database is refused while that does not answer."""
        self.stage.mastodon.failing = UnavailableError(UNAVAILABLE)
        self.socket.subscribe("public")
        self.assertEqual([{"error": UNAVAILABLE, "status": 503}], self.socket.messages)
        self.stage.mastodon.failing = None
        self.socket.subscribe("public")
        self.assertEqual([["public"]], self.hears("timeline:public"))

    def test_unexpected(self) -> None:
        """What nobody expected is told as such, and logged."""
        self.stage.mastodon.failing = ZeroDivisionError("secret")
        self.socket.subscribe("list", list="501")
        self.assertEqual(
            [{"error": "An unexpected error occurred", "status": 500}], self.socket.messages
        )
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_unsubscribing_from_nothing(self) -> None:
        """Unsubscribing from what is no stream is an error without a status."""
        self.socket.unsubscribe("nope")
        self.socket.unsubscribe("hashtag")
        error = {"error": "Error unsubscribing from channel"}
        self.assertEqual([error, error], self.socket.messages)

    def test_unsubscribing_needs_no_database(self) -> None:
        """Unsubscribing from a list does not ask the database."""
        self.stage.mastodon.lists.add((1, 501))
        self.socket.subscribe("list", list="501")
        self.assertEqual([["list", "501"]], self.hears("timeline:list:501"))
        self.stage.mastodon.failing = UnavailableError(UNAVAILABLE)
        self.socket.unsubscribe("list", list="501")
        self.assertEqual([], self.hears("timeline:list:501"))

    def test_unsubscribing_while_pending(self) -> None:
        """Who unsubscribes while the subscription is pending hears nothing."""
        self.stage.mastodon.held = []
        self.socket.subscribe("public")
        self.socket.unsubscribe("public")
        self.stage.mastodon.let_go()
        self.stage.turn()
        self.assertEqual([], self.hears("timeline:public"))
        self.socket.hang_up()
        self.assert_nothing_left()

    def test_again_while_pending(self) -> None:
        """Who subscribes, unsubscribes and subscribes in one breath is subscribed once."""
        self.stage.mastodon.held = []
        for _ in range(3):
            self.socket.subscribe("public")
            self.socket.unsubscribe("public")
        self.socket.subscribe("public")
        self.stage.mastodon.let_go()
        self.stage.turn()
        self.assertEqual([["public"]], self.hears("timeline:public"))
        self.socket.hang_up()
        self.assert_nothing_left()

    def test_after_the_close(self) -> None:
        """What a client says behind a mistake of its own is not answered any more."""
        self.socket.protocol.send_binary(b"x")
        self.socket.protocol.send_text(b'{"type": "unsubscribe", "stream": "nope"}')
        self.socket.send(b"".join(self.socket.protocol.data_to_send()))
        self.assertEqual([], self.socket.messages)
        self.assertEqual(1003, self.socket.close_code)

    def test_many_changes_of_mind(self) -> None:
        """Who subscribes and unsubscribes again and again leaves nothing that waits."""
        self.stage.redis.hung = {"SUBSCRIBE", "SET"}
        for _ in range(50):
            self.socket.subscribe("direct")
            self.socket.unsubscribe("direct")
        self.assertEqual(set(), self.socket.wire.protocol._pending)

    def test_noise(self) -> None:
        """What is no command is ignored, and counted."""
        for noise in ("", "hello", "[]", "5", "null", '{"type": "sing"}', "{" * 60_000, "{}"):
            self.socket.say(noise)
        self.assertEqual([], self.socket.messages)
        self.assertEqual(8, self.stage.metric("client_messages_ignored_total"))
        self.assertTrue(self.socket.open)

    def test_fragments(self) -> None:
        """A message may come in pieces."""
        said = b'{"type":"subscribe","stream":"user"}'
        self.socket.send(Frame(Opcode.TEXT, said[:5], fin=False).serialize(mask=True))
        self.socket.send(Frame(Opcode.CONT, said[5:]).serialize(mask=True))
        self.assertEqual([["user"]], self.hears("timeline:1"))

    def test_payloads(self) -> None:
        """A payload is a string: JSON for an object, itself for a string; or there is none."""
        self.socket.subscribe("user")
        self.stage.publish("timeline:1", "notification", {"id": "5"})
        self.stage.publish("timeline:1", "delete", "109")
        self.stage.publish("timeline:1", "filters_changed")
        first, second, third = self.socket.messages
        self.assertEqual({"id": "5"}, json.loads(first["payload"]))
        self.assertEqual({"stream": ["user"], "event": "delete", "payload": "109"}, second)
        self.assertEqual({"stream": ["user"], "event": "filters_changed"}, third)

    def test_counted(self) -> None:
        """Clients, their channels and what they are sent are counted."""
        self.socket.subscribe("user")
        self.stage.publish("timeline:1", "delete", "109")
        metric = self.stage.metric
        self.assertEqual(1, metric("connected_clients", type="websocket"))
        self.assertEqual(2, metric("connected_channels", type="websocket", channel="system"))
        self.assertEqual(1, metric("connected_channels", type="websocket", channel="user"))
        self.assertEqual(1, metric("messages_sent_total", type="websocket"))
        self.assertEqual(1, metric("redis_messages_received_total"))
        self.assertEqual(4, metric("redis_subscriptions"))


class CloseTests(WebSocketTestCase):
    """How connections end."""

    def nothing_after(self, socket: Socket) -> None:
        """Make sure that nothing is sent after a close frame, and nothing is left in the end."""
        before = socket.raw
        self.stage.publish("timeline:1", "update", status())
        self.stage.publish(KILL_ANN, "kill")
        for said in (b'{"type":"subscribe"}', b'{"type":"unsubscribe"}'):
            self.say_frame(socket, Opcode.TEXT, said)
        self.say_frame(socket, Opcode.BINARY, b"more")
        self.stage.wait(CLOSE_TIMEOUT + 1)
        self.assertEqual(before, socket.raw)
        self.assertTrue(socket.closed)
        self.assert_nothing_left()

    def ended_by(self, socket: Socket, act: Callable[[], object]) -> tuple[int | None, str]:
        """The code and the reason of the close frame that *act* brings about."""
        act()
        code = socket.close_code
        received = socket.protocol.close_rcvd
        return code, received.reason if received else ""

    def test_kill_token(self) -> None:
        """A revoked token closes its connections, without a code."""
        socket, other = self.user(), self.stage.websocket(f"{API}?access_token=ben")
        self.stage.publish(KILL_ANN, "kill")
        self.assertEqual(NO_CODE, socket.close_code)
        self.assertTrue(other.open)

    def test_kill_account(self) -> None:
        """A suspended account closes all its connections, whatever their tokens."""
        self.stage.mastodon.tokens["ann2"] = viewer(1, token_id=7)
        sockets = [self.stage.websocket(f"{API}?access_token={t}") for t in ("ann", "ann2", "ben")]
        self.stage.publish("timeline:system:1", "kill")
        self.assertEqual([NO_CODE, NO_CODE, None], [socket.close_code for socket in sockets])

    def test_nothing_after_kill(self) -> None:
        """Nothing is sent after a kill, though the client does not answer it."""
        socket = self.user()
        socket.wire.clear()
        self.stage.publish(KILL_ANN, "kill")
        self.assertEqual(b"\x88\x00", socket.raw)
        before = socket.raw
        self.stage.publish("timeline:1", "update", status())
        self.assertEqual(before, socket.raw)
        self.stage.wait(CLOSE_TIMEOUT + 1)
        self.assertTrue(socket.closed)
        self.assert_nothing_left()

    def test_kill_overtakes(self) -> None:
        """What waits for the database when a kill comes is not sent any more."""
        socket = self.stage.websocket(f"{API}?stream=public&access_token=ann")
        self.stage.mastodon.held = []
        self.stage.publish("timeline:public", "update", status())
        self.stage.publish("timeline:public", "delete", "1")
        self.stage.publish(KILL_ANN, "kill")
        self.stage.mastodon.let_go()
        self.stage.turn()
        self.assertEqual([], socket.messages)
        self.assertEqual(NO_CODE, socket.close_code)
        self.stage.wait(CLOSE_TIMEOUT + 1)
        self.assert_nothing_left()

    def test_kill_while_subscribing(self) -> None:
        """A kill that comes while a subscription is pending leaves nothing of it."""
        socket = self.stage.websocket(f"{API}?access_token=ann")
        self.stage.mastodon.held = []
        socket.subscribe("public")
        self.stage.publish(KILL_ANN, "kill")
        self.assertEqual(NO_CODE, socket.close_code)
        self.stage.mastodon.let_go()
        self.stage.wait(CLOSE_TIMEOUT + 1)
        self.assertEqual([], socket.messages)
        self.assert_nothing_left()

    def test_killed_before_it_listened(self) -> None:
        """A token that is revoked during the handshake is noticed once its channel is open."""
        self.stage.redis.hung = {"SUBSCRIBE"}
        socket = self.user()
        del self.stage.mastodon.tokens["ann"]
        self.stage.redis.recover()
        self.stage.turn()
        self.assertEqual(NO_CODE, socket.close_code)

    def test_going_down(self) -> None:
        """When the server goes down clients are told by 1001."""
        socket = self.user()
        for reader in self.stage.parts.readers:
            reader.connection.go_away()
        self.assertEqual(1001, socket.close_code)
        self.nothing_after(socket)

    def test_binary(self) -> None:
        """Binary messages are not taken, and end the connection with 1003."""
        socket = self.user()
        closed = self.ended_by(socket, lambda: self.say_frame(socket, Opcode.BINARY, b"\x00"))
        self.assertEqual((1003, NO_BINARY), closed)
        self.nothing_after(socket)

    def test_binary_and_more(self) -> None:
        """What comes in the same breath as a binary message is not answered."""
        socket = self.stage.websocket(f"{API}?access_token=ann")
        more = Frame(Opcode.TEXT, b'{"type":"subscribe"}').serialize(mask=True)
        socket.send(Frame(Opcode.BINARY, b"x").serialize(mask=True) + more)
        self.assertEqual(1003, socket.close_code)
        self.assertEqual([], socket.messages)

    def test_too_large(self) -> None:
        """A message of more than 64 KiB ends the connection with 1009, in one frame or several."""
        half = b"x" * (LARGEST_MESSAGE // 2 + 1)
        whole = self.user()
        self.say_frame(whole, Opcode.TEXT, half * 2)
        self.assertEqual(1009, whole.close_code)
        pieces = self.user()
        pieces.send(Frame(Opcode.TEXT, half, fin=False).serialize(mask=True))
        self.say_frame(pieces, Opcode.CONT, half)
        self.assertEqual(1009, pieces.close_code)
        self.stage.publish("timeline:1", "delete", "1")
        self.assertEqual([], pieces.messages)

    def test_large(self) -> None:
        """A message of 64 KiB is not too large."""
        socket = self.user()
        self.say_frame(socket, Opcode.TEXT, b"x" * LARGEST_MESSAGE)
        self.assertTrue(socket.open)

    def test_protocol_errors(self) -> None:
        """Mistakes in the protocol are answered by 1002, text that is not UTF-8 by 1007."""
        for data, code in (
            (Frame(Opcode.TEXT, b"not masked").serialize(mask=False), 1002),
            (b"\xf1\x80\0\0\0\0", 1002),
            (b"\x83\x80\0\0\0\0", 1002),
            (Frame(Opcode.TEXT, b"\xff\xfe").serialize(mask=True), 1007),
            (Frame(Opcode.CLOSE, b"\x03\xed").serialize(mask=True), 1002),
        ):
            socket = self.user()
            socket.send(data)
            self.assertEqual(code, socket.close_code, data)
        self.nothing_after(socket)

    def test_client_closes(self) -> None:
        """A client that closes is answered, and the connection ends."""
        for code in (1000, 1001, 4000):
            socket = self.user()
            socket.protocol.send_close(code)
            self.assertEqual(code, socket.close_code)
            self.assertTrue(socket.closed)
        self.assert_nothing_left()

    def test_client_vanishes(self) -> None:
        """A client that vanishes leaves nothing behind."""
        socket = self.stage.websocket(f"{API}?access_token=ann")
        for kind in ("user", "public", "direct", "public:local"):
            socket.subscribe(kind)
        socket.hang_up()
        self.assert_nothing_left()

    def test_client_vanishes_while_subscribing(self) -> None:
        """Whatever is pending when a client vanishes, nothing of it is left behind."""
        self.stage.mastodon.lists.add((1, 501))
        for stream in ("list&list=501", "public", "user"):
            for hung in ("SUBSCRIBE", "SET", ""):
                self.stage.redis.hung = {hung}
                self.stage.mastodon.held = None if hung else []
                socket = self.stage.websocket(f"{API}?access_token=ann&stream={stream}")
                socket.hang_up()
                self.stage.mastodon.let_go()
                self.stage.turn()
                self.stage.redis.recover()
                self.stage.turn()
        self.assert_nothing_left()


class HeartbeatTests(WebSocketTestCase):
    """Signs of life."""

    def pings(self, socket: Socket) -> int:
        """How many pings have come."""
        _ = socket.messages
        return sum(frame.opcode is Opcode.PING for frame in socket.frames)

    def test_ping(self) -> None:
        """A client is pinged every thirty seconds, and stays as long as it answers."""
        socket = self.user()
        for count in range(1, 5):
            self.stage.wait(30)
            self.assertEqual(count, self.pings(socket))
        self.assertTrue(socket.open)

    def test_dead(self) -> None:
        """A client that has not answered when the next ping is due is dropped."""
        socket = self.user()
        self.stage.wait(59)
        self.assertFalse(socket.closed)
        self.stage.wait(2)
        self.assertTrue(socket.closed)
        self.assert_nothing_left()

    def test_talking(self) -> None:
        """A client that says something else lives, too."""
        socket = self.user()
        for _ in range(3):
            self.stage.wait(29)
            self.say_frame(socket, Opcode.TEXT, b"hello")
        self.assertFalse(socket.closed)

    def test_client_pings(self) -> None:
        """A client's own pings are answered."""
        socket = self.user()
        self.say_frame(socket, Opcode.PING, b"there?")
        _ = socket.messages
        self.assertIn((Opcode.PONG, b"there?"), [(f.opcode, bytes(f.data)) for f in socket.frames])


class MemoryTests(StageTestCase):
    """What is kept of a connection."""

    def test_handshake_is_forgotten(self) -> None:
        """An open connection keeps nothing that was said in its handshake."""
        socket = self.stage.websocket(f"{API}?access_token=ann&stream=user", X_Secret="s3cr3t")
        kept = repr(vars(socket.wire.protocol))
        self.assertNotIn("s3cr3t", kept)
        self.assertNotIn("ann", kept)
        self.assertLess(len(vars(socket.wire.protocol)), 20)

    def test_nothing_kept(self) -> None:
        """Of one that has ended nothing is kept, not even until the garbage is collected."""
        gc.disable()
        self.addCleanup(gc.enable)
        for code in (None, 1000):
            socket = self.stage.websocket(f"{API}?access_token=ann&stream=user")
            protocol = weakref.ref(socket.wire.protocol)
            if code:
                socket.protocol.send_close(code)
                self.assertEqual(code, socket.close_code)
            socket.hang_up()
            del socket.wire.protocol
            self.assertIsNone(protocol())
