"""
Numbers for Prometheus.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.metrics import Metrics, render
from flodgatt_tx.streams import KINDS


class MetricsTests(SynchronousTestCase):
    """The names of Mastodon's own server."""

    def setUp(self) -> None:
        """Count nothing yet."""
        self.metrics = Metrics()

    def lines(self) -> list[str]:
        """What Prometheus reads."""
        return render({"": self.metrics.families()}).decode().splitlines()

    def test_names(self) -> None:
        """Dashboards for Mastodon's server find what they know, under its types."""
        types = {line for line in self.lines() if line.startswith("# TYPE")}
        for name, kind in (
            ("connected_clients", "gauge"),
            ("connected_channels", "gauge"),
            ("redis_messages_received_total", "counter"),
            ("messages_sent_total", "counter"),
        ):
            self.assertIn(f"# TYPE {name} {kind}", types)

    def test_labels(self) -> None:
        """Every label that can be is there from the start, at zero."""
        lines = self.lines()
        for transport in ("websocket", "eventsource"):
            self.assertIn(f'connected_clients{{type="{transport}"}} 0.0', lines)
            self.assertIn(f'messages_sent_total{{type="{transport}"}} 0.0', lines)
            for channel in ("system", *KINDS):
                labels = f'channel="{channel}",type="{transport}"'
                self.assertIn(f"connected_channels{{{labels}}} 0.0", lines)
        self.assertIn("redis_messages_received_total 0.0", lines)

    def test_watched(self) -> None:
        """A number can be read when it is asked for."""
        value = 3
        self.metrics.watch("pg_pool_total_connections", "Connections", lambda: value)
        self.assertIn("pg_pool_total_connections 3.0", self.lines())
        value = 4
        self.assertIn("pg_pool_total_connections 4.0", self.lines())

    def test_process(self) -> None:
        """The process is measured, too."""
        self.assertTrue(any(line.startswith("process_resident_memory") for line in self.lines()))

    def test_several(self) -> None:
        """Two servers in one process do not share their numbers."""
        self.metrics.messages_received.inc()
        self.assertIn(b"redis_messages_received_total 0.0", render({"": Metrics().families()}))
