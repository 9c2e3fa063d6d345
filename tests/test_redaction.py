"""
Tokens are told nobody: not the log, however much that is asked to tell, nor metrics, nor errors.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator

from twisted.logger import Logger, globalLogPublisher
from websockets.frames import Opcode

from flodgatt_tx.edge.logs import make_observer
from flodgatt_tx.errors import UNAVAILABLE, UnavailableError
from tests.stage import API, Socket, StageTestCase, Visitor, status, viewer
from tests.wire import closing, frame, head

# Whatever is sent that nobody else shall read has this in it.
MARK = "s3cr3t"
GOOD, REVOKED, WRONG = f"good-{MARK}", f"revoked-{MARK}", f"wrong-{MARK}"
TOKENS = (GOOD, WRONG, f"{MARK}%00", f"{MARK}%FF", f"{MARK} x", MARK * 50)
PATHS = ("user", "public", "hashtag?tag=cats", "list?list=1", "nowhere", "health", "user/")
KINDS = ("user", "public", "hashtag", "list", "nonsense", MARK)


def with_token(path: str, token: str) -> str:
    """Add a token to the query of a path."""
    return f"{API}/{path}{'&' if '?' in path else '?'}access_token={token}"


class RedactionTestCase(StageTestCase):
    """A test of what is said of those who come."""

    def setUp(self) -> None:
        """Write the log as the server would, all of it, and have clients with tokens."""
        super().setUp()
        self.log = io.StringIO()
        for form in ("text", "json"):
            observer = make_observer("trace", self.log, form)
            globalLogPublisher.addObserver(observer)
            self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.addCleanup(self.flushLoggedErrors)
        self.stage.mastodon.tokens[GOOD] = viewer(7)
        self.stage.mastodon.tokens[REVOKED] = viewer(8)
        self.clients: list[Visitor] = []

    def http(self, target: str, method: str = "GET", **headers: str) -> None:
        """Make a request."""
        self.clients.append(self.stage.get(target, method, **headers))

    def socket(self, target: str = API, subprotocol: str | None = None, **headers: str) -> Socket:
        """Connect a WebSocket."""
        socket = self.stage.websocket(target, subprotocol, **headers)
        self.clients.append(socket)
        return socket

    def say(self, data: bytes) -> None:
        """Send bytes over a new connection."""
        client = self.stage.connect()
        client.send(data)
        self.clients.append(client)

    def assert_kept(self) -> None:
        """Make sure that nothing of what was sent is in the log, the metrics or an answer."""
        metrics = self.stage.get("/metrics").body.decode()
        for client in self.clients:
            client.hang_up()
        self.stage.wait(10)
        for name, text in (
            ("log", self.log.getvalue()),
            ("metrics", metrics),
            *(("answer", self.answer(client)) for client in self.clients),
        ):
            self.assertEqual([], re.findall(f".*{MARK}.*", text), name)

    def answer(self, client: Visitor) -> str:
        """All that a client was sent, but for what it is the protocol's rule to repeat."""
        raw = client.raw.decode("latin-1")
        raw = re.sub(r"(?i)^sec-websocket-protocol:.*", "", raw, flags=re.MULTILINE)
        return re.sub(r'"stream":\[[^]]*\]', "", raw)


