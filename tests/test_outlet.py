"""
The way out to clients that read, that read slowly, and that do not read at all.
"""

from __future__ import annotations

import errno
import socket
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Server
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.outlet import MOST_UNSENT, Backlog, Outlet, SocketOutlet, open_outlet
from tests.stage import API, StageTestCase, Visitor

FRAME = b"x" * 4096


class Reactor:
    """Remembers who wants to write, as a reactor does, and lets them when it is told to."""

    def __init__(self) -> None:
        self.writers: set[Any] = set()

    def addReader(self, reader: Any) -> None:  # noqa: N802 # Twisted's
        """Twisted's."""

    removeReader = addReader  # noqa: N815 # Twisted's

    def addWriter(self, writer: Any) -> None:  # noqa: N802 # Twisted's
        """Twisted's."""
        self.writers.add(writer)

    def removeWriter(self, writer: Any) -> None:  # noqa: N802 # Twisted's
        """Twisted's."""
        self.writers.discard(writer)

    def turn(self) -> None:
        """Let everybody write who wants to."""
        for writer in list(self.writers):
            if lost := writer.doWrite():
                self.writers.discard(writer)
                writer.connectionLost(Failure(lost))


class Wires:
    """A real socket with Twisted's transport on it, and its other end."""

    def __init__(self) -> None:
        ours, self.client = socket.socketpair()
        self.client.setblocking(False)
        self.reactor = Reactor()
        self.lost: list[Failure] = []
        protocol = Protocol()
        protocol.connectionLost = self.lost.append  # type: ignore[method-assign,assignment]
        server: Any = Server
        self.transport = server(ours, protocol, ("127.0.0.1", 1), None, 0, self.reactor)
        self.transport.connected = True
        self.received = b""

    def read(self) -> bytes:
        """Read, and let the server write, until there is no more."""
        for _ in range(1000):
            try:
                data = self.client.recv(1 << 20)
            except BlockingIOError:
                if not self.reactor.writers:
                    break
                self.reactor.turn()
            else:
                if not data:
                    break
                self.received += data
        return self.received


class SocketOutletTests(SynchronousTestCase):
    """Straight to a socket."""

    def setUp(self) -> None:
        """Make an outlet on a socket."""
        self.wires = Wires()
        self.addCleanup(self.wires.client.close)
        self.backlog = Backlog()
        self.overflows = 0
        self.outlet = open_outlet(self.wires.transport, self.backlog, self._overflow)

    def _overflow(self, cause: str) -> None:
        self.overflows += 1
        self.cause = cause

    def fill(self) -> list[bytes]:
        """Send until the transport has enough; return what was sent."""
        sent: list[bytes] = []
        while not self.outlet.blocked:
            sent.append(b"%08d" % len(sent) + FRAME)
            self.outlet.send(sent[-1])
        return sent

    def test_kind(self) -> None:
        """It is used for plain connections only; TLS and others write by themselves."""
        self.assertIs(SocketOutlet, type(self.outlet))
        self.patch(self.wires.transport, "TLS", True)
        self.patch(self.wires.transport, "registerProducer", lambda *arguments: None)
        for transport in (StringTransport(), self.wires.transport):
            self.assertIs(Outlet, type(open_outlet(transport, self.backlog, self._overflow)))

    def test_private_names(self) -> None:
        """Twisted still has what we look at."""
        for name in (
            "_tempDataLen",
            "_writeDisconnected",
            "_writeDisconnecting",
            "connected",
            "dataBuffer",
            "disconnecting",
            "socket",
        ):
            self.assertTrue(hasattr(self.wires.transport, name), name)
        self.wires.transport.write(b"x")
        self.assertEqual(1, self.wires.transport._tempDataLen)

    def test_at_once(self) -> None:
        """What is sent has left when `send` returns; the reactor has nothing to do with it."""
        self.outlet.send(b"one")
        self.outlet.send(b"two")
        self.assertEqual(b"onetwo", self.wires.client.recv(100))
        self.assertEqual(set(), self.wires.reactor.writers)

    def test_behind(self) -> None:
        """It goes behind what the transport still has to write."""
        self.wires.transport.write(b"first ")
        self.outlet.send(b"second ")
        self.wires.reactor.turn()
        self.outlet.send(b"third")
        self.assertEqual(b"first second third", self.wires.read())

    def test_partly(self) -> None:
        """Whatever part of a frame the socket takes, the client reads all, in order."""
        sent = self.fill()
        for _ in range(20):
            sent.append(b"late" + FRAME)
            self.outlet.send(sent[-1])
        self.assertEqual(20 * (4 + len(FRAME)), self.backlog.total)
        self.assertEqual(b"".join(sent), self.wires.read())
        self.assertEqual((0, False), (self.backlog.total, self.outlet.blocked))
        self.outlet.send(b"again")
        self.assertEqual(b"again", self.wires.client.recv(100))

    def test_broken(self) -> None:
        """A connection that breaks is left to the reactor."""
        self.wires.client.close()
        self.outlet.send(b"1")
        self.outlet.send(b"2")
        self.assertEqual([], self.wires.lost)
        self.wires.reactor.turn()
        self.assertEqual(1, len(self.wires.lost))
        self.outlet.send(b"3")
        self.assertEqual(set(), self.wires.reactor.writers)

    def test_interrupted(self) -> None:
        """So is any other trouble with the socket."""

        class Troubled:
            """A socket that does not work."""

            def send(self, data: bytes) -> int:
                """Fail."""
                raise OSError(errno.ENOBUFS, "no buffers")

        whole, self.wires.transport.socket = self.wires.transport.socket, Troubled()
        self.outlet.send(b"1")
        self.wires.transport.socket = whole
        self.outlet.send(b"2")
        self.assertEqual(b"12", self.wires.read())

    def test_closing(self) -> None:
        """On a connection that is closing nothing overtakes what was written before."""
        self.wires.transport.write(b"last words")
        self.wires.transport.loseConnection()
        self.outlet.send(b"!")
        self.assertEqual(b"last words!", self.wires.read())
        self.assertEqual(1, len(self.wires.lost))

    def test_closing_while_blocked(self) -> None:
        """A connection that is closed while its client does not read closes when it has read."""
        sent = self.fill()
        self.wires.transport.loseConnection()
        self.assertEqual(b"".join(sent), self.wires.read())
        self.assertTrue(self.wires.lost[0].check(ConnectionDone))

    def test_closed(self) -> None:
        """Who closes the outlet drops what waits in it, and the connection can end."""
        sent = self.fill()
        self.outlet.send(b"not sent")
        self.outlet.close()
        self.outlet.send(b"not even queued")
        self.wires.transport.write(b"the end")
        self.wires.transport.loseConnection()
        self.assertEqual(b"".join(sent) + b"the end", self.wires.read())
        self.assertEqual((0, 0, 1), (self.backlog.total, self.overflows, len(self.wires.lost)))


