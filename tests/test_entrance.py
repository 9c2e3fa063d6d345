"""
Where HTTP and WebSockets part.
"""

from __future__ import annotations

from twisted.protocols.policies import WrappingFactory
from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Frame, Opcode

from flodgatt_tx.edge.entrance import wants_websocket
from flodgatt_tx.limits import Limits
from tests.stage import API, Socket, StageTestCase, Visitor

LARGEST_HEAD = Limits().header_size
TIMEOUT = Limits().handshake_timeout

HEALTH = f"GET {API}/health HTTP/1.1\r\nHost: x\r\n\r\n".encode()
HANDSHAKE = (
    b"GET /api/v1/streaming?access_token=ann&stream=user HTTP/1.1\r\nHost: x\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SUBSCRIBE = Frame(Opcode.TEXT, b'{"type":"subscribe","stream":"direct"}').serialize(mask=True)


class RecognitionTests(SynchronousTestCase):
    """What asks for a WebSocket."""

    def test_heads(self) -> None:
        """Only an upgrade to `websocket` is one; case and company do not matter."""
        for headers, wanted in (
            ("Upgrade: websocket\r\nConnection: Upgrade", True),
            ("UPGRADE: WebSocket\r\nconnection: keep-alive, Upgrade", True),
            ("connection:upgrade\r\nupgrade:websocket", True),
            ("Upgrade: h2c, websocket\r\nConnection: Upgrade", True),
            ("Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings", False),
            ("Upgrade: websocket", False),
            ("Connection: Upgrade", False),
            ("Upgrade: websocket\r\nConnection: close", False),
            ("X-Upgrade: websocket\r\nConnection: Upgrade", False),
            ("Upgrade: x\r\nX: websocket\r\nConnection: Upgrade", False),
        ):
            head = f"GET / HTTP/1.1\r\nHost: x\r\n{headers}".encode()
            self.assertEqual(wanted, wants_websocket(head), headers)


class EntranceTests(StageTestCase):
    """How connections are handed on."""

    def opened(self, client: Visitor) -> bool:
        """Whether *client* has a WebSocket that hears ann's home timeline."""
        client.wire.clear()
        self.stage.publish("timeline:1", "delete", "5")
        return client.raw.startswith(b"\x81") and b'"user"' in client.raw

    def test_trickle(self) -> None:
        """A head may come byte by byte, for HTTP as for WebSockets."""
        for said, answer in ((HEALTH, b"HTTP/1.1 200"), (HANDSHAKE, b"HTTP/1.1 101")):
            client = self.stage.connect()
            for at in range(len(said)):
                self.assertEqual(b"", client.raw)
                client.wire.protocol.dataReceived(said[at : at + 1])
            self.stage.turn()
            self.assertTrue(client.raw.startswith(answer), client.raw)

    def test_together(self) -> None:
        """A frame in the same segment as the handshake counts."""
        client = self.stage.connect()
        client.send(HANDSHAKE + SUBSCRIBE)
        client.wire.clear()
        self.stage.publish("timeline:direct:1", "delete", "5")
        self.assertIn(b'"direct"', client.raw)

    def test_upgrade_after_http(self) -> None:
        """A connection that has served HTTP may become a WebSocket."""
        client = self.stage.connect()
        for _ in range(2):
            client.wire.clear()
            client.send(HEALTH)
            self.assertEqual(200, client.status)
        client.wire.clear()
        client.send(HANDSHAKE)
        self.assertEqual(101, client.status)
        self.assertTrue(self.opened(client))
        # HTTP's timer must be gone with it.
        for _ in range(5):
            self.stage.wait(25)
            client.send(Frame(Opcode.PONG, b"").serialize(mask=True))
        self.assertFalse(client.closed)
        client.hang_up()
        self.assert_nothing_left()

    def test_upgrade_through_wrapper(self) -> None:
        """So it may behind a wrapper, such as TLS is."""
        client = Visitor(self.stage)
        wrapping = WrappingFactory(self.stage.parts.front)
        wrapping.noisy = False
        client.wire.protocol = wrapping.buildProtocol(client.wire.getPeer())
        client.wire.protocol.makeConnection(client.wire)
        client.send(HEALTH)
        client.wire.clear()
        client.send(HANDSHAKE)
        self.assertEqual(101, client.status)
        self.assertTrue(self.opened(client))
        client.hang_up()

    def test_h2c(self) -> None:
        """Who offers HTTP/2 is answered over HTTP/1.1."""
        client = self.stage.get(
            f"{API}/health",
            Connection="Upgrade, HTTP2-Settings",
            Upgrade="h2c",
            HTTP2_Settings="AAMAAABkAARAAAAAAAIAAAAA",
        )
        self.assertEqual((200, b"OK"), (client.status, client.body))

    def test_body(self) -> None:
        """What a body says does not count as a head."""
        client = self.stage.connect()
        head = f"POST {API}/health HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
        client.send((head % len(HANDSHAKE)).encode())
        client.send(HANDSHAKE)
        self.assertEqual(405, client.status)
        self.assertNotIn(b"HTTP/1.1 101", client.raw)

    def test_long_head(self) -> None:
        """A head that is too long is refused, whether it ends or not."""
        line = b"X: " + b"x" * 1000 + b"\r\n"
        start = HEALTH[:-2]
        for said in (start + line * 100, start + line * 100 + b"\r\n", b"x" * (LARGEST_HEAD + 2)):
            client = self.stage.connect()
            client.send(said)
            self.assertTrue(client.closed)
            self.assertNotIn(b"200 OK", client.raw)

    def test_blanks(self) -> None:
        """However many blanks a header has, it is looked through once; it took 40 seconds."""
        blanks = b" " * 80_000
        for said in (b"GET / HTTP/1.1\r\nX-Request-Id:" + blanks + b"!", HEALTH[:-2] + blanks):
            client = self.stage.connect()
            client.send(said)
            self.assertTrue(client.closed)

    def test_noise(self) -> None:
        """What is no HTTP is refused."""
        client = self.stage.connect()
        client.send(b"\x16\x03\x01hello\r\n\r\n")
        self.assertEqual((400, True), (client.status, client.closed))

    def test_idle(self) -> None:
        """Who says nothing for a minute, or not enough, is dropped."""
        silent, slow = self.stage.connect(), self.stage.connect()
        slow.send(b"GET / HTTP/1.1\r\n")
        self.stage.wait(TIMEOUT - 1)
        self.assertEqual((False, False), (silent.closed, slow.closed))
        self.stage.wait(1)
        self.assertEqual((True, True), (silent.closed, slow.closed))
        self.assert_nothing_left()

    def test_idle_after_http(self) -> None:
        """A connection that has served a request is dropped after a minute without another."""
        client = self.stage.get(f"{API}/health")
        self.stage.wait(TIMEOUT - 1)
        self.assertFalse(client.closed)
        self.stage.wait(2)
        self.assertTrue(client.closed)
        self.assert_nothing_left()

    def test_partial_after_http(self) -> None:
        """So it is if the next request does not get to its end."""
        client = self.stage.get(f"{API}/health")
        client.send(b"GET / HTTP/1.1\r\n")
        self.stage.wait(TIMEOUT + 1)
        self.assertTrue(client.closed)
        self.assert_nothing_left()

    def test_streams_are_not_idle(self) -> None:
        """Who listens is not dropped."""
        client = self.stage.get(f"{API}/user?access_token=ann")
        self.stage.wait(3 * TIMEOUT)
        self.assertFalse(client.closed)

    def test_talking_listener(self) -> None:
        """Nobody listens to who talks while listening."""
        client = self.stage.get(f"{API}/user?access_token=ann")
        for _ in range(10):
            client.send(b"x" * 20_000)
        self.stage.publish("timeline:1", "delete", "1")
        self.assertEqual([("delete", "1")], client.events)

    def test_left(self) -> None:
        """Who leaves before a word leaves nothing behind."""
        self.stage.connect().hang_up()
        self.assert_nothing_left()

    def test_factory(self) -> None:
        """Both sides are started and stopped with the entrance."""
        self.stage.parts.front.doStart()
        self.stage.parts.front.doStop()
        self.assertIsInstance(self.stage.websocket(f"{API}?access_token=ann"), Socket)
