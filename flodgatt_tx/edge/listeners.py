"""
The addresses that clients connect to.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from twisted.application.service import Service
from twisted.internet.abstract import isIPv6Address
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    UNIXServerEndpoint,
    serverFromString,
)
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override

# Clients all return in one second when a site restarts; Twisted's default of 50 would refuse them.
BACKLOG = 4096
SOCKET_MODE = 0o666  # nginx runs as somebody else
# Mastodon's own tests and other tools wait for this line.
ANNOUNCEMENT = "Streaming API now listening on {address}"

# What keeps strangers out, by the kind of endpoint.
_PRIVATE = {
    **dict.fromkeys(("tcp", "ssl", "tcp4"), ("interface", "127.0.0.1")),
    "tcp6": ("interface", "\\:\\:1"),
    "unix": ("mode", "600"),
}


def endpoints(
    reactor: Any, descriptions: Sequence[str], socket_path: str | None, bind: str, port: int
) -> list[tuple[str, IStreamServerEndpoint]]:
    """
    Say where to listen, each with its name for messages.

    Twisted's *descriptions* come first; a UNIX socket wins over an address and port.

    :raises ValueError: if a description is not one.
    """
    if descriptions:
        return [(each, serverFromString(reactor, _with_backlog(each))) for each in descriptions]
    if socket_path:
        endpoint = UNIXServerEndpoint(reactor, socket_path, BACKLOG, SOCKET_MODE, wantPID=False)
        return [(socket_path, endpoint)]
    kind = TCP6ServerEndpoint if isIPv6Address(bind) else TCP4ServerEndpoint
    return [(f"{bind}:{port}", kind(reactor, port, BACKLOG, bind))]


def admin_endpoints(
    reactor: Any, description: str | None
) -> list[tuple[str, IStreamServerEndpoint]]:
    """
    Say where administrators are served, which may be nowhere.

    Where nothing else is said, only this machine and, over a UNIX socket, this user gets there.

    :raises ValueError: if the description is not one of an endpoint.
    """
    if not description:
        return []
    kind = description.partition(":")[0]
    option, value = _PRIVATE.get(kind, ("", ""))
    private = "" if f":{option}=" in description else f":{option}={value}"
    return [(description, serverFromString(reactor, description + private))]


def _with_backlog(description: str) -> str:
    if "backlog=" in description or not description.startswith(("tcp", "unix:", "ssl:")):
        return description
    return f"{description}:backlog={BACKLOG}"


class Listeners(Service):
    """
    Listens for as long as the service runs, from before privileges are shed.

    *fail* is called with a message if an address cannot be had; it must not return. Each address
    is announced in the log, in the words of *announcement*.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        places: Sequence[tuple[str, IStreamServerEndpoint]],
        factory: ServerFactory,
        fail: Callable[[str], NoReturn],
        announcement: str = ANNOUNCEMENT,
    ) -> None:
        self._announcement = announcement
        self._inherited = False
        self._reactor = reactor
        self._places = places
        self._factory = factory
        self._fail = fail
        self._ports: list[IListeningPort] = []

    @override
    def privilegedStartService(self) -> None:
        for name, endpoint in self._places:
            is_path = isinstance(endpoint, UNIXServerEndpoint) and not self._inherited
            if is_path and (problem := make_way(name)):
                self._fail(f"cannot listen on {name}: {problem}")
            refused: list[Failure] = []
            endpoint.listen(self._factory).addCallbacks(self._listening, refused.append)
            # Not in a callback: a Deferred would keep to itself what ends the process.
            if refused:
                self._not_listening(refused[0], name)

    @override
    def stopService(self) -> None:
        Service.stopService(self)
        self.stop_listening()

    def stop_listening(self) -> None:
        """Let nobody in any more; who is in stays."""
        ports, self._ports = self._ports, []
        for port in ports:
            stopped = port.stopListening()
            if isinstance(stopped, Deferred):
                stopped.addErrback(lambda failure: self._log.failure("stopping", failure))

    def inherit(self) -> None:
        """Take the places for somebody else's, who sees to them."""
        self._inherited = True

    def addresses(self) -> list[str]:
        """Where clients can connect now: `HOST:PORT`, or the path of a socket."""
        return [describe(port.getHost()) for port in self._ports]

    def _listening(self, port: IListeningPort) -> None:
        self._ports.append(port)
        self._reactor.callWhenRunning(self._announce, describe(port.getHost()))

    def _announce(self, address: str) -> None:
        if not self._inherited:
            self._log.info(self._announcement, address=address)

    def _not_listening(self, failure: Failure, name: str) -> None:
        reason = getattr(failure.value, "socketError", failure.value)
        self._fail(f"cannot listen on {name}: {getattr(reason, 'strerror', None) or reason}")


def make_way(path: str) -> str | None:
    """
    Remove the UNIX socket of a server that is gone.

    What must not be removed stays, and the answer says why it is in the way.
    """
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return "it is there, and it is no socket"
    except FileNotFoundError:
        return None
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        answer = probe.connect_ex(path)
    if answer == errno.ECONNREFUSED:
        os.unlink(path)
        return None
    if answer in (0, errno.EAGAIN):
        return "another server listens there"
    return os.strerror(answer)


def describe(address: Any) -> str:
    """Write an address as Node does."""
    if isinstance(address, UNIXAddress):
        return os.fsdecode(address.name or b"")
    return f"{address.host}:{address.port}"
