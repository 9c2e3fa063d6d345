"""
The addresses that clients connect to.
"""

from __future__ import annotations

import os
import socket
import stat
from typing import Any, NoReturn

from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    UNIXServerEndpoint,
)
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import deferLater
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase, TestCase

from flodgatt_tx.edge.listeners import BACKLOG, Listeners, describe, endpoints


class GaveUpError(Exception):
    """An address could not be had."""


def give_up(message: str) -> NoReturn:
    """Fail."""
    raise GaveUpError(message)


class EndpointTests(SynchronousTestCase):
    """What the settings mean."""

    def test_kinds(self) -> None:
        """Descriptions come first, then the socket, then the address."""
        memory = MemoryReactorClock()
        for descriptions, path, bind, names, kind in (
            (("tcp:1", "tcp:2"), "/run/s", "::", ["tcp:1", "tcp:2"], TCP4ServerEndpoint),
            ((), "/run/s", "::", ["/run/s"], UNIXServerEndpoint),
            ((), None, "127.0.0.1", ["127.0.0.1:4000"], TCP4ServerEndpoint),
            ((), None, "::1", ["::1:4000"], TCP6ServerEndpoint),
        ):
            places = endpoints(memory, descriptions, path, bind, 4000)
            self.assertEqual(names, [name for name, _ in places])
            self.assertIsInstance(places[0][1], kind)

    def test_nonsense(self) -> None:
        """A description that is none is refused."""
        self.assertRaises(ValueError, endpoints, MemoryReactorClock(), ["moon:1"], None, "", 1)

    def test_descriptions(self) -> None:
        """Addresses are written as Node does."""
        for address, text in (
            (IPv4Address("TCP", "127.0.0.1", 4000), "127.0.0.1:4000"),
            (IPv6Address("TCP", "::1", 4000), "::1:4000"),
            (UNIXAddress("/run/s"), "/run/s"),
            (UNIXAddress(None), ""),
        ):
            self.assertEqual(text, describe(address))


class TcpTests(SynchronousTestCase):
    """Listening on ports, in memory."""

    def setUp(self) -> None:
        """Make a reactor."""
        self.reactor = MemoryReactorClock()
        self.factory = ServerFactory()

    def listeners(self, *places: Any) -> Listeners:
        """Make listeners."""
        return Listeners(self.reactor, places, self.factory, give_up)

    def test_listening(self) -> None:
        """It listens, with room for all who come back at once, and says so."""
        listeners = self.listeners(*endpoints(self.reactor, [], None, "127.0.0.1", 4000))
        with capturedLogs() as events:
            listeners.privilegedStartService()
            listeners.startService()
            self.reactor.run()
        self.assertEqual([(4000, self.factory, BACKLOG, "127.0.0.1")], self.reactor.tcpServers)
        self.assertEqual(["0.0.0.0:4000"], listeners.addresses())
        self.assertIn("Streaming API now listening on {address}", str(events))
        listeners.stopService()
        self.assertEqual([], listeners.addresses())

    def test_taken(self) -> None:
        """An address that cannot be had is a reason to give up, in plain words."""

        class Taken:
            def listen(self, factory: object) -> Deferred[Any]:
                taken: Deferred[Any] = Deferred()
                taken.errback(OSError(98, "Address already in use"))
                return taken

        listeners = self.listeners(("here", Taken()))
        error = self.assertRaises(GaveUpError, listeners.privilegedStartService)
        self.assertEqual("cannot listen on here: Address already in use", str(error))

    def test_trouble_at_the_end(self) -> None:
        """Trouble with a port that stops is logged."""

        class Port:
            def getHost(self) -> IPv4Address:  # noqa: N802 # Twisted's
                return IPv4Address("TCP", "::", 1)

            def stopListening(self) -> Deferred[Any]:  # noqa: N802 # Twisted's
                stopped: Deferred[Any] = Deferred()
                stopped.errback(ZeroDivisionError())
                return stopped

        class Here:
            def listen(self, factory: object) -> Deferred[Any]:
                listening: Deferred[Any] = Deferred()
                listening.callback(Port())
                return listening

        listeners = self.listeners(("here", Here()))
        listeners.privilegedStartService()
        listeners.stopService()
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))


class UnixTests(TestCase):
    """Listening on real sockets."""

    def setUp(self) -> None:
        """Choose a path, a short one, for the kernel wants it."""
        # Long paths are no sockets' names.
        self.path = os.path.relpath(self.mktemp())
        self.listeners = Listeners(
            reactor, endpoints(reactor, [], self.path, "", 0), ServerFactory(), give_up
        )

    def start(self) -> None:
        """Listen."""
        self.listeners.privilegedStartService()
        self.addCleanup(self.listeners.stopService)

    async def test_mode(self) -> None:
        """Everybody may connect, and the path is told."""
        self.start()
        self.assertEqual(0o666, stat.S_IMODE(os.stat(self.path).st_mode))
        self.assertEqual([self.path], self.listeners.addresses())
        self.listeners.stopService()
        await deferLater(reactor, 0)
        self.assertFalse(os.path.exists(self.path))

    def test_stale(self) -> None:
        """The socket of a server that is gone is replaced."""
        with socket.socket(socket.AF_UNIX) as gone:
            gone.bind(self.path)
            gone.listen()
        self.assertTrue(os.path.exists(self.path))
        self.start()
        self.assertEqual([self.path], self.listeners.addresses())

    def test_live(self) -> None:
        """The socket of a server that is not is left alone."""
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(self.path)
            other.listen()
            error = self.assertRaises(GaveUpError, self.start)
            self.assertIn("another server listens there", str(error))
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(self.path)

    def test_file(self) -> None:
        """A file that is no socket is left alone."""
        with open(self.path, "w") as file:
            file.write("precious")
        error = self.assertRaises(GaveUpError, self.start)
        self.assertIn("it is no socket", str(error))
        with open(self.path) as file:
            self.assertEqual("precious", file.read())

    def test_nowhere(self) -> None:
        """A folder that is not there is told in plain words."""
        path = os.path.join(self.path, "s")
        self.listeners = Listeners(
            reactor, endpoints(reactor, [], path, "", 0), ServerFactory(), give_up
        )
        error = self.assertRaises(GaveUpError, self.start)
        self.assertEqual(f"cannot listen on {path}: No such file or directory", str(error))
