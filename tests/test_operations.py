"""
What administrators are given to watch the server with speaks of what there is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

import flodgatt_tx
from flodgatt_tx.edge.server import make_server
from flodgatt_tx.settings import Layer, load
from flodgatt_tx.workers.roll import Roll

ROOT = Path(flodgatt_tx.__file__).absolute().parent.parent
RULES = ROOT / "deploy" / "prometheus" / "flodgatt.rules.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "flodgatt.json"
OPERATIONS = ROOT / "docs" / "operations.md"
_ROW = re.compile(r"(?m)^\| `(\w+)(?:\{([\w,]+)\})?` \| (\w+) \|")
_SELECTED = re.compile(r"\b([a-z_]+)\{")
_COMMON = ("process_", "python_")


def families() -> dict[str, tuple[str, set[str]]]:
    """All families that a server with workers exports: their types and labels."""
    server = make_server(MemoryReactorClock(), load([Layer("test", {})]), [], _never)
    told = [server.api.reports.own("metrics"), Roll(None)._own("metrics")["parent"]]
    found = {}
    for name, kind, _, samples in [each for answer in told for each in answer]:
        labels = {label for _, given, _ in samples for label in given} - {"le"}
        found[f"{name}_total" if kind == "counter" else name] = (kind, labels)
    return found


def _never(message: str) -> Any:
    raise AssertionError(message)


def samples() -> set[str]:
    """The names that can stand in a query."""
    names = {"up"}
    for name, (kind, _) in families().items():
        suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        names.update(name + suffix for suffix in suffixes)
    return names


def queries() -> Iterator[str]:
    """All that the dashboard asks."""
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (each["expr"] for each in dashboard["annotations"]["list"])


class TableTests(SynchronousTestCase):
    """The table of metrics."""

    def test_is_complete(self) -> None:
        """It has every metric, with its labels and type, and no other."""
        rows = {
            name: (kind, set(labels.split(",")) if labels else set())
            for name, labels, kind in _ROW.findall(OPERATIONS.read_text())
        }
        ours = {name: told for name, told in families().items() if not name.startswith(_COMMON)}
        self.assertEqual(ours, rows)

    def test_alerts(self) -> None:
        """Every alert is explained, and no other."""
        alerts = re.findall(r"- alert: (\w+)", RULES.read_text())
        self.assertEqual(alerts, re.findall(r"(?m)^\| `(Flodgatt\w+)` \|", OPERATIONS.read_text()))


class QueryTests(SynchronousTestCase):
    """What is asked of Prometheus."""

    def test_rules(self) -> None:
        """The alerts look at metrics that there are."""
        asked = set(_SELECTED.findall("\n".join(re.findall(r"expr: (.*)", RULES.read_text()))))
        self.assertIn("delivery_latency_seconds_bucket", asked)
        self.assertEqual(set(), asked - samples())

    def test_dashboard(self) -> None:
        """So does the dashboard, which shows every metric that we have."""
        asked = set(_SELECTED.findall("\n".join(queries())))
        self.assertEqual(set(), asked - samples())
        shown = {re.sub(r"_(bucket|sum|count)$", "", each) for each in asked}
        ours = {name for name in families() if not name.startswith(_COMMON)}
        self.assertEqual(set(), ours - shown)

    def test_panels(self) -> None:
        """Its panels have numbers of their own, and stand side by side."""
        panels = json.loads(DASHBOARD.read_text())["panels"]
        self.assertEqual(len(panels), len({each["id"] for each in panels}))
        taken: set[tuple[int, int]] = set()
        for each in panels:
            at = each["gridPos"]
            cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
            self.assertTrue(all(x < 24 for x, _ in cells), each["title"])
            self.assertEqual(set(), cells & taken, each["title"])
            taken |= cells

    def test_variables(self) -> None:
        """All that it asks goes to the chosen Prometheus, about the chosen instances."""
        dashboard = json.loads(DASHBOARD.read_text())
        names = [each["name"] for each in dashboard["templating"]["list"]]
        self.assertEqual(["datasource", "instance"], names)
        for panel in dashboard["panels"]:
            for target in panel.get("targets", ()):
                self.assertEqual("${datasource}", target["datasource"]["uid"], panel["title"])
        for query in queries():
            self.assertEqual(
                len(_SELECTED.findall(query)), query.count('{instance=~"$instance"'), query
            )
