"""
Who is let in, over both transports, against a server in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import Mock

from twisted.internet.address import IPv4Address
from twisted.logger import capturedLogs
from twisted.protocols.haproxy._wrapper import HAProxyWrappingFactory
from websockets.frames import Frame, Opcode

from flodgatt_tx.edge.admission import ANTEROOM_TIMEOUT, BURST
from flodgatt_tx.limits import Limits
from tests.stage import API, LOCAL, Socket, StageTestCase, Visitor
from tests.wire import head

OFF = Limits(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
ONE = "203.0.113.1"
OTHER = "203.0.113.2"
Client = Callable[..., Visitor]


class AdmissionTestCase(StageTestCase):
    """A test of limits."""

    def sse(self, address: str = "", token: str = "ann", **headers: str) -> Visitor:
        """Let somebody from an address listen over SSE."""
        return self.stage.get(f"{API}/user?access_token={token}", **self.from_(address), **headers)

    def socket(self, address: str = "", token: str = "ann", **headers: str) -> Socket:
        """Let somebody from an address open a WebSocket."""
        return self.stage.websocket(
            f"{API}?access_token={token}", None, **self.from_(address), **headers
        )

    def from_(self, address: str) -> dict[str, str]:
        """What the proxy says of a client."""
        return {"X_Forwarded_For": address} if address else {}

    @property
    def ways(self) -> tuple[Client, Client]:
        """Both ways in."""
        return self.sse, self.socket

    def refused(self, reason: str) -> float | None:
        """How many were refused for a reason."""
        return self.stage.metric("connections_refused_total", reason=reason)

    def assert_in(self, client: Visitor) -> None:
        """Make sure that a client listens."""
        self.assertIn(client.status, (101, 200), client.raw)
        self.assertFalse(client.closed)

    def assert_refused(self, client: Visitor, status: int, message: str, wait: str = "30") -> None:
        """Make sure that a client was told why it may not come in, and when it may try again."""
        self.assertEqual((status, message), (client.status, client.headers["x-error-message"]))
        self.assertEqual(wait, client.headers["retry-after"])
        self.assertEqual("close", client.headers["connection"])
        self.assertTrue(client.closed)


class FullTests(AdmissionTestCase):
    """All connections together."""

    def test_full(self) -> None:
        """Over the limit clients are told to come back; whoever is in stays, and makes room."""
        for come in ("sse", "socket"):
            self.set_stage(Limits(connections=2))
            inside = [self.sse(), self.socket()]
            late = getattr(self, come)()
            self.assert_refused(late, 503, "Service temporarily unavailable", "5")
            self.assertEqual(1, self.refused("full"))
            for client in inside:
                self.assert_in(client)
            inside[0].hang_up()
            self.assert_in(client := getattr(self, come)())
            self.assertEqual(2, self.stage.metric("open_connections"))
            for each in (client, inside[1]):
                each.hang_up()
            self.assert_nothing_left()

    def test_body(self) -> None:
        """The refusal is JSON where it can be."""
        self.set_stage(Limits(connections=1))
        self.socket()
        self.assertEqual(b'{"error":"Service temporarily unavailable"}', self.sse().body)
        for client in (self.socket(), self.stage.get(f"{API}/user", "HEAD")):
            self.assertEqual((503, b""), (client.status, client.body))
        self.assertEqual("*", self.sse().headers["access-control-allow-origin"])

    def test_request_id(self) -> None:
        """A request keeps its name when it is refused, if it is a fit name."""
        self.set_stage(Limits(connections=1))
        self.socket()
        self.assertEqual("abc-1", self.sse(X_Request_Id="abc-1").headers["x-request-id"])
        for name in ("a b", "a\tb", "x" * 201):
            self.assertNotIn(name[:2], self.sse(X_Request_Id=name).headers["x-request-id"])

    def test_probes(self) -> None:
        """Who asks how the server is gets an answer also when it is full."""
        self.set_stage(Limits(connections=1))
        self.sse()
        for path in (f"{API}/health", f"{API}/health/ready", "/metrics", f"{API}/health/?x=1"):
            self.assertEqual(200, self.stage.get(path).status, path)
        for path in (f"{API}/healthy", "/metricsx", f"{API}/health/x"):
            self.assertEqual(503, self.stage.get(path).status, path)

    def test_probe_goes_on(self) -> None:
        """Behind a probe the same connection may listen only when there is room."""
        self.set_stage(Limits(connections=1))
        inside, probe, other = self.sse(), *(self.stage.get(f"{API}/health") for _ in range(2))
        probe.wire.clear()
        probe.request(f"{API}/user?access_token=ann")
        self.assertEqual(503, probe.status)
        inside.hang_up()
        other.wire.clear()
        other.request(f"{API}/user?access_token=ann")
        self.assert_in(other)

    def test_anteroom(self) -> None:
        """Only so many are told; nor may they take their time."""
        limits = Limits(connections=8)
        self.set_stage(limits)
        inside = self.sse()
        others = [self.sse() for _ in range(7)]
        waiting = [self.stage.connect() for _ in range(limits.anteroom)]
        beyond = self.stage.connect()
        beyond.send(b"GET / HTTP/1.1\r\n\r\n")
        self.assertEqual((True, b""), (beyond.closed, beyond.raw))
        self.assertFalse(any(client.closed for client in waiting))
        self.stage.wait(ANTEROOM_TIMEOUT)
        self.assertTrue(all(client.closed for client in waiting))
        for client in (inside, *others):
            self.assert_in(client)
            client.hang_up()
        self.assert_nothing_left()

    def test_off(self) -> None:
        """0 is no limit."""
        self.set_stage(OFF)
        clients = [self.stage.connect() for _ in range(500)]
        self.assertFalse(any(client.closed for client in clients))


class AddressTests(AdmissionTestCase):
    """Connections of one client."""

    def test_limit(self) -> None:
        """So many from one address; then 429, until one of them leaves. Others are others."""
        for come in ("sse", "socket"):
            self.set_stage(Limits(connections_per_address=2))
            inside = [self.sse(ONE), self.socket(ONE)]
            self.assert_refused(getattr(self, come)(ONE), 429, "Too many connections")
            self.assertEqual(1, self.refused("address"))
            self.assert_in(other := getattr(self, come)(OTHER))
            inside.pop().hang_up()
            self.assert_in(again := getattr(self, come)(ONE))
            for client in (*inside, other, again):
                client.hang_up()
            self.assert_nothing_left()

    def test_spoofed(self) -> None:
        """What a client writes before the proxy's word does not help it."""
        self.set_stage(Limits(connections_per_address=1))
        self.assert_in(self.sse(ONE))
        for come in self.ways:
            for said in (f"198.51.100.7, {ONE}", f"{ONE}, {ONE}", f"x,127.0.0.1 ,{ONE}"):
                self.assertEqual(429, come(said).status, said)
        lines = f"X-Forwarded-For: 198.51.100.7\r\nx-forwarded-FOR:{ONE}\r\n"
        client = self.stage.connect()
        client.send(f"GET {API}/user?access_token=ann HTTP/1.1\r\n{lines}\r\n".encode())
        self.assertEqual(429, client.status)

    def test_untrusted_peer(self) -> None:
        """Who is no trusted proxy is counted, whatever it says."""
        self.set_stage(Limits(connections_per_address=1))
        for number, expected in enumerate((200, 429)):
            client = self.stage.connect(OTHER)
            client.request(f"{API}/user?access_token=ann", X_Forwarded_For=f"198.51.100.{number}")
            self.assertEqual(expected, client.status)

    def test_silent_peers(self) -> None:
        """Who says nothing is counted, too, and does not keep others out."""
        limits = Limits(connections=50, connections_per_address=5)
        self.set_stage(limits)
        silent = [self.stage.connect(ONE) for _ in range(200)]
        self.stage.turn()
        self.assertEqual(5 + limits.anteroom, sum(not each.closed for each in silent))
        other = self.stage.connect(OTHER)
        other.request(f"{API}/user?access_token=ann")
        self.assert_in(other)
        told = next(each for each in silent[5:] if not each.closed)
        told.request(f"{API}/user?access_token=ann")
        self.assert_refused(told, 429, "Too many connections")
        for client in (*silent, other):
            client.hang_up()
        self.assert_nothing_left()

    def test_peers_kept_alive(self) -> None:
        """A client without a proxy is counted also while it asks for nothing."""
        self.set_stage(Limits(connections_per_address=1))
        for expected in (200, 429):
            client = self.stage.connect(ONE)
            client.request(f"{API}/health")
            self.assertEqual(expected, client.status)

    def test_between_requests(self) -> None:
        """A connection that a proxy keeps is nobody's until the next request."""
        self.set_stage(Limits(connections_per_address=1, connections_per_account=1))
        kept = self.stage.get(f"{API}/user?access_token=ann", "HEAD", X_Forwarded_For=ONE)
        self.assertFalse(kept.closed)
        self.assert_in(self.sse(ONE))

    def test_half_a_line_end(self) -> None:
        """What only some take for the end of a line begins no header."""
        self.set_stage(Limits(connections_per_address=1))
        self.assert_in(self.socket(ONE))
        client = self.stage.connect()
        said = f"X-Forwarded-For: {ONE}", f"X: y\nX-Forwarded-For: {OTHER}"
        client.send(head(*said))
        self.assertEqual(429, client.status)

    def test_unix_socket(self) -> None:
        """The peer of a UNIX socket is a trusted proxy."""
        self.set_stage(Limits(connections_per_address=1))
        for address, expected in ((ONE, 200), (ONE, 429), (OTHER, 200), ("", 200), ("", 200)):
            client = self.stage.connect(None)
            client.request(f"{API}/user?access_token=ann", **self.from_(address))
            self.assertEqual(expected, client.status, address)

    def test_proxy_protocol(self) -> None:
        """The peer may also be named by the PROXY protocol, as in `--listen haproxy:tcp:4000`."""
        self.set_stage(Limits(connections_per_address=1))
        wrapping = HAProxyWrappingFactory(self.stage.parts.front)
        wrapping.noisy = False
        for proxy, address, expected in (
            (LOCAL, ONE, 200),
            ("198.51.100.1", ONE, 429),
            ("198.51.100.1", OTHER, 200),
            ("198.51.100.1", "203.0.113.3", 200),
        ):
            client = self.stage.connect(None)
            client.wire.protocol.connectionLost()
            client.wire.peerAddr = IPv4Address("TCP", proxy, 1)
            client.wire.protocol = wrapping.buildProtocol(client.wire.getPeer())
            client.wire.protocol.makeConnection(client.wire)
            client.send(f"PROXY TCP4 {address} 10.0.0.1 1 2\r\n".encode())
            client.request(f"{API}/health")
            self.assertEqual(expected, client.status, address)

    def test_silent_proxy(self) -> None:
        """A trusted proxy that does not say for whom it asks is not one client."""
        self.set_stage(Limits(connections_per_address=1))
        for come in self.ways:
            for address in ("", "", "unknown", "127.0.0.1", "127.0.0.1"):
                self.assert_in(come(address))

    def test_untrusted_loopback(self) -> None:
        """Loopback is trusted only as long as the settings say so."""
        self.set_stage(Limits(connections_per_address=1), "10.0.0.0/8")
        self.assertEqual([200, 429], [self.sse(each).status for each in (ONE, OTHER)])

    def test_network(self) -> None:
        """IPv6 is counted by /64."""
        self.set_stage(Limits(connections_per_address=1))
        for address, expected in (
            ("2001:db8::1", 200),
            ("2001:db8::2", 429),
            ("2001:db8:0:1::1", 200),
        ):
            self.assertEqual(expected, self.sse(address).status, address)

    def test_kept_alive(self) -> None:
        """On a connection that a proxy keeps, each request is its own client's."""
        self.set_stage(Limits(connections_per_address=1))
        client = self.stage.connect()
        for address in (ONE, OTHER, ONE, ONE):
            client.wire.clear()
            client.request(f"{API}/health", X_Forwarded_For=address)
            self.assertEqual(200, client.status, address)
        self.assert_in(self.sse(OTHER))
        client.wire.clear()
        client.request(f"{API}/health", X_Forwarded_For=OTHER)
        self.assertEqual(429, client.status)
        self.assert_in(self.sse(ONE))

    def test_kept_alive_and_refused(self) -> None:
        """A connection that has served requests is closed, though nobody reads the answers."""
        self.set_stage(Limits(connections_per_address=1))
        inside, client = self.sse(ONE), self.stage.get(f"{API}/health")
        head = f"GET {API}/health HTTP/1.1\r\nX-Forwarded-For: {ONE}\r\n\r\n"
        client.wire.protocol.dataReceived(head.encode())
        # A transport with a producer that is paused would wait for it.
        self.assertIsNone(client.wire.producer)
        self.stage.turn()
        self.assertEqual((True, False), (client.closed, inside.closed))

    def test_refused_are_not_counted(self) -> None:
        """Whoever is refused, for whatever reason, is not counted any more."""
        self.set_stage(Limits(connections_per_address=1))
        for come in self.ways:
            for _ in range(3):
                self.assertEqual(401, (client := come(ONE, "wrong")).status)
                client.hang_up()
        self.assert_nothing_left()

    def test_off(self) -> None:
        """0 is no limit."""
        self.set_stage(OFF)
        for come in self.ways:
            for _ in range(350):
                self.assert_in(come(ONE))


