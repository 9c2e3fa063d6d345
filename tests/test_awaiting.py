"""
Waiting for several things at once.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.awaiting import Awaiting


class AwaitingTests(SynchronousTestCase):
    """Who waits, and for how long."""

    def setUp(self) -> None:
        """Let nobody wait."""
        self.awaiting = Awaiting()

    def test_all(self) -> None:
        """Who waits for several names waits for the last of them."""
        both, one = self.awaiting.wait(["a", "b"]), self.awaiting.wait(["b"])
        self.awaiting.tell("b")
        self.assertNoResult(both)
        self.assertIsNone(self.successResultOf(one))
        self.assertEqual((True, False), ("a" in self.awaiting, "b" in self.awaiting))
        self.awaiting.tell("a")
        self.assertIsNone(self.successResultOf(both))
        self.awaiting.tell("a")

    def test_none(self) -> None:
        """Who waits for nothing does not wait."""
        self.assertIsNone(self.successResultOf(self.awaiting.wait([])))

    def test_cancelled(self) -> None:
        """Who does not want to wait any more does no harm to the others."""
        gone, here = self.awaiting.wait(["a"]), self.awaiting.wait(["a"])
        gone.cancel()
        self.failureResultOf(gone, CancelledError)
        self.awaiting.tell("a")
        self.assertIsNone(self.successResultOf(here))
