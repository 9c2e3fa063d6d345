"""Ids, as clients and payloads write them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.ids import LARGEST, parse_id
from tests.properties import FEW


class ParseIdTests(SynchronousTestCase):
    """`parse_id` lets through what PostgreSQL takes for a bigint, and nothing else."""

    def test_ids(self) -> None:
        """Decimal strings and integers within a bigint are ids."""
        for expected, value in (
            (1, "1"),
            (1, 1),
            (0, "0"),
            (501, "0501"),
            (LARGEST, "9223372036854775807"),
            (LARGEST, LARGEST),
        ):
            self.assertEqual(expected, parse_id(value), msg=repr(value))

    def test_no_ids(self) -> None:
        """Whatever else `int` would take, or PostgreSQL would not, is no id."""
        values: list[object] = [
            *("", " 1", "1 ", "+1", "-1", "1_0", "1.0", "0x1", "٣", "²", "abc", "1\n", "1\0"),
            *("9223372036854775808", "1" * 21, "0" * 21 + "1", "9" * 10_000),
            *(-1, LARGEST + 1, 1.0, True, False, None, [], {}, b"1"),
        ]
        for value in values:
            self.assertEqual(None, parse_id(value), msg=repr(value)[:40])

    @given(some.integers(0, LARGEST))
    @FEW
    def test_every_bigint(self, number: int) -> None:
        """Every natural bigint is the id that its decimal digits are."""
        self.assertEqual([number, number], [parse_id(number), parse_id(str(number))])

    @given(some.one_of(some.text(), some.integers(), some.floats(), some.binary()))
    @FEW
    def test_range(self, value: object) -> None:
        """Whatever comes, the answer is None or within a bigint."""
        id_ = parse_id(value)
        self.assertTrue(id_ is None or 0 <= id_ <= LARGEST)
