"""
The listening sockets that outlive the workers.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.listeners import endpoints
from flodgatt_tx.workers.sockets import CannotListenError, Places, Sockets


def places(*descriptions: str, path: str | None = None) -> Places:
    """Say where to listen."""
    return lambda reactor: endpoints(reactor, descriptions, path, "127.0.0.1", 0)


class SocketsTests(SynchronousTestCase):
    """Opening, sharing and closing."""

    def setUp(self) -> None:
        """Have none yet."""
        self.sockets = Sockets()
        self.addCleanup(self.sockets.close)

    def doors(self, workers: int) -> list[list[tuple[int, int]]]:
        """Say for each worker on which places and descriptors it listens."""
        return [
            [(index, each.fileno()) for index, each in self.sockets.doors(worker, workers)]
            for worker in range(workers)
        ]

    def test_one_each(self) -> None:
        """Each worker has a socket of its own at the same address."""
        self.sockets.open(places(), 3)
        doors = self.doors(3)
        self.assertEqual([1, 1, 1], [len(each) for each in doors])
        self.assertEqual(3, len({descriptor for ((_, descriptor),) in doors}))
        addresses = {each.getsockname() for w in range(3) for _, each in self.sockets.doors(w, 3)}
        self.assertEqual(1, len(addresses))
        self.assertEqual([f"127.0.0.1:{addresses.pop()[1]}"], self.sockets.addresses())

    def test_fewer_and_more(self) -> None:
        """No socket is ever nobody's, and none is closed that may have clients in its queue."""
        self.sockets.open(places(), 4)
        before = {each for (each,) in self.doors(4)}
        self.sockets.open(places(), 2)
        self.assertEqual(before, {each for doors in self.doors(2) for each in doors})
        self.sockets.open(places(), 5)
        now = {each for doors in self.doors(5) for each in doors}
        self.assertEqual(5, len(now))
        self.assertTrue(before < now)

    def test_path(self) -> None:
        """All share a UNIX socket, and it is removed when they are done with it."""
        path = self.mktemp()
        self.sockets.open(places(path=path), 2)
        first, second = self.doors(2)
        self.assertEqual(first, second)
        self.assertEqual([path], self.sockets.addresses())
        self.sockets.open(places(), 2)
        self.assertTrue(os.path.exists(path))
        self.sockets.keep_only_these()
        self.assertFalse(os.path.exists(path))

    def test_taken(self) -> None:
        """An address that somebody has is refused, although sockets that share it could be had."""
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            other.bind(("127.0.0.1", 0))
            other.listen()
            taken = f"tcp:{other.getsockname()[1]}:interface=127.0.0.1"
            held = self.mktemp()
            self.sockets.open(places(path=held), 1)
            error = self.assertRaises(
                CannotListenError, self.sockets.open, places(f"unix:{self.mktemp()}", taken), 2
            )
        self.assertEqual(f"cannot listen on {taken}: Address already in use", str(error))
        self.assertEqual([held], self.sockets.addresses())

    def test_tls_and_wrapped(self) -> None:
        """Endpoints that wrap others open what those would."""
        self.sockets.open(places("haproxy:tcp:0:interface=127.0.0.1"), 2)
        self.assertEqual([1, 1], [len(each) for each in self.doors(2)])

    def test_systemd(self) -> None:
        """What systemd has opened is kept under its number."""
        with socket.socket() as opened:
            opened.bind(("127.0.0.1", 0))
            opened.listen()

            def adopted(reactor: Any) -> list[Any]:
                return [("systemd:x", _Adopted(reactor, opened.fileno()))]

            self.sockets.open(adopted, 2)
            self.sockets.open(adopted, 3)
            ((_, kept),) = self.sockets.doors(1, 2)
            self.assertEqual(opened.fileno(), kept.descriptor)  # type: ignore[attr-defined]
            self.assertNotEqual(opened.fileno(), kept.fileno())


class _Adopted:
    def __init__(self, reactor: Any, descriptor: int) -> None:
        self.reactor, self.descriptor = reactor, descriptor

    def listen(self, factory: Any) -> Any:
        """Listen as Twisted's endpoint for systemd does."""
        from twisted.internet.defer import execute

        return execute(self.reactor.adoptStreamPort, self.descriptor, socket.AF_INET, factory)
