"""
The server that is tested: where it is, and that it may be.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
    wrapClientTLS,
)
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS

_TLS = ("https", "wss", "rediss")
_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443, "redis": 6379, "rediss": 6379}
TIMEOUT = 30  # seconds to connect


class TargetError(ValueError):
    """A server cannot be tested, for the reason that it tells."""


@dataclass(frozen=True, slots=True)
class Target:
    """
    A server: the *host* that it is asked for as, and the *address* that is connected to.

    Without a *port* the address is the path of a UNIX socket. What is before the API's path, if a
    proxy has put something there, is *prefix*.
    """

    host: str
    address: str
    port: int | None
    tls: bool = False
    prefix: str = ""

    @property
    def authority(self) -> str:
        """What is in the `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    def endpoint(self, reactor: Any) -> IStreamClientEndpoint:
        """Make the way there."""
        if self.port is None:
            return UNIXClientEndpoint(reactor, self.address, TIMEOUT)
        kind = TCP6ClientEndpoint if ":" in self.address else TCP4ClientEndpoint
        endpoint = kind(reactor, self.address, self.port, TIMEOUT)
        return wrapClientTLS(optionsForClientTLS(self.host), endpoint) if self.tls else endpoint


def find_target(url: str, is_owner: bool) -> Target:
    """
    Find the server at a *url*: `http(s)://`, `ws(s)://`, `redis(s)://` or `unix:` and a path.

    Its name is looked up once, and that address connected to, so that what was allowed is what is
    tested.

    :raises TargetError: if it is not on this machine and not its *owner's*, or cannot be found.
    """
    if url.startswith("unix:"):
        return Target("localhost", url.removeprefix("unix:"), None)
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        raise TargetError("expected http://, https://, ws://, wss:// or unix:PATH") from None
    if not parts.hostname:
        raise TargetError("the URL names no host")
    address = _address(parts.hostname, port, is_owner)
    return Target(parts.hostname, address, port, parts.scheme in _TLS, parts.path.rstrip("/"))


def _address(host: str, port: int, is_owner: bool) -> str:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise TargetError(f"{host}: {error.strerror}") from None
    addresses = [str(each[4][0]) for each in found]
    if not is_owner and not all(ip_address(each).is_loopback for each in addresses):
        raise TargetError(
            f"{host} is not this machine. Load tests of others' servers are attacks; "
            "if it is yours, say --i-own-this-server"
        )
    return addresses[0]