class AccountTests(AdmissionTestCase):
    """Connections of one account."""

    def test_limit(self) -> None:
        """So many of one account, wherever they come from."""
        for come in ("sse", "socket"):
            self.set_stage(Limits(connections_per_account=2))
            inside = [self.sse(ONE), self.socket(OTHER)]
            late = getattr(self, come)()
            self.assertEqual((429, "30"), (late.status, late.headers["retry-after"]))
            self.assertIn(b"Too many connections", late.raw)
            self.assertEqual(1, self.refused("account"))
            self.assert_in(other := getattr(self, come)(token="ben"))
            inside.pop().hang_up()
            self.assert_in(again := getattr(self, come)())
            for client in (*inside, other, again, late):
                client.hang_up()
            self.assert_nothing_left()

    def test_kept_alive(self) -> None:
        """A connection counts for the account that has asked last."""
        self.set_stage(Limits(connections_per_account=1))
        client = self.stage.connect()
        for token in ("ann", "ben", "ann", "ann"):
            client.wire.clear()
            client.request(f"{API}/user?access_token={token}", "HEAD")
            self.assertEqual(200, client.status)
        self.assert_in(self.sse(token="ben"))

    def test_released_once(self) -> None:
        """However many requests follow, an account's connection is released once."""
        self.set_stage(Limits(connections_per_account=2))
        client, inside = self.stage.connect(), self.sse()
        for target, method in (
            (f"{API}/user?access_token=ann", "HEAD"),
            *[(f"{API}/health", "GET")] * 3,
        ):
            client.request(target, method)
        self.assertEqual([200, 429], [self.sse().status for _ in range(2)])
        self.assert_in(inside)

    def test_left_early(self) -> None:
        """Who leaves while the token is looked up is not counted when it is known."""
        self.set_stage(Limits(connections_per_account=1))
        for come in self.ways:
            self.stage.mastodon.held = []
            client = come()
            client.hang_up()
            self.stage.mastodon.let_go()
            self.stage.mastodon.held = None
            self.stage.turn()
        self.assert_nothing_left()


