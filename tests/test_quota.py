"""
How many there may be at once.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.quota import Quota
from tests.properties import FEW


class QuotaTests(SynchronousTestCase):
    """Counting by key."""

    def test_limit(self) -> None:
        """So many are let in and no more, until one leaves; other keys are others."""
        quota: Quota[str] = Quota(2)
        self.assertEqual([True, True, False], [quota.take("a") for _ in range(3)])
        self.assertTrue(quota.take("b"))
        quota.release("a")
        self.assertEqual([True, False], [quota.take("a") for _ in range(2)])

    def test_off(self) -> None:
        """0 is no limit, and nothing is kept."""
        quota: Quota[str] = Quota(0)
        self.assertTrue(all(quota.take("a") for _ in range(100)))
        self.assertEqual(0, len(quota))
        quota.release("a")
        self.assertEqual(0, len(quota))

    @given(some.lists(some.tuples(some.booleans(), some.integers(0, 3))))
    @FEW
    def test_as_a_counter(self, steps: list[tuple[bool, int]]) -> None:
        """It remembers those who are here, and nobody else."""
        quota: Quota[int] = Quota(2)
        here: Counter[int] = Counter()
        for comes, key in steps:
            if comes:
                fits = here[key] < 2
                self.assertEqual(fits, quota.take(key))
                here[key] += fits
            elif here[key]:
                quota.release(key)
                here[key] -= 1
            self.assertEqual(len(+here), len(quota))
