"""
Prometheus' own tool on what we give Prometheus.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.proxies import DEPLOY, program
from tests.stage import Stage
from tests.test_operations import queries

ALERTS = Path(__file__).parent.parent / "prometheus" / "alerts.yml"


class PromtoolTests(SynchronousTestCase):
    """`promtool` has nothing to complain about."""

    def promtool(self, *words: str, said: bytes | None = None) -> None:
        """Run it; fail if it does, with what it says."""
        ran = subprocess.run(
            [program("promtool"), *words], input=said, capture_output=True, timeout=30, check=False
        )
        self.assertEqual(0, ran.returncode, (ran.stdout + ran.stderr).decode())

    def test_rules(self) -> None:
        """The alerts are rules, and the example is a configuration."""
        self.promtool("check", "rules", str(DEPLOY / "prometheus" / "flodgatt.rules.yml"))
        self.promtool("check", "config", str(DEPLOY / "prometheus" / "prometheus.yml"))

    def test_alerts(self) -> None:
        """Each alert fires when it should, and is quiet when all is well."""
        self.promtool("test", "rules", str(ALERTS))

    def test_dashboard(self) -> None:
        """All that the dashboard asks is PromQL."""
        rules = [
            {"record": f"test:{number}", "expr": query.replace("$__rate_interval", "1m")}
            for number, query in enumerate(queries())
        ]
        path = Path(self.mktemp())
        path.write_text(json.dumps({"groups": [{"name": "x", "rules": rules}]}))
        self.promtool("check", "rules", str(path))

    def test_metrics(self) -> None:
        """What `/metrics` says is Prometheus' text, under names as they should be."""
        stage = Stage()
        self.addCleanup(stage.close)
        self.promtool("check", "metrics", said=stage.get("/metrics").body)