class RedactionTests(RedactionTestCase):
    """All ways of bringing a token, and what may happen then."""

    def everything(self) -> None:
        """Do whatever clients do, with tokens wherever one can be."""
        for token in TOKENS:
            for path in PATHS:
                self.http(with_token(path, token))
                self.http(f"{API}/{path}", Authorization=f"Bearer {token}")
            self.http(with_token("user", token), Referer=with_token("user", token), Cookie=token)
            for way in ways_in(self.socket, token):
                for kind in KINDS:
                    way.subscribe(kind, tag="x", list="1", access_token=token)
                    way.unsubscribe(kind, tag=token, list=token)
                way.say(token)
        for method in ("HEAD", "POST", "OPTIONS"):
            self.http(with_token("user", GOOD), method, Content_Length="0")

    def test_everyday(self) -> None:
        """While all goes well, and tokens are wrong."""
        self.everything()
        self.assertIn("/api/v1/streaming/user", self.log.getvalue())
        self.assert_kept()

    def test_no_database(self) -> None:
        """While the database does not answer."""
        self.stage.mastodon.failing = UnavailableError(UNAVAILABLE)
        self.everything()
        self.assert_kept()

    def test_accidents(self) -> None:
        """While something happens that nobody expected, and tracebacks are logged."""
        self.stage.mastodon.failing = ZeroDivisionError("nobody expected that")
        self.everything()
        self.assertIn("Traceback", self.log.getvalue())
        self.assert_kept()

    def test_slow_database(self) -> None:
        """While lookups take too long, and clients leave meanwhile."""
        self.stage.mastodon.held = []
        self.everything()
        self.stage.wait(20)
        self.stage.mastodon.let_go()
        self.assert_kept()

    def test_no_redis(self) -> None:
        """While Redis is away."""
        self.stage.redis.up = False
        self.stage.redis.cut()
        self.everything()
        self.stage.wait(20)
        self.assert_kept()

    def test_ends(self) -> None:
        """When tokens are revoked, and found to be gone."""
        sockets = [*ways_in(self.socket, GOOD), *ways_in(self.socket, REVOKED)]
        for each in sockets:
            each.subscribe("user")
        self.stage.publish("timeline:access_token:1008", "kill")
        self.stage.publish("timeline:8", "update", status())
        del self.stage.mastodon.tokens[GOOD]
        self.stage.wait(400)
        self.assert_kept()

    def test_mistakes(self) -> None:
        """When what a client says is wrong, and what it said could be quoted."""
        for line in (
            *(f"GET /{MARK}?access_token={GOOD} HTTP/1.0", f"GET /?access_token={GOOD}#{MARK}"),
            *(f"GET http://[/?access_token={GOOD} HTTP/1.1", f"GET {GOOD} {GOOD} HTTP/1.1"),
            *(f"POST /?access_token={GOOD} HTTP/1.1", f"GET /{MARK} HTTP/{MARK}", MARK),
        ):
            for upgrade in ("websocket", "h2c"):
                self.say(head(f"X-{MARK}: {MARK}", line=line, Upgrade=upgrade))
        for name in ("Host", "Sec_WebSocket_Version", "Sec_WebSocket_Key", "Connection"):
            self.say(head(f"Sec-WebSocket-Protocol: {GOOD}", **{name: f"{MARK}:{MARK}"}))
        self.say(head(f"Sec-WebSocket-Protocol: {GOOD}, {GOOD}", f"Origin: {MARK}://["))
        self.say(b"GET /?access_token=%b HTTP/1.1\r\n" % GOOD.encode() * 2000)
        self.assert_kept()

    def test_frames(self) -> None:
        """When what is said over a WebSocket is wrong."""
        for data in (
            *(frame(Opcode.BINARY, MARK.encode()), frame(3, MARK.encode())),
            *(frame(Opcode.TEXT, MARK.encode() + b"\xff"), closing(999, MARK.encode())),
            *(frame(Opcode.TEXT, MARK.encode(), mask=None), frame(Opcode.CONT, MARK.encode())),
            frame(Opcode.TEXT, MARK.encode() * 20_000),
        ):
            self.socket(f"{API}?access_token={GOOD}").send(data)
        self.assert_kept()

    def test_it_would_be_noticed(self) -> None:
        """What is in the log, or in an answer, is found."""
        self.http(f"{API}/user", "OPTIONS", Access_Control_Request_Headers=MARK)
        self.assertRaises(self.failureException, self.assert_kept)
        self.clients.clear()
        self.assert_kept()
        Logger().debug("{what}", what=MARK)
        self.assertRaises(self.failureException, self.assert_kept)


def ways_in(connect: Callable[..., Socket], token: str) -> Iterator[Socket]:
    """Connect WebSockets with a token in each place where one can be, if it is let in there."""
    for socket in (
        connect(f"{API}?access_token={token}"),
        connect(f"{API}?stream=user&access_token={token}"),
        connect(Authorization=f"Bearer {token}"),
        connect(subprotocol=token),
    ):
        if socket.open:
            yield socket