class FailedLoginTests(AdmissionTestCase):
    """Tokens that are none."""

    def test_limit(self) -> None:
        """After so many, not even the database is asked until the minute is over."""
        for come in ("sse", "socket"):
            self.set_stage(Limits(failed_logins=2))
            for _ in range(2):
                self.assertEqual(401, getattr(self, come)(ONE, "wrong").status)
                self.stage.wait(10)
            asked = len(self.stage.mastodon.asked)
            late = getattr(self, come)(ONE)
            self.assertEqual((429, "40"), (late.status, late.headers["retry-after"]))
            self.assertIn(b"Too many failed logins", late.raw)
            self.assertEqual(
                (1, asked), (self.refused("failed_logins"), len(self.stage.mastodon.asked))
            )
            self.assert_in(getattr(self, come)(OTHER))
            self.stage.wait(40)
            self.assert_in(getattr(self, come)(ONE))

    def test_what_counts(self) -> None:
        """Only tokens that are unknown count: not missing ones, nor those that cannot be one."""
        self.set_stage(Limits(failed_logins=1))
        for target in (f"{API}/user", f"{API}/user?access_token=a%00b", f"{API}/nothing"):
            self.stage.get(target, X_Forwarded_For=ONE)
        self.assert_in(self.sse(ONE))

    def test_unknown_clients(self) -> None:
        """Clients of a proxy that does not name them do not block each other."""
        self.set_stage(Limits(failed_logins=1))
        for _ in range(3):
            self.assertEqual(401, self.sse(token="wrong").status)
        self.assert_in(self.sse())

    def test_off(self) -> None:
        """0 is no limit."""
        self.set_stage(OFF)
        for _ in range(100):
            self.assertEqual(401, self.sse(ONE, "wrong").status)


