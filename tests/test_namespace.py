"""
Whether REDIS_NAMESPACE counts.
"""

from __future__ import annotations

from twisted.application.service import Service
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.namespace import RETRY, NamespacedServices
from flodgatt_tx.errors import UNAVAILABLE, UnavailableError
from tests.fakes import MemoryMastodon


class Names:
    """Something with a prefix."""

    prefix = ""


class NamespaceTests(SynchronousTestCase):
    """When the services start, and with which prefix."""

    def setUp(self) -> None:
        """Make a Mastodon."""
        self.clock = MemoryReactorClock()
        self.mastodon = MemoryMastodon()
        self.names = [Names(), Names()]
        self.child = Service()

    def start(self, namespace: str | None) -> NamespacedServices:
        """Start."""
        services = NamespacedServices(self.clock, self.mastodon, namespace, self.names)
        self.child.setServiceParent(services)
        services.privilegedStartService()
        services.startService()
        return services

    def outcome(self) -> tuple[bool, set[str]]:
        """Whether the child runs, and all prefixes."""
        return bool(self.child.running), {each.prefix for each in self.names}

    def test_none(self) -> None:
        """Without a namespace nothing is asked."""
        services = self.start(None)
        self.assertEqual((True, {""}), self.outcome())
        self.assertEqual([], self.mastodon.asked)
        services.stopService()
        self.assertFalse(self.child.running)

    def test_old(self) -> None:
        """An old Mastodon honours it."""
        self.mastodon.is_namespaced = True
        self.start("cats")
        self.assertEqual((True, {"cats:"}), self.outcome())

    def test_new(self) -> None:
        """A newer one does not, and an administrator is told."""
        with capturedLogs() as events:
            self.start("cats")
        self.assertEqual((True, {""}), self.outcome())
        self.assertIn("REDIS_NAMESPACE is ignored", str(events))

    def test_unavailable(self) -> None:
        """As long as the database does not answer nothing starts."""
        self.mastodon.failing = UnavailableError(UNAVAILABLE)
        self.mastodon.is_namespaced = True
        self.start("cats")
        for _ in range(3):
            self.clock.advance(RETRY)
            self.assertEqual((False, {""}), self.outcome())
        self.mastodon.failing = None
        self.clock.advance(RETRY)
        self.assertEqual((True, {"cats:"}), self.outcome())
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_stopped(self) -> None:
        """It can be stopped while it is still asking."""
        self.mastodon.failing = UnavailableError(UNAVAILABLE)
        services = self.start("cats")
        services.stopService()
        self.assertEqual([], self.clock.getDelayedCalls())
        self.assertEqual((False, {""}), self.outcome())

    def test_unexpected(self) -> None:
        """What nobody expected is logged."""
        self.mastodon.failing = ZeroDivisionError()
        self.start("cats")
        self.assertEqual((False, {""}), self.outcome())
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
