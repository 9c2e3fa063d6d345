"""
Host names to addresses.
"""

from __future__ import annotations

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.resolver import resolve
from tests.fakes import MemoryResolver


class ResolverTests(SynchronousTestCase):
    """What names lead to."""

    def setUp(self) -> None:
        """Know some names."""
        self.reactor = MemoryReactorClock()
        names = {"db": ["10.0.0.1", "::1", "10.0.0.1"]}
        self.reactor.installNameResolver(MemoryResolver(names))

    def resolved(self, host: str) -> list[str]:
        """The addresses of a host."""
        return self.successResultOf(resolve(self.reactor, host))

    def test_addresses(self) -> None:
        """A name has its addresses, each once, in the resolver's order."""
        self.assertEqual(["10.0.0.1", "::1"], self.resolved("db"))

    def test_unknown(self) -> None:
        """An unknown name has none."""
        self.assertEqual([], self.resolved("nowhere.invalid"))

    def test_literal(self) -> None:
        """An address is its own, and nobody is asked."""
        for address in ("127.0.0.1", "::1", "2001:db8::1"):
            self.assertEqual([address], self.resolved(address))
