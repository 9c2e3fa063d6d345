"""
Whose `X-Forwarded-For` is believed: `TRUSTED_PROXY_IP`, in the words of Node's proxy-addr.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network

from flodgatt_tx.lookup import Lookup

Network = IPv4Network | IPv6Network

_MAPPED = 96  # bits before an IPv4 address that is written as IPv6
# https://github.com/jshttp/proxy-addr
_RANGES = {
    "loopback": ("127.0.0.0/8", "::1/128"),
    "linklocal": ("169.254.0.0/16", "fe80::/10"),
    "uniquelocal": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
}


def read(lookup: Lookup) -> tuple[Network, ...]:
    """Read the networks, separated by commas or spaces; a mistake is left with *lookup*."""
    text = lookup.text("TRUSTED_PROXY_IP", default="loopback,uniquelocal")
    words = [word for word in re.split(r"[\s,]+", text) if word]
    try:
        return tuple(_network(entry) for word in words for entry in _RANGES.get(word, (word,)))
    except ValueError:
        expected = f"expected IP addresses, networks, or {', '.join(_RANGES)}"
        lookup.refuse(["TRUSTED_PROXY_IP"], expected)
        return ()


def _network(text: str) -> Network:
    network = ip_network(text, strict=False)
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED:
        # Who comes over IPv4 is also written ::ffff:192.0.2.1.
        mapped = network.network_address.ipv4_mapped
        return IPv4Network((mapped, network.prefixlen - _MAPPED)) if mapped else network
    return network