class SubscriptionTests(AdmissionTestCase):
    """Streams on one WebSocket."""

    def test_limit(self) -> None:
        """One too many is refused, like other streams that cannot be had; the rest goes on."""
        self.set_stage(Limits(subscriptions=2))
        socket = self.socket()
        for stream in ("user", "public", "user", "direct"):
            socket.subscribe(stream)
        self.assertEqual([{"error": "Too many subscriptions", "status": 429}], socket.messages)
        self.stage.publish("timeline:1", "delete", "5")
        self.assertEqual("5", socket.messages[-1]["payload"])
        socket.unsubscribe("user")
        socket.subscribe("direct")
        self.stage.publish("timeline:direct:1", "delete", "6")
        self.assertEqual(["direct"], socket.messages[-1]["stream"])
        self.assertEqual((2, 1), (len(socket.messages) - 1, self.refused("subscriptions")))

    def test_waiting(self) -> None:
        """Those that wait for Redis count, too."""
        self.set_stage(Limits(subscriptions=2))
        socket = self.socket()
        self.stage.redis.hung = {"SUBSCRIBE"}
        for number in range(3):
            socket.subscribe("hashtag", tag=f"cat{number}")
        self.assertEqual([429], [each["status"] for each in socket.messages])
        self.stage.redis.recover()
        socket.hang_up()
        self.assert_nothing_left()

    def test_off(self) -> None:
        """0 is no limit."""
        self.set_stage(OFF)
        socket = self.socket()
        for number in range(300):
            socket.subscribe("hashtag", tag=f"cat{number}")
        self.assertEqual([], socket.messages)


