"""
A whole server in memory, and clients to visit it.

Everything between the bytes of a client and the bytes of Redis is the real thing.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import txaio
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

from flodgatt_tx.edge.accounts import Accounts
from flodgatt_tx.edge.presence import Presence, keep_present
from flodgatt_tx.edge.pubsub import keep_subscribed
from flodgatt_tx.edge.rechecks import Rechecks
from flodgatt_tx.edge.server import make_parts
from flodgatt_tx.limits import Limits
from flodgatt_tx.scopes import parse_scopes
from flodgatt_tx.settings import Layer, load
from flodgatt_tx.viewer import Viewer
from tests.fakes import MemoryMastodon, MemoryRedis

LOCAL = "127.0.0.1"
STANDARD = Limits()
API = "/api/v1/streaming"
Part = TypeVar("Part")


def viewer(account: int = 1, scopes: str = "read", **more: Any) -> Viewer:
    """Make a viewer; the token's id is the account's and a thousand."""
    values: dict[str, Any] = {"token_id": account + 1000, "languages": None, "permissions": 0}
    return Viewer(account_id=account, scopes=parse_scopes(scopes), **{**values, **more})


def status(
    id_: str = "1", account: str = "50", acct: str = "far@remote.example", **more: Any
) -> dict[str, Any]:
    """Make a status as far as a streaming server looks at it."""
    return {
        "id": id_,
        "language": "en",
        "content": "<p>hello</p>",
        "account": {"id": account, "username": acct.split("@")[0], "acct": acct},
        "mentions": [],
        **more,
    }


class Stage:
    """
    The server, its Redis and its Mastodon.

    Three people have tokens: `ann` is account 1, `ben` 2 and `cyd` 3, all with scope `read`. They
    come by way of a proxy on the same machine, which does not say for whom it asks.
    """

    def __init__(
        self, limits: Limits = STANDARD, trusted_proxies: str = "loopback", **more: Any
    ) -> None:
        self.clock = MemoryReactorClock()
        # Autobahn's timers look here for their reactor, and nowhere else.
        self._real_loop, txaio.config.loop = txaio.config.loop, self.clock
        self.redis = MemoryRedis(self.clock)
        self.mastodon = MemoryMastodon()
        for account, token in enumerate(("ann", "ben", "cyd"), 1):
            self.mastodon.tokens[token] = viewer(account)
        networks = load([Layer("test", {"TRUSTED_PROXY_IP": trusted_proxies})]).trusted_proxies
        self.parts = make_parts(
            self.clock, self.mastodon, limits=limits, trusted_proxies=networks, **more
        )
        self.services = [
            keep_subscribed(self.clock, self.redis, [], self.parts.pubsub),
            keep_present(self.clock, self.redis, [], self.parts.presence),
            *self.parts.timed,
        ]
        for service in self.services:
            service.startService()
        self.turn()

    def close(self) -> None:
        """End everything."""
        for service in reversed(self.services):
            service.stopService()
        self.turn()
        txaio.config.loop = self._real_loop

    def part(self, kind: type[Part]) -> Part:
        """The part of the server that is of this kind."""
        return next(each for each in self.parts.timed if isinstance(each, kind))

    def wait(self, seconds: int) -> None:
        """Let time pass, a second at a time."""
        for _ in range(seconds):
            self.clock.advance(1)
        self.turn()

    def turn(self) -> None:
        """Let everything happen that takes no time."""
        for _ in range(5):
            self.clock.advance(0)

    def publish(self, channel: str, event: str, payload: object = None) -> None:
        """Publish as Rails does."""
        envelope = {"event": event} if payload is None else {"event": event, "payload": payload}
        self.publish_bytes(channel, json.dumps(envelope).encode())

    def publish_bytes(self, channel: str, message: bytes) -> None:
        """Publish whatever it is."""
        self.redis.publish(channel, message)
        self.turn()

    def connect(self, peer: str | None = LOCAL) -> Visitor:
        """Connect a client that has said nothing yet; None is a UNIX socket's peer."""
        return Visitor(self, peer)

    def get(self, target: str, method: str = "GET", **headers: str) -> Visitor:
        """Connect a client that makes one HTTP request; `_` in a header's name stands for `-`."""
        client = self.connect()
        client.request(target, method, **headers)
        return client

    def websocket(
        self, target: str = API, subprotocol: str | None = None, **headers: str
    ) -> Socket:
        """Connect a WebSocket client."""
        return Socket(self, target, subprotocol, headers)

    def metric(self, name: str, **labels: str) -> float | None:
        """Read one number."""
        return self.parts.metrics.registry.get_sample_value(name, labels)


