"""What the benchmarks make of what they have measured."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.report import number, table
from benchmarks.results import Line, Row, collect, from_json, to_json

COST = Row("delivery", "fan-out", "us", 1.2, "delivery")
SIZE = Row("rss", "memory", "MB", 65.0)
ROUNDS = (
    {"ours": {"delivery": 6.0, "rss": 60.0}, "floor": {"delivery": 5.0}},
    {"ours": {"delivery": 12.0, "rss": 61.0}, "floor": {"delivery": 12.0}},
    {"ours": {"delivery": 5.0, "rss": 70.0}, "floor": {"delivery": 2.0}},
)


class CollectTests(SynchronousTestCase):
    """Rounds become lines."""

    def setUp(self) -> None:
        """Collect three rounds of two rows."""
        self.cost, self.size = collect("fan-out", (COST, SIZE), ROUNDS)

    def test_samples(self) -> None:
        """Each server has a sample from each round, the floor where there is one."""
        self.assertEqual({"ours": [6.0, 12.0, 5.0], "floor": [5.0, 12.0, 2.0]}, self.cost.samples)
        self.assertEqual({"ours": [60.0, 61.0, 70.0]}, self.size.samples)
        self.assertEqual(["ours"], self.cost.servers)

    def test_median(self) -> None:
        """The median of the rounds counts."""
        self.assertEqual(6.0, self.cost.value("ours"))
        self.assertEqual(5.0, self.cost.value("floor"))

    def test_ratio(self) -> None:
        """Ratios are within a round; of the ratios 1.2, 1.0 and 2.5 the median counts."""
        self.assertEqual(1.2, self.cost.ratio("ours"))
        self.assertIsNone(self.size.ratio("ours"))

    def test_floor_has_another_name(self) -> None:
        """What the floor does may be another thing than what the server does."""
        row = Row("handshake", "connecting", "us", 50, "delivery")
        figures = {"ours": {"handshake": 300.0}, "floor": {"delivery": 6.0}}
        (line,) = collect("connect", (row,), [figures])
        self.assertEqual(50.0, line.ratio("ours"))

    def test_nothing_measured(self) -> None:
        """Without a round there are lines of nobody."""
        self.assertEqual([], collect("fan-out", (COST,), [])[0].servers)

    def test_reached(self) -> None:
        """The ratio is held to the limit, without a floor the value; without a limit nothing."""
        self.assertTrue(self.cost.reached("ours"))
        self.assertTrue(self.size.reached("ours"))
        self.assertFalse(Line("x", Row("a", "a", "x", 1.0), {"ours": [1.1]}).reached("ours"))
        self.assertIsNone(Line("x", Row("a", "a", "x"), {"ours": [1.1]}).reached("ours"))

    def test_json(self) -> None:
        """Lines can be written down and read again, and what is derived is there to be read."""
        written = json.loads(json.dumps(to_json([self.cost, self.size])))
        self.assertEqual([self.cost, self.size], from_json(written))
        self.assertEqual({"ours": 6.0, "floor": 5.0}, written[0]["medians"])
        self.assertEqual({"ours": 1.2}, written[0]["ratios"])


class TableTests(SynchronousTestCase):
    """Lines become a table."""

    def test_table(self) -> None:
        """There is a line for each row and server; columns stand under each other."""
        lines = table(collect("fan-out", (COST, SIZE), ROUNDS)).split("\n")
        self.assertEqual(1, len({len(line) for line in lines}))
        cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
        self.assertEqual(
            [
                ["fan-out", "ours", "6.00", "5.00", "12.0", "us", "5.00", "1.20", "<= 1.2", "yes"],
                ["memory", "ours", "61.0", "60.0", "70.0", "MB", "", "", "<= 65", "yes"],
            ],
            cells,
        )

    def test_missed(self) -> None:
        """What has not been reached is hard to overlook."""
        missed = Line("x", Row("a", "a", "x", 1.0), {"ours": [1.1]})
        self.assertIn("| NO ", table([missed]))

    def test_number(self) -> None:
        """Three digits count; before the point all of them."""
        for value, written in {
            1.234: "1.23",
            12.34: "12.3",
            123.4: "123",
            12345.0: "12345",
        }.items():
            self.assertEqual(written, number(value))
