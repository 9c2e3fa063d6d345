"""
Numbers that are kept as plain numbers until Prometheus asks for them.

What is counted where events pass must cost next to nothing: the library's own counters and
histograms take a lock each time, and look at every bucket.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from typing_extensions import override

from flodgatt_tx.histogram import Histogram

Labels = tuple[str, ...]


class Counts(Collector):
    """
    A counter: *counts* by the values of its *labels*, for anybody to add to.

    Those that are *expected* are there from the start.
    """

    def __init__(
        self, name: str, description: str, labels: Sequence[str], expected: Iterable[Labels] = ()
    ) -> None:
        self.counts: defaultdict[Labels, int] = defaultdict(int, dict.fromkeys(expected, 0))
        self._head = (name, description)
        self._labels = labels
        self._reads: dict[Labels, Callable[[], int]] = {}

    def watch(self, values: Labels, read: Callable[[], int]) -> None:
        """Take what somebody else counts, whenever it is asked for."""
        self._reads[values] = read

    @override
    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(*self._head, labels=self._labels)
        for values, count in self.counts.items():
            family.add_metric(values, count)
        for values, read in self._reads.items():
            family.add_metric(values, read())
        yield family


class Histograms(Collector):
    """A histogram for each of some *values* of one label, or just one where there is no *label*."""

    def __init__(
        self,
        name: str,
        description: str,
        bounds: Sequence[float],
        label: str = "",
        values: Sequence[str] = ("",),
    ) -> None:
        self.of = {value: Histogram(bounds) for value in values}
        self._head = (name, description)
        self._label = label

    @override
    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(*self._head, labels=[self._label] if self._label else [])
        for value, each in self.of.items():
            family.add_metric([value] if self._label else [], each.buckets(), each.total)
        yield family
