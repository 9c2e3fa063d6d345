"""
Tests for flodgatt_tx.edge.reports.
"""

from __future__ import annotations

from twisted.internet.defer import succeed
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.reports import ALONE, Reports


class ReportsTests(SynchronousTestCase):
    """Who answers what."""

    def test_alone(self) -> None:
        """One process answers for itself, each time anew."""
        reports = Reports()
        numbers = iter([1, 2])
        reports.add("number", lambda: next(numbers))
        self.assertEqual({ALONE: 1}, self.successResultOf(reports.collect("number")))
        self.assertEqual(2, reports.own("number"))

    def test_unknown(self) -> None:
        """Nobody knows everything."""
        self.assertEqual({ALONE: None}, self.successResultOf(Reports().collect("what?")))

    def test_all(self) -> None:
        """Who has a way to the others asks them."""
        reports = Reports()
        reports.ask_all = lambda question: succeed({"1": question, "2": None})
        self.assertEqual({"1": "x", "2": None}, self.successResultOf(reports.collect("x")))