class Wire(StringTransport):
    """A transport whose closing is noticed."""

    def __init__(self, clock: MemoryReactorClock, peer: str | None) -> None:
        address = UNIXAddress(None) if peer is None else IPv4Address("TCP", peer, 50000)
        super().__init__(peerAddress=address)
        self.closed = False
        self.lost = False
        self.protocol: Any = None
        self._clock = clock

    @override
    def loseConnection(self) -> None:
        self.disconnecting = True
        if not self.closed:
            self.closed = True
            self._clock.callLater(0, self.lose)

    abortConnection = loseConnection  # noqa: N815 # Twisted's

    @override
    def unregisterProducer(self) -> None:
        # Real transports do not mind if there is none.
        self.producer = None

    @override
    def resumeProducing(self) -> None:
        # Nor do they mind being asked for more when they are being closed.
        if not self.disconnecting:
            super().resumeProducing()

    def lose(self) -> None:
        """Tell the server that the connection is gone, once."""
        if not self.lost:
            self.lost = self.closed = True
            if self.producer is not None:
                self.producer.stopProducing()
                self.producer = None
            self.protocol.connectionLost(Failure(ConnectionDone()))


class Visitor:
    """One client's connection: what it sends, and what it has received so far."""

    def __init__(self, stage: Stage, peer: str | None = LOCAL) -> None:
        self.stage = stage
        self.wire = Wire(stage.clock, peer)
        self.wire.protocol = stage.parts.front.buildProtocol(self.wire.getPeer())
        self.wire.protocol.makeConnection(self.wire)

    @property
    def closed(self) -> bool:
        """Whether the server has closed the connection."""
        return self.wire.closed

    @property
    def raw(self) -> bytes:
        """All bytes that have come."""
        received: bytes = self.wire.value()
        return received

    def send(self, data: bytes) -> None:
        """Send bytes."""
        if not self.wire.lost:
            self.wire.protocol.dataReceived(data)
        self.stage.turn()

    def request(self, target: str, method: str = "GET", **headers: str) -> None:
        """Send an HTTP request."""
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join([*lines, "", ""]).encode())

    def hang_up(self) -> None:
        """Close the connection from the client's side."""
        self.wire.lose()
        self.stage.turn()

    @property
    def status(self) -> int:
        """The status of the response."""
        return int(self.raw.split(b" ", 2)[1])

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response, their names in lower case."""
        lines = self.raw.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    @property
    def body(self) -> bytes:
        """The body so far, out of its chunks."""
        body = self.raw.partition(b"\r\n\r\n")[2]
        if self.headers.get("transfer-encoding") != "chunked":
            return body
        whole = b""
        while body:
            size, _, rest = body.partition(b"\r\n")
            whole += rest[: int(size, 16)]
            body = rest[int(size, 16) + 2 :]
        return whole

    @property
    def ended(self) -> bool:
        """Whether the body has ended."""
        return self.raw.endswith(b"\r\n0\r\n\r\n")

    @property
    def events(self) -> list[tuple[str, str]]:
        """The events of an SSE response: name and data."""
        found = []
        for block in self.body.decode().split("\n\n"):
            lines = [line.split(": ", 1) for line in block.split("\n") if ": " in line]
            data = [value for name, value in lines if name == "data"]
            names = [value for name, value in lines if name == "event"]
            if data:
                found.append((names[0], "\n".join(data)))
        return found


class Socket(Visitor):
    """A WebSocket client, by the library `websockets`, without its input and output."""

    def __init__(
        self, stage: Stage, target: str, subprotocol: str | None, headers: dict[str, str]
    ) -> None:
        super().__init__(stage)
        subprotocols: Any = [subprotocol] if subprotocol else None
        self.protocol = ClientProtocol(
            parse_uri(f"ws://localhost{target}"), subprotocols=subprotocols
        )
        request = self.protocol.connect()
        for name, value in headers.items():
            request.headers[name.replace("_", "-")] = value
        self.protocol.send_request(request)
        self._read = 0
        self.frames: list[Frame] = []
        self.response: Response | None = None
        self._exchange()

    def say(self, message: object) -> None:
        """Send a text message: JSON, or a str as it is."""
        text = message if isinstance(message, str) else json.dumps(message)
        self.protocol.send_text(text.encode())
        self._exchange()

    def subscribe(self, stream: str, **parameters: object) -> None:
        """Subscribe to a stream."""
        self.say({"type": "subscribe", "stream": stream, **parameters})

    def unsubscribe(self, stream: str, **parameters: object) -> None:
        """Unsubscribe from a stream."""
        self.say({"type": "unsubscribe", "stream": stream, **parameters})

    @property
    def open(self) -> bool:
        """Whether the handshake has succeeded and nobody has begun to close."""
        self._exchange()
        return bool(self.response and self.response.status_code == 101 and self.close_code is None)

    @property
    def messages(self) -> list[Any]:
        """The messages that have come, as values."""
        self._exchange()
        return [
            json.loads(bytes(frame.data)) for frame in self.frames if frame.opcode is Opcode.TEXT
        ]

    @property
    def close_code(self) -> int | None:
        """The code that the server has closed with; 1005 stands for none."""
        self._exchange()
        received = self.protocol.close_rcvd
        return received.code if received else None

    def _exchange(self) -> None:
        """Send what the library wants to send, let it read what has come and answer that."""
        self.stage.turn()
        self._flush()
        new, self._read = self.raw[self._read :], len(self.raw)
        if new:
            self.protocol.receive_data(new)
        for event in self.protocol.events_received():
            if isinstance(event, Response):
                self.response = event
            elif isinstance(event, Frame):
                self.frames.append(event)
        self._flush()

    def _flush(self) -> None:
        for data in self.protocol.data_to_send():
            if data and not self.closed:
                self.send(data)


class StageTestCase(SynchronousTestCase):
    """A test with a server of its own."""

    def setUp(self) -> None:
        """Set the stage."""
        self.set_stage()

    def set_stage(self, limits: Limits = STANDARD, trusted_proxies: str = "loopback") -> None:
        """Set a stage where other limits hold."""
        before: Stage | None = getattr(self, "stage", None)
        if before:
            before.close()
        self.stage = Stage(limits, trusted_proxies)
        self.addCleanup(self.stage.close)

    def assert_nothing_left(self) -> None:
        """Make sure that nobody who came has left anything behind, and end the server."""
        stage = self.stage
        stage.turn()
        self.assertEqual(set(), stage.redis.channels())
        self.assertEqual(0, stage.metric("redis_subscriptions"))
        for family in stage.parts.metrics.registry.collect():
            if family.name in ("connected_clients", "connected_channels"):
                here = [(sample.name, sample.labels) for sample in family.samples if sample.value]
                self.assertEqual([], here)
        self.assertEqual(0, len(stage.part(Accounts)))
        self.assertEqual(0, len(stage.part(Rechecks)))
        self.assertEqual([], [*stage.parts.api.pings, *stage.parts.api.thumps])
        self.assertEqual(0, len(stage.part(Presence).items))
        self.assertEqual(0, stage.parts.api.backlog.total)
        stage.wait(10)  # for close handshakes that nobody answers
        admission = stage.parts.front.admission
        left = (admission.here, len(admission.addresses), len(admission.accounts))
        self.assertEqual((0, 0, 0), left)
        stage.close()
        self.assertEqual([], stage.clock.getDelayedCalls())
