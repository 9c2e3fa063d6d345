"""
Whose connection it is, where proxies stand between.

Each proxy appends to `X-Forwarded-For` who has connected to it. So the list is read from its right
end, where it is trustworthy, and what is left of somebody who is not trusted never counts: anybody
can write it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import chain

from flodgatt_tx.trusted_proxies import Network

# Half of an IPv6 address; who has one of them has all addresses that begin so.
_PREFIX_BYTES = 8
# Proxies behind each other that are looked through; who writes more is no proxy.
_MOST_PROXIES = 16
_LONGEST = 80  # characters of an address, with brackets, zone and port
_BRACKETED = re.compile(r"\[([^\]]*)\](?::[0-9]+)?")
_WITH_PORT = re.compile(r"([0-9.]+):[0-9]+")


def client_address(
    peer: str | None, forwarded: Iterable[str], trusted: Sequence[Network]
) -> bytes | None:
    """
    Find the first address that is no trusted proxy's: IPv4 whole, IPv6 as its first 64 bits.

    *peer* is who is connected, None for a UNIX socket, whose peer is trusted; *forwarded* are the
    values of `X-Forwarded-For`, in their order.

    :return: None where trusted proxies do not say who is behind them. Nobody can tell those
        clients apart, so they must not be counted as one.
    """
    entries = map(str.strip, ",".join(forwarded).rsplit(",", _MOST_PROXIES))
    for text in chain(() if peer is None else (peer,), reversed([*filter(None, entries)])):
        address = parse_address(text) if len(text) <= _LONGEST else None
        if address is None:
            return None
        if not any(address in network for network in trusted):
            is_long = isinstance(address, IPv6Address)
            return address.packed[:_PREFIX_BYTES] if is_long else address.packed
    return None


@lru_cache(maxsize=256)
def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """
    Read an address, also with a port, in brackets or with a zone; None if it is none.

    IPv4 that is written as IPv6 is IPv4.
    """
    if found := _BRACKETED.fullmatch(text) or _WITH_PORT.fullmatch(text):
        text = found[1]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
