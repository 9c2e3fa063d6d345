"""
Numbers from several processes, as one.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.tally import Families, family, keep, merge, total


def clients(count: float, kind: str = "sse") -> Families:
    """Make one gauge with one label."""
    return [["clients", "gauge", "Who is there", [["clients", {"type": kind}, count]]]]


class MergeTests(SynchronousTestCase):
    """One picture."""

    def test_sums(self) -> None:
        """Samples with the same labels are added up, others stand beside them."""
        merged = merge({"1": clients(2), "2": clients(3), "3": clients(4, "ws")})
        samples = [["clients", {"type": "sse"}, 5], ["clients", {"type": "ws"}, 4]]
        self.assertEqual([["clients", "gauge", "Who is there", samples]], merged)

    def test_largest(self) -> None:
        """Of maxima the largest counts."""
        merged = merge({str(n): [family("lag_max", "gauge", "x", n)] for n in (1, 3, 2)})
        self.assertEqual(3, total(merged, "lag_max"))

    def test_one_process(self) -> None:
        """What says something of one process gets its name, unless it is alone."""
        for name, kind in (
            ("process_cpu_seconds", "counter"),
            ("open_connections", "gauge"),
            ("build", "info"),
            ("build_info", "gauge"),
        ):
            families = [family(name, kind, "x", 1)]
            for worker, labels in (("2", {"worker": "2"}), ("", {})):
                ((_, _, _, ((_, found, _),)),) = merge({worker: families})
                self.assertEqual(labels, found)

    def test_untouched(self) -> None:
        """What was given stays as it was."""
        mine = clients(2)
        merge({"1": mine, "2": mine})
        self.assertEqual(clients(2), mine)


class KeepTests(SynchronousTestCase):
    """Those who are gone."""

    def test_counters(self) -> None:
        """Counters and histograms stay; gauges, and what was the process's own, go."""
        histogram = ["time", "histogram", "x", [["time_bucket", {"le": "1"}, 2]]]
        families = [
            family("events", "counter", "x", 5),
            histogram,
            *clients(3),
            family("process_cpu_seconds", "counter", "x", 1),
        ]
        gone = keep(keep([], families), families)
        self.assertEqual(["events", "time"], [each[0] for each in gone])
        self.assertEqual(10, total(gone, "events_total"))
        self.assertEqual(4, total(gone, "time_bucket"))
