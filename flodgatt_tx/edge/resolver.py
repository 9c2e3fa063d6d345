"""
Host names to addresses, without blocking the reactor.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IHostResolution, IResolutionReceiver
from zope.interface import implementer


@implementer(IResolutionReceiver)
class _Addresses:
    """Gathers what the reactor's resolver finds."""

    def __init__(self) -> None:
        self._found: list[str] = []
        self.complete: Deferred[list[str]] = Deferred()

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:  # noqa: N802, N803 # Twisted's
        pass

    def addressResolved(self, address: IAddress) -> None:  # noqa: N802 # Twisted's
        host = getattr(address, "host", None)
        if host and host not in self._found:
            self._found.append(host)

    def resolutionComplete(self) -> None:  # noqa: N802 # Twisted's
        self.complete.callback(self._found)


def resolve(reactor: Any, host: str) -> Deferred[list[str]]:
    """Find the addresses of *host*, IPv4 and IPv6; an empty list if it has none."""
    addresses = _Addresses()
    if isIPAddress(host) or isIPv6Address(host):
        addresses.complete.callback([host])
    else:
        reactor.nameResolver.resolveHostName(addresses, host)
    return addresses.complete