class MessageTests(AdmissionTestCase):
    """What a client says in a second."""

    SUBSCRIBE = (Opcode.TEXT, b'{"type":"subscribe","stream":"direct"}', True)

    def flood(self, socket: Socket, *frames: tuple[Opcode, bytes, bool], times: int) -> None:
        """Send frames, all in one segment."""
        data = b"".join(
            Frame(opcode, data, fin).serialize(mask=True) for opcode, data, fin in frames
        )
        socket.send(data * times)

    def test_limit(self) -> None:
        """Too many frames of whatever kind close the connection, with a code and words."""
        pieces = ((Opcode.TEXT, b"", False), *[(Opcode.CONT, b"", False)] * 30)
        for frames in (
            (self.SUBSCRIBE,),
            ((Opcode.PING, b"", True),),
            ((Opcode.PONG, b"x", True),),
            pieces,
        ):
            self.set_stage(Limits(messages_per_second=3))
            socket, other = self.socket(), self.socket(token="ben")
            self.flood(socket, *frames, times=3 * BURST + 1)
            self.assertEqual(1008, socket.close_code)
            assert socket.protocol.close_rcvd
            self.assertEqual("Too many messages", socket.protocol.close_rcvd.reason)
            self.assertEqual(1, self.refused("messages"))
            self.assertTrue(other.open)
            other.hang_up()
            self.stage.wait(6)
            self.assertTrue(socket.closed)
            self.assert_nothing_left()

    def test_nothing_more_is_heard(self) -> None:
        """Who has said too much is not listened to any more."""
        self.set_stage(Limits(messages_per_second=1))
        socket = self.socket()
        ends = Mock(wraps=socket.wire.protocol.onFrameEnd)
        socket.wire.protocol.onFrameEnd = ends
        self.flood(socket, (Opcode.PING, b"", True), times=1000)
        self.assertEqual(BURST + 1, ends.call_count)
        answered = len(socket.raw)
        self.flood(socket, (Opcode.PING, b"", True), self.SUBSCRIBE, times=1000)
        self.assertEqual(answered, len(socket.raw))
        self.assertEqual(1, self.refused("messages"))

    def test_within(self) -> None:
        """A burst is allowed, and so is a steady stream."""
        self.set_stage(Limits(messages_per_second=3))
        socket = self.socket()
        self.flood(socket, self.SUBSCRIBE, times=3 * BURST)
        for _ in range(60):
            self.stage.wait(1)
            self.flood(socket, self.SUBSCRIBE, times=2)
        self.assertTrue(socket.open)

    def test_off(self) -> None:
        """0 is no limit."""
        self.set_stage(OFF)
        socket = self.socket()
        self.flood(socket, self.SUBSCRIBE, times=2000)
        self.assertTrue(socket.open)


