"""
The listening sockets of a server, which outlive its workers.

One shared TCP socket spreads connections badly, for whoever wakes first takes them; one for each
worker at the same address (SO_REUSEPORT) is even. All of them belong to the parent and are
inherited by who takes a worker's place, so that nobody who waits in one of their queues is lost
with a worker.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import ServerFactory

from flodgatt_tx.edge.listeners import make_way

Place = tuple[str, IStreamServerEndpoint]
Places = Callable[[Any], Sequence[Place]]


class CannotListenError(Exception):
    """An address cannot be had, for the reason that it tells."""


class Sockets:
    """
    Sockets by the name of their place, as many for each as there are workers.

    A UNIX socket and one that systemd has opened cannot be had twice: the workers share it.
    """

    def __init__(self) -> None:
        self._held: dict[str, list[socket.socket]] = {}
        self._order: list[str] = []

    def open(self, places: Places, count: int) -> None:
        """
        Hold *count* sockets for each of the *places*, which are made with a reactor.

        What is held already stays, and what is held for other places, until `keep_only_these`.

        :raises CannotListenError: and then all is as it was before.
        """
        binder = Binder(count)
        opened: dict[str, list[socket.socket]] = {}
        found = list(places(binder))
        try:
            for name, endpoint in found:
                held = self._held.get(name, [])
                opened[name] = _listen(binder, name, endpoint, held)
        except CannotListenError:
            _close(each for sockets in opened.values() for each in sockets)
            raise
        for name, sockets in opened.items():
            self._held.setdefault(name, []).extend(sockets)
        self._order = [name for name, _ in found]

    def keep_only_these(self) -> None:
        """Close what is held for places that were not named when `open` was called last."""
        for name in set(self._held) - set(self._order):
            _close(self._held.pop(name))

    def doors(self, worker: int, workers: int) -> list[tuple[int, socket.socket]]:
        """
        Say on which sockets a *worker* (from 0) of so many *workers* listens: place and socket.

        None of them is nobody's, even if there were more workers once.
        """
        return [
            (index, each)
            for index, name in enumerate(self._order)
            for number, each in enumerate(self._held[name])
            if len(self._held[name]) == 1 or number % workers == worker
        ]

    def addresses(self) -> list[str]:
        """Where clients can connect: `HOST:PORT`, or the path of a UNIX socket."""
        return [_describe(self._held[name][0]) for name in self._order]

    def close(self) -> None:
        """Close all; remove the UNIX sockets that were made here."""
        for sockets in self._held.values():
            _close(sockets)
        self._held.clear()
        self._order = []


class Binder:
    """
    Stands in for a reactor: what an endpoint would listen on, it opens.

    *sockets* are the results of the last; those that were *held* before tell where.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self.held: Sequence[socket.socket] = ()
        self.sockets: list[socket.socket] = []

    def listenTCP(  # noqa: N802 # Twisted's
        self, port: int, factory: object, backlog: int = 50, interface: str = ""
    ) -> None:
        """Open what is missing of so many sockets at one address."""
        family = socket.AF_INET6 if ":" in interface else socket.AF_INET
        held = self.held[0].getsockname()[1] if self.held else None
        port = held or _free_port(family, interface, port)
        for _ in range(self._count - len(self.held)):
            each = socket.socket(family)
            self.sockets.append(each)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            each.bind((interface, port))
            each.listen(backlog)
            port = each.getsockname()[1]

    def listenSSL(  # noqa: N802 # Twisted's
        self,
        port: int,
        factory: object,
        contextFactory: object,  # noqa: N803 # Twisted's
        backlog: int = 50,
        interface: str = "",
    ) -> None:
        """Open sockets; their workers see to TLS."""
        self.listenTCP(port, factory, backlog, interface)

    def listenUNIX(  # noqa: N802 # Twisted's
        self,
        address: str,
        factory: object,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: bool = False,  # noqa: N803 # Twisted's
    ) -> None:
        """Open the one socket with this path."""
        if self.held:
            return
        path = os.fsdecode(address)
        if problem := make_way(path):
            raise CannotListenError(problem)
        each = _OwnUNIXSocket(socket.AF_UNIX)
        self.sockets.append(each)
        each.bind(path)
        os.chmod(path, mode)
        each.listen(backlog)

    def adoptStreamPort(self, descriptor: int, family: int, factory: object) -> None:  # noqa: N802 # Twisted's
        """Keep one of systemd's, and its number."""
        each = SystemdSocket(fileno=socket.dup(descriptor))
        each.descriptor = descriptor
        self.sockets.append(each)


class SystemdSocket(socket.socket):
    """One that systemd has opened; workers find it under the same number, its *descriptor*."""

    descriptor: int


class _OwnUNIXSocket(socket.socket):
    """A UNIX socket that was made here, and is removed here."""


def _listen(
    binder: Binder, name: str, endpoint: IStreamServerEndpoint, held: Sequence[socket.socket]
) -> list[socket.socket]:
    binder.held, binder.sockets = held, []
    if held and isinstance(held[0], SystemdSocket):
        return []  # systemd gives each once
    problems: list[Any] = []
    listening: Deferred[Any] = endpoint.listen(ServerFactory())
    listening.addErrback(problems.append)
    if problems:
        _close(binder.sockets)
        reason = problems[0].value
        what = getattr(reason, "strerror", None) or reason
        raise CannotListenError(f"cannot listen on {name}: {what}")
    return binder.sockets


def _free_port(family: int, interface: str, port: int) -> int:
    """Make sure that nobody else listens there: sockets that share a port would not notice."""
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((interface, port))
        probe.listen()
        return int(probe.getsockname()[1])


def _close(sockets: Any) -> None:
    for each in sockets:
        if isinstance(each, _OwnUNIXSocket):
            path = each.getsockname()
            if path and os.path.exists(path):
                os.unlink(path)
        each.close()


def _describe(each: socket.socket) -> str:
    if each.family == socket.AF_UNIX:
        return os.fsdecode(UNIXAddress(each.getsockname() or b"").name or b"")
    host, port = each.getsockname()[:2]
    return f"{host}:{port}"
