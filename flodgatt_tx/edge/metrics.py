"""
Numbers for Prometheus: the eight of Mastodon's own server, under its names, and our own.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import TypeVar

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
from twisted.copyright import version as twisted_version
from typing_extensions import override

from flodgatt_tx import tally
from flodgatt_tx._version import __version__
from flodgatt_tx.edge.collectors import Counts, Histograms
from flodgatt_tx.edge.outlet import CROWDED, SLOW
from flodgatt_tx.events import EXPECTED, SYSTEM
from flodgatt_tx.filtering import CLOSED_FEED, LANGUAGE, LOCAL_ONLY
from flodgatt_tx.histogram import Histogram
from flodgatt_tx.streams import KINDS
from flodgatt_tx.tally import Families

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
TRANSPORTS = ("websocket", "eventsource")
LIMITS = (
    *("full", "address", "account", "failed_logins", "subscriptions", "messages"),
    *("handshake", "header"),
)
# Why messages from Redis were sent to nobody, and why statuses were withheld from a reader, besides
# what can be told without asking.
MALFORMED, UNREADABLE, UNJUDGED = "malformed", "unreadable", "unjudged"
UNKNOWN, BLOCK, DOMAIN_BLOCK = "unknown", "block_or_mute", "domain_block"
# Why readers were cut off, besides what waited for them: they gave no sign of life; their token is
# good no more; they could not be written to.
SILENT, REVOKED, BROKEN = "silent", "revoked", "broken"
# Why nobody was logged in, besides limits.
NO_TOKEN, BAD_TOKEN, UNAVAILABLE = "missing_token", "invalid_token", "unavailable"
REFUSED = "refused"
QUESTIONS = (
    *("viewers", "viewers_again", "lists", "relations", "domain_blocks", "filters"),
    *("settings", "tables"),
)
# Seconds, up to the patience that we have with PostgreSQL; and how many are asked about at once.
TIMES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15)
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

_Added = TypeVar("_Added", bound=Collector)


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
        self._build()
        self._clients()
        self._admission()
        self._redis()
        self._delivery()
        self._database()
        self._dependencies()

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

    def _build(self) -> None:
        versions = (__version__, platform.python_version(), twisted_version)
        build = self._gauge("flodgatt_build_info", "What runs", "version", "python", "twisted")
        build.labels(*versions).set(1)
        self.lag = self._histogram("reactor_lag_seconds", "How late it was done what was due")

    def _clients(self) -> None:
        self.clients = self._gauge(
            "connected_clients", "Clients connected to the streaming server", "type"
        )
        self.channels = self._gauge(
            "connected_channels", "Streams that clients listen to", "type", "channel"
        )
        self.messages_ignored = self._counter(
            "client_messages_ignored_total", "Messages from clients that are no commands"
        )
        self.readers_dropped = self._counts(
            "readers_dropped_total",
            "Clients cut off while they listened",
            {"type": TRANSPORTS, "reason": (SLOW, CROWDED, SILENT, REVOKED, BROKEN)},
        )
        for transport in TRANSPORTS:
            self.clients.labels(transport)
            for kind in (SYSTEM, *KINDS):
                self.channels.labels(transport, kind)

    def _admission(self) -> None:
        self.connections_refused = self._counter(
            "connections_refused_total", "Clients refused or sent away by a limit", "reason"
        )
        for reason in LIMITS:
            self.connections_refused.labels(reason)
        self.logins = self._counter("logins_total", "Tokens that were let in")
        self.logins_refused = self._counts(
            "logins_refused_total",
            "Requests for streams whose token, or want of one, was refused",
            {"reason": (NO_TOKEN, BAD_TOKEN, UNAVAILABLE, "failed_logins", "account")},
        )

    def _redis(self) -> None:
        self.messages_received = self._counter(
            "redis_messages_received_total", "Messages received from Redis"
        )
        self.dropped = self._counts(
            "redis_messages_dropped_total",
            "Messages from Redis sent to nobody",
            {"reason": (MALFORMED, UNREADABLE, UNJUDGED)},
        )
        self.gaps = self._counter(
            "redis_gaps_total", "Times in which nothing published was heard, however short"
        )
        self.gap_seconds = self._counter(
            "redis_gap_seconds_total", "How long these have lasted, once they are over"
        )
        self.events = self._add(
            Counts(
                "redis_events_total",
                "Events from Redis that somebody listens to",
                ("channel", "event"),
                EXPECTED,
            )
        )

    def _delivery(self) -> None:
        transports = {"type": TRANSPORTS}
        self.sent = self._counts("messages_sent_total", "Messages sent to clients", transports)
        self.sent_bytes = self._counts(
            "sent_bytes_total", "Bytes of these messages, with their framing", transports
        )
        self.filtered = self._counts(
            "messages_filtered_total",
            "Statuses withheld from one of the clients who listen",
            {"reason": (LOCAL_ONLY, CLOSED_FEED, LANGUAGE, UNKNOWN, BLOCK, DOMAIN_BLOCK)},
        )
        self.fanout = self._histogram(
            "fanout_seconds", "From when it is known who gets what, to the last of these writes"
        )
        self.latency = self._histogram(
            "delivery_latency_seconds",
            "From reading an event from Redis to writing it to a client, for each write",
        )

    def _database(self) -> None:
        self.query_times = self._questions(
            "pg_query_seconds", "Questions to PostgreSQL, waiting included", TIMES
        ).of
        self.query_sizes = self._questions(
            "pg_batch_size", "Things that were asked about together", SIZES
        ).of
        self.query_failures = self._counts(
            "pg_query_failures_total",
            "Questions to PostgreSQL without an answer",
            {"question": QUESTIONS, "reason": (UNAVAILABLE, REFUSED)},
        )

    def _dependencies(self) -> None:
        self.dependencies = self._gauge(
            "dependency_up", "Whether what the server depends on is there", "dependency"
        )
        self.losses = self._counts(
            "dependency_losses_total", "Times in which it went away", {"dependency": ()}
        )
        self.connects = self._counts(
            "dependency_connects_total",
            "Connections made to it",
            {"dependency": (), "connection": ()},
        )

    def _gauge(self, name: str, description: str, *labels: str) -> Gauge:
        return Gauge(name, description, labels, registry=self.registry)

    def _counter(self, name: str, description: str, *labels: str) -> Counter:
        return Counter(name, description, labels, registry=self.registry)

    def _counts(self, name: str, description: str, labels: Mapping[str, Sequence[str]]) -> Counts:
        return self._add(Counts(name, description, [*labels], product(*labels.values())))

    def _histogram(self, name: str, description: str) -> Histogram:
        return self._add(Histograms(name, description, TIMES)).of[""]

    def _questions(self, name: str, description: str, bounds: Sequence[float]) -> Histograms:
        return self._add(Histograms(name, description, bounds, "question", QUESTIONS))

    def _add(self, collector: _Added) -> _Added:
        self.registry.register(collector)
        return collector