class OutletTests(SynchronousTestCase):
    """What is written, what waits, and what is given up."""

    def setUp(self) -> None:
        """Make an outlet."""
        self.overflows = 0
        self.wire = StringTransport()
        self.backlog = Backlog()
        self.outlet = self.make()

    def make(self) -> Outlet:
        """Make an outlet."""
        return Outlet(self.wire, self.backlog, self._overflow)

    def _overflow(self, cause: str) -> None:
        self.overflows += 1
        self.cause = cause

    def written(self) -> int:
        """Count the bytes that were written since this was asked last."""
        count = len(self.wire.value())
        self.wire.clear()
        return count

    def test_flowing(self) -> None:
        """To who reads, any amount may be written."""
        for _ in range(5):
            self.outlet.send(b"x" * MOST_UNSENT)
        self.assertEqual((5 * MOST_UNSENT, 0), (self.written(), self.overflows))

    def test_blocked(self) -> None:
        """What waits for who does not read is bounded; beyond that they are given up, once."""
        self.outlet.pauseProducing()
        self.outlet.send(b"x" * MOST_UNSENT)
        self.assertEqual((0, 0, MOST_UNSENT), (self.written(), self.overflows, self.backlog.total))
        self.outlet.send(b"x")
        self.outlet.send(b"x")
        self.assertEqual((0, 1, 0), (self.written(), self.overflows, self.backlog.total))
        self.assertEqual("slow", self.cause)

    def test_all_together(self) -> None:
        """What waits for all together is bounded too: who adds to it then is given up."""
        self.backlog = Backlog(most=100, most_total=250)
        outlets = [self.make() for _ in range(3)]
        for outlet in outlets:
            outlet.pauseProducing()
            outlet.send(b"x" * 100)
        self.assertEqual((1, 200), (self.overflows, self.backlog.total))
        self.assertEqual(("crowded", 2), (self.cause, self.backlog.clients))
        outlets[0].stopProducing()
        self.assertEqual(100, self.backlog.total)

    def test_no_bounds(self) -> None:
        """There need not be any."""
        self.backlog = Backlog(most=0, most_total=0)
        outlet = self.make()
        outlet.pauseProducing()
        outlet.send(b"x" * 2 * MOST_UNSENT)
        self.assertEqual(0, self.overflows)

    def test_catching_up(self) -> None:
        """Who reads again is sent what waited, as far as there is room for it."""
        for _ in range(3):
            self.outlet.pauseProducing()
            for _ in range(3):
                self.outlet.send(b"x" * (MOST_UNSENT // 3))
            self.outlet.resumeProducing()
            self.assertEqual(MOST_UNSENT // 3 * 3, self.written())
        self.assertEqual((0, 0), (self.overflows, self.backlog.total))

    def test_blocked_again(self) -> None:
        """If that is soon too much again, the rest goes on waiting."""
        self.outlet.pauseProducing()
        for _ in range(3):
            self.outlet.send(b"xy")
        write = self.wire.write

        def write_one(data: bytes) -> None:
            write(data)
            self.outlet.pauseProducing()

        self.patch(self.wire, "write", write_one)
        self.outlet.resumeProducing()
        self.assertEqual((2, 4), (self.written(), self.backlog.total))
        self.outlet.resumeProducing()
        self.outlet.resumeProducing()
        self.assertEqual((4, 0), (self.written(), self.backlog.total))


class SlowReaderTests(StageTestCase):
    """Clients of both kinds that stop reading."""

    def both(self) -> dict[str, Visitor]:
        """One client of each kind, whose transports have enough."""
        clients: dict[str, Visitor] = {
            "websocket": self.stage.websocket(f"{API}?access_token=ann&stream=user"),
            "eventsource": self.stage.get(f"{API}/user?access_token=ann"),
        }
        for client in clients.values():
            transport: Any = client.wire
            transport.producer.pauseProducing()
        return clients

    def test_dropped(self) -> None:
        """They are told, cut off and counted when too much waits for them."""
        clients = self.both()
        self.stage.publish("timeline:1", "big", "x" * (MOST_UNSENT - 1000))
        before = {client: client.raw for client in clients.values()}
        self.stage.publish("timeline:1", "big", "x" * 2000)
        ends = {client.raw.removeprefix(before[client]) for client in clients.values()}
        self.assertEqual({b"\x88\x02\x03\xf5", b"0\r\n\r\n"}, ends)
        self.stage.publish("timeline:1", "big", "x" * 2000)
        self.stage.wait(6)
        for transport, client in clients.items():
            self.assertTrue(client.closed)
            dropped = self.stage.metric("readers_dropped_total", type=transport, reason="slow")
            self.assertEqual(1, dropped, transport)
            client.hang_up()
        self.assertEqual(0, self.stage.parts.api.backlog.total)
        self.assert_nothing_left()

    def test_closing(self) -> None:
        """A client that closes, or is closed, while it does not read leaves nothing behind."""
        for end in ("client", "binary", "shutdown"):
            socket = self.stage.websocket(f"{API}?access_token=ann&stream=user")
            transport: Any = socket.wire
            transport.producer.pauseProducing()
            self.stage.publish("timeline:1", "delete", "1")
            outlet = transport.producer
            if end == "client":
                socket.protocol.send_close(1000)
            elif end == "binary":
                socket.protocol.send_binary(b"x")
            else:
                socket.wire.protocol.go_away()
            self.assertIsNotNone(socket.close_code)
            outlet.resumeProducing()
            self.assertEqual([], socket.messages)
            self.stage.wait(6)
        self.assert_nothing_left()

    def test_pings(self) -> None:
        """Who asks without reading the answers gets none."""
        socket = self.stage.websocket(f"{API}?access_token=ann")
        transport: Any = socket.wire
        transport.producer.pauseProducing()
        before = socket.raw
        socket.protocol.send_ping(b"1")
        _ = socket.open
        self.assertEqual(before, socket.raw)
        transport.producer.resumeProducing()
        socket.protocol.send_ping(b"2")
        _ = socket.open
        self.assertEqual(before + b"\x8a\x012", socket.raw)

    def test_ending_unread(self) -> None:
        """A stream that has ended says nothing more, and its connection ends, read or not."""
        client = self.stage.get(f"{API}/user?access_token=ann")
        self.patch(client.wire, "loseConnection", lambda: None)
        self.stage.publish("timeline:system:1", "kill")
        said = client.raw
        self.assertTrue(client.ended)
        self.stage.wait(4)
        self.assertFalse(client.closed)
        self.stage.wait(30)
        self.assertTrue(client.closed)
        self.assertEqual(said, client.raw)
        self.assert_nothing_left()

    def test_killed(self) -> None:
        """A kill cuts them off: nothing that waits is for them any more."""
        for client in self.both().values():
            before = client.raw
            self.stage.publish("timeline:1", "delete", "1")
            self.stage.publish("timeline:system:1", "kill")
            self.assertTrue(client.closed)
            self.assertEqual(before, client.raw)