class HeadTests(AdmissionTestCase):
    """The head of a request: its time and its length."""

    def test_time(self) -> None:
        """It has to come in time; so has the next on the same connection."""
        self.set_stage(Limits(handshake_timeout=7))
        silent, again = self.stage.connect(), self.stage.get(f"{API}/health")
        self.stage.wait(6)
        self.assertEqual((False, False), (silent.closed, again.closed))
        self.stage.wait(2)
        self.assertEqual((True, True), (silent.closed, again.closed))
        self.assertEqual(1, self.refused("handshake"))
        self.assert_nothing_left()

    def test_length(self) -> None:
        """One that is too long is refused, whether it ends or not, for both transports."""
        self.set_stage(Limits(header_size=1000))
        for come in self.ways:
            self.assert_in(come(X="x" * 600))
            client = come(X="x" * 1000)
            self.assertEqual((431, True), (client.status, client.closed))
            self.assertEqual("Request header is too large", client.headers["x-error-message"])
        endless = self.stage.connect()
        endless.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 1000)
        self.assertEqual((431, 3), (endless.status, self.refused("header")))

    def test_longer(self) -> None:
        """More may be allowed than Twisted would."""
        self.set_stage(Limits(header_size=100_000))
        for come in self.ways:
            self.assert_in(come(X="x" * 90_000))

    def test_off(self) -> None:
        """0 is no limit, of time or of length."""
        self.set_stage(OFF)
        silent, again = self.stage.connect(), self.stage.get(f"{API}/health")
        self.stage.wait(300)
        self.assertEqual((False, False), (silent.closed, again.closed))
        for come in self.ways:
            self.assert_in(come(X="x" * 200_000))


class UnsentTests(AdmissionTestCase):
    """What waits for clients that do not read."""

    def test_limits(self) -> None:
        """The backlog has the limits that are set."""
        for limits, waiting, cause in (
            (Limits(unsent=10), 11, "slow"),
            (Limits(unsent=10), 10, ""),
            (OFF, 1 << 60, ""),
        ):
            self.set_stage(limits)
            self.assertEqual(cause, self.stage.parts.api.backlog.excess(waiting))
        self.set_stage(Limits(unsent=0, unsent_total=10))
        backlog = self.stage.parts.api.backlog
        backlog.total = 11
        self.assertEqual("crowded", backlog.excess(1))


class WarningTests(AdmissionTestCase):
    """What the log says."""

    def test_seldom(self) -> None:
        """Of each kind of refusal once in a minute, and never the address."""
        self.set_stage(Limits(connections_per_address=1))
        self.sse(ONE)
        with capturedLogs() as events:
            for _ in range(5):
                self.sse(ONE)
            self.stage.wait(61)
            self.sse(ONE)
        warnings = [event for event in events if event["log_level"].name == "warn"]
        self.assertEqual(["address"] * 2, [event["reason"] for event in warnings])
        self.assertNotIn(ONE, str([{**event, "log_logger": None} for event in events]))
