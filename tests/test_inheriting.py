"""
Listening on sockets that somebody else has opened.
"""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ServerEndpoint, UNIXServerEndpoint
from twisted.internet.protocol import ServerFactory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.inheriting import InheritingReactor


class InheritingTests(SynchronousTestCase):
    """What belongs to somebody else stays theirs."""

    def listen(self, endpoint: Any) -> Any:
        """Listen there."""
        return self.successResultOf(endpoint.listen(ServerFactory()))

    def test_path(self) -> None:
        """A UNIX socket keeps its path, mode and queue, and goes on when we have stopped."""
        path = Path(self.mktemp())
        with socket.socket(socket.AF_UNIX) as theirs:
            theirs.bind(str(path))
            path.chmod(0o640)
            theirs.listen(7)
            inheriting = InheritingReactor(reactor, theirs.fileno())
            port = self.listen(UNIXServerEndpoint(inheriting, str(path)))
            self.assertFalse(os.get_blocking(theirs.fileno()))
            port.connectionLost(None)
            self.assertEqual(0o640, stat.S_IMODE(path.stat().st_mode))
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                theirs.accept()[0].close()

    def test_address(self) -> None:
        """A TCP socket is taken over as it is, whatever the endpoint says."""
        with socket.create_server(("127.0.0.1", 0)) as theirs:
            inheriting = InheritingReactor(reactor, theirs.fileno())
            port = self.listen(TCP4ServerEndpoint(inheriting, 1))
            self.assertEqual(theirs.getsockname()[1], port.getHost().port)
            port.connectionLost(None)
            with socket.create_connection(theirs.getsockname()):
                theirs.setblocking(True)
                theirs.accept()[0].close()

    def test_none(self) -> None:
        """Without an inheritance everything is as ever."""
        memory = MemoryReactorClock()
        inheriting = InheritingReactor(memory)
        self.listen(TCP4ServerEndpoint(inheriting, 4000))
        self.listen(UNIXServerEndpoint(inheriting, "/s"))
        self.assertEqual(4000, memory.tcpServers[0][0])
        self.assertEqual("/s", memory.unixServers[0][0])
        self.assertEqual(0, inheriting.seconds())
