"""
Numbers for Prometheus: the eight of Mastodon's own server, under its names, and our process's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from flodgatt_tx import tally
from flodgatt_tx.streams import KINDS
from flodgatt_tx.tally import Families

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
TRANSPORTS = ("websocket", "eventsource")
SYSTEM = "system"
LIMITS = (
    *("full", "address", "account", "failed_logins", "subscriptions", "messages"),
    *("handshake", "header"),
)


class _Merged(Collector):
    def __init__(self, families: Families) -> None:
        self._families = families

    @override
    def collect(self) -> Iterable[Metric]:
        for name, kind, description, samples in self._families:
            metric = Metric(name, description, kind)
            for sample, labels, value in samples:
                metric.add_sample(sample, labels, value)
            yield metric


def render(answers: Mapping[str, Families]) -> bytes:
    """Write the numbers of all processes as Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Merged(tally.merge(answers)))
    return generate_latest(registry)


class Metrics:
    """The numbers of one server; gauges of what is there now are read when they are asked for."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.clients = self._gauge(
            "connected_clients", "Clients connected to the streaming server", "type"
        )
        self.channels = self._gauge(
            "connected_channels", "Streams that clients listen to", "type", "channel"
        )
        self.messages_received = self._counter(
            "redis_messages_received_total", "Messages received from Redis"
        )
        self.messages_sent = self._counter(
            "messages_sent_total", "Messages sent to clients", "type"
        )
        self.dropped = self._counter(
            "redis_messages_dropped_total", "Messages from Redis sent to nobody", "reason"
        )
        self.dependencies = self._gauge(
            "dependency_up", "Whether what the server depends on is there", "dependency"
        )
        self.gaps = self._counter(
            "redis_gaps_total", "Times in which nothing published was heard, however short"
        )
        self.gap_seconds = self._counter(
            "redis_gap_seconds_total", "How long these have lasted, once they are over"
        )
        self.messages_ignored = self._counter(
            "client_messages_ignored_total", "Messages from clients that are no commands"
        )
        self.slow_readers = self._counter(
            "slow_readers_dropped_total", "Clients cut off because they did not read", "type"
        )
        self.connections_refused = self._counter(
            "connections_refused_total", "Clients refused or sent away by a limit", "reason"
        )
        for reason in LIMITS:
            self.connections_refused.labels(reason)
        for transport in TRANSPORTS:
            self.slow_readers.labels(transport)
            self.clients.labels(transport)
            self.messages_sent.labels(transport)
            for kind in (SYSTEM, *KINDS):
                self.channels.labels(transport, kind)

    def watch(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read with *read*."""
        self._gauge(name, description).set_function(read)

    def families(self) -> Families:
        """Give all of them as one process's part of what `render` writes."""
        return [
            [
                each.name,
                each.type,
                each.documentation,
                [[sample.name, sample.labels, sample.value] for sample in each.samples],
            ]
            for each in self.registry.collect()
        ]

    def _gauge(self, name: str, description: str, *labels: str) -> Gauge:
        return Gauge(name, description, labels, registry=self.registry)

    def _counter(self, name: str, description: str, *labels: str) -> Counter:
        return Counter(name, description, labels, registry=self.registry)
