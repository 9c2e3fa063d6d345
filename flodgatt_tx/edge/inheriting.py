"""
Listening on sockets that somebody else has opened, and keeps when we leave.

Twisted's own way takes a UNIX socket for its own: it would set its mode, shorten its queue, shut it
down for everybody and remove it from the folder.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import ServerFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from typing_extensions import override


class InheritedUNIXPort(unix.Port):
    """A UNIX socket that belongs to somebody else."""

    # Never for all who share it.
    _shouldShutdown = False  # noqa: N815 # Twisted's

    @override
    def startListening(self) -> None:
        port: Any = self  # its attributes are not typed
        port.factory.doStart()
        port.socket, port._preexistingSocket = port._preexistingSocket, None
        port.fileno = port.socket.fileno
        port.connected = True
        port.numberAccepts = 100
        port.startReading()

    @override
    def connectionLost(self, reason: Any) -> None:
        tcp.Port.connectionLost(self, reason)


class InheritingReactor:
    """
    A reactor to which listening means to take over the socket *descriptor*.

    Endpoints of all kinds, and those that wrap others, can be used with it. Without a *descriptor*
    they listen as ever, and those for systemd's sockets leave them to systemd.
    """

    def __init__(self, reactor: Any, descriptor: int | None = None) -> None:
        self._reactor = reactor
        self._descriptor = descriptor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(  # noqa: N802 # Twisted's
        self, port: int, factory: ServerFactory, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """Listen on what was inherited; its address was settled when it was opened."""
        if self._descriptor is None:
            return self._reactor.listenTCP(port, factory, backlog, interface)  # type: ignore[no-any-return]
        return self._adopt(self._descriptor, factory)

    def listenSSL(  # noqa: N802 # Twisted's
        self,
        port: int,
        factory: ServerFactory,
        contextFactory: Any,  # noqa: N803 # Twisted's
        backlog: int = 50,
        interface: str = "",
    ) -> IListeningPort:
        """Listen for TLS."""
        wrapped: Any = TLSMemoryBIOFactory(contextFactory, False, factory)
        return self.listenTCP(port, wrapped, backlog, interface)

    def listenUNIX(  # noqa: N802 # Twisted's
        self,
        address: str,
        factory: ServerFactory,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: bool = False,  # noqa: N803 # Twisted's
    ) -> IListeningPort:
        """Listen on what was inherited, which has its place and its mode."""
        if self._descriptor is None:
            return self._reactor.listenUNIX(address, factory, backlog, mode, wantPID)  # type: ignore[no-any-return]
        return self._adopt(self._descriptor, factory)

    def adoptStreamPort(  # noqa: N802 # Twisted's
        self, descriptor: int, family: int, factory: ServerFactory
    ) -> IListeningPort:
        """Listen on one of systemd's."""
        return self._adopt(descriptor, factory, family)

    def _adopt(
        self, descriptor: int, factory: ServerFactory, family: int | None = None
    ) -> IListeningPort:
        os.set_blocking(descriptor, False)
        if family is None:
            with socket.socket(fileno=socket.dup(descriptor)) as inherited:
                family = inherited.family
        if family != socket.AF_UNIX:
            return self._reactor.adoptStreamPort(descriptor, family, factory)  # type: ignore[no-any-return]
        port: Any = InheritedUNIXPort._fromListeningDescriptor(self._reactor, descriptor, factory)  # type: ignore[no-untyped-call]
        port.startListening()
        return port  # type: ignore[no-any-return]
