"""
Whose connection it is.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.client_address import client_address, parse_address
from flodgatt_tx.settings import Layer, load
from tests.properties import FEW

TRUSTED = load([Layer("test", {})]).trusted_proxies  # loopback and uniquelocal
CLIENT = "203.0.113.5"
V6 = "2001:db8:1:2:3:4:5:6"
_ADDRESSES = some.ip_addresses().map(str)
_UNTRUSTED = _ADDRESSES.filter(
    lambda text: not any((parse_address(text) or IPv4Address(0)) in each for each in TRUSTED)
)
_TRUSTED = some.sampled_from(["127.0.0.1", "::1", "10.1.2.3", "192.168.0.9:77", "[fd00::1]:5"])
_ANYTHING = some.one_of(_ADDRESSES, _TRUSTED, some.text(max_size=12))


def packed(text: str | None) -> bytes | None:
    """What an address is counted as."""
    if text is None:
        return None
    address = ip_address(text)
    return address.packed[:8] if isinstance(address, IPv6Address) else address.packed


class ClientAddressTests(SynchronousTestCase):
    """The list of proxies is walked from its trustworthy end."""

    def test_table(self) -> None:
        """The first who is no trusted proxy is the client; where none is named, there is none."""
        table: list[tuple[str | None, list[str], str | None]] = [
            # Nobody trusted: what is said does not count.
            (CLIENT, [], CLIENT),
            (CLIENT, ["198.51.100.1"], CLIENT),
            (CLIENT, ["nonsense"], CLIENT),
            (V6, ["198.51.100.1"], V6),
            # A trusted proxy.
            ("127.0.0.1", [CLIENT], CLIENT),
            ("::1", [CLIENT], CLIENT),
            (None, [CLIENT], CLIENT),
            ("::ffff:127.0.0.1", [CLIENT], CLIENT),
            ("fd00::1%eth0", [CLIENT], CLIENT),
            ("127.0.0.1", [V6], V6),
            # Several of them, and lists in one header or several.
            ("127.0.0.1", [f"{CLIENT}, 10.0.0.1"], CLIENT),
            ("127.0.0.1", [CLIENT, "10.0.0.1"], CLIENT),
            ("127.0.0.1", [f"  {CLIENT}\t,10.0.0.1 ,, "], CLIENT),
            # Spoofing: what is left of somebody who is not trusted.
            ("127.0.0.1", [f"198.51.100.1, {CLIENT}"], CLIENT),
            ("127.0.0.1", ["198.51.100.1", CLIENT], CLIENT),
            ("127.0.0.1", [f"127.0.0.1, {CLIENT}, 10.0.0.1"], CLIENT),
            # Proxies that do not say for whom they ask.
            ("127.0.0.1", [], None),
            (None, [], None),
            ("127.0.0.1", [""], None),
            ("127.0.0.1", ["unknown"], None),
            ("127.0.0.1", [f"{CLIENT}, unknown"], None),
            ("127.0.0.1", [f"{CLIENT}, unknown, 10.0.0.1"], None),
            ("127.0.0.1", ["10.0.0.2, 10.0.0.1"], None),
            (None, ["127.0.0.1"], None),
            (None, [f"{CLIENT}%{'x' * 99}"], None),
            ("nonsense", [CLIENT], None),
        ]
        for peer, forwarded, expected in table:
            found = client_address(peer, forwarded, TRUSTED)
            self.assertEqual(packed(expected), found, (peer, forwarded))

    def test_nobody_trusted(self) -> None:
        """Without trusted networks only the peer counts, and a UNIX socket's is trusted still."""
        self.assertEqual(packed("127.0.0.1"), client_address("127.0.0.1", [CLIENT], ()))
        self.assertEqual(packed(CLIENT), client_address(None, [CLIENT], ()))

    def test_many_proxies(self) -> None:
        """Some proxies may stand behind each other; a list that nobody ends costs little."""
        proxies = ["10.0.0.1"] * 16
        self.assertEqual(packed(CLIENT), client_address(None, [CLIENT, *proxies], TRUSTED))
        self.assertIsNone(client_address(None, [CLIENT, *proxies, "10.0.0.1"], TRUSTED))
        self.assertIsNone(client_address(None, [",".join([CLIENT, *proxies * 200])], TRUSTED))
        self.assertIsNone(client_address(None, [CLIENT + "," * 9999], TRUSTED))

    def test_prefix(self) -> None:
        """Who has an IPv6 address has the whole /64, and is one client with all of it."""
        for other, alike in (
            ("2001:db8:1:2::", True),
            ("[2001:db8:1:2:ffff:ffff:ffff:ffff]:443", True),
            ("2001:db8:1:3:3:4:5:6", False),
        ):
            same = client_address(None, [V6], ()) == client_address(None, [other], ())
            self.assertEqual(alike, same, other)

    @given(some.lists(_ANYTHING), _UNTRUSTED, some.lists(_TRUSTED, max_size=15), some.booleans())
    @FEW
    def test_spoofing(self, said: list[str], client: str, proxies: list[str], apart: bool) -> None:
        """Whatever a client says before it, the address that a trusted proxy appends counts."""
        chain = [*said, client, *proxies]
        forwarded = chain if apart else [",".join(chain)]
        self.assertEqual(
            client_address(client, [], TRUSTED), client_address(None, forwarded, TRUSTED)
        )


class ParseAddressTests(SynchronousTestCase):
    """The forms that addresses take."""

    def test_forms(self) -> None:
        """Ports, brackets and zones are taken off."""
        for text, expected in (
            (CLIENT, CLIENT),
            (f"{CLIENT}:4711", CLIENT),
            (f"[{CLIENT}]", CLIENT),
            (f"::ffff:{CLIENT}", CLIENT),
            (f"[::ffff:{CLIENT}]:80", CLIENT),
            (V6, V6),
            (f"[{V6}]", V6),
            (f"[{V6}]:443", V6),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]:443", "fe80::1"),
        ):
            self.assertEqual(ip_address(expected), parse_address(text), text)

    def test_junk(self) -> None:
        """What is none is none."""
        for text in (
            *("", "unknown", "_hidden", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4:", "[::1"),
            *("::1]", "1.2.3.4:x", ":80", "%", "127.0.0.1 x", "१.2.3.4", "12345", "\0"),
        ):
            self.assertIsNone(parse_address(text), text)
