"""
Who may import whom.

The core, which is every module directly in the package, is pure. The edge is a house of several
floors: a module may import what is on its own floor or below. The other subpackages are guests:
neither core nor edge knows them, but for the door in `flodgatt_tx.edge.tap`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import flodgatt_tx

PACKAGE = "flodgatt_tx"
EDGE = f"{PACKAGE}.edge"
DOOR = f"{EDGE}.tap"
ROOT = Path(flodgatt_tx.__file__).parent

# lxml and ahocorasick_rs are for keyword filters.
PURE_LIBRARIES = frozenset(
    {"orjson", "idna", "lxml", "ahocorasick_rs", "regex", "msgspec", "typing_extensions"}
)
# From the top floor to the ground. Every module of the edge lives on one of them.
FLOORS = (
    frozenset({"tap", "options", "server", "check"}),
    frozenset({"web", "entrance", "listeners", "shutdown"}),
    frozenset({"sse", "websocket"}),
    frozenset({"event_stream"}),
    frozenset({"farewell"}),
    frozenset({"api"}),
    frozenset({"subscribing"}),
    frozenset({"census"}),
    frozenset({"broadcast", "login", "rechecks"}),
    frozenset({"delivery"}),
    frozenset({"accounts", "readers", "judging", "feed_access", "admission"}),
    frozenset(
        {
            *{"pubsub", "presence", "mastodon", "metrics", "heartbeat", "namespace"},
            *{"gaps", "readiness"},
        }
    ),
    frozenset(
        {
            *{
                "database",
                "redis",
                "sentinel",
                "failover",
                "asking",
                "tls",
                "batching",
                "link",
                "resolver",
            },
            *{
                "trust",
                "environment",
                "logs",
                "lines",
                "rounds",
                "outlet",
                "process",
                "handover",
                "frugal",
                "awaiting",
                "garbage",
            },
            *{"dependency", "systemd", "reports", "inheriting", "collectors", "lag"},
        }
    ),
)


def imports(module: str, source: str) -> set[str]:
    """
    Find what a module imports, at its top or further down.

    `from x import y` is taken for `x.y`, whether `y` is a module or not.
    """
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = module.split(".")[: -node.level] if node.level else []
            origin = ".".join([*parents, *([node.module] if node.module else [])])
            names.update(f"{origin}.{alias.name}" for alias in node.names)
    return names


def complaints(module: str, source: str) -> Iterator[str]:
    """Say which of a module's imports break the rule."""
    in_edge = module.startswith(f"{EDGE}.")
    if in_edge and _floor(module) is None:
        yield f"{module} lives on no floor: put it on one, in tests/test_layers.py"
        return
    for name in sorted(imports(module, source)):
        if problem := _edge_problem(module, name) if in_edge else _core_problem(name):
            yield f"{module} imports {name}: {problem}"


def _core_problem(name: str) -> str | None:
    words = name.split(".")
    if words[0] == PACKAGE:
        return "the core knows nothing but itself" if words[1:2] in _subpackages() else None
    if words[0] in sys.stdlib_module_names | PURE_LIBRARIES:
        return None
    return "no pure library"


def _edge_problem(module: str, name: str) -> str | None:
    words = name.split(".")
    if words[0] != PACKAGE or words[1:2] not in _subpackages():
        return None
    if words[1] != "edge":
        return None if module == DOOR else "guests come in by edge/tap.py"
    above, below = _floor(module), _floor(name)
    if above is None or below is None:
        return "nobody lives there"
    return "it lives upstairs" if below < above else None


def _floor(name: str) -> int | None:
    """Count the floors above a module of the edge, or above something in it."""
    resident = name.removeprefix(f"{EDGE}.").split(".")[0]
    return next((number for number, floor in enumerate(FLOORS) if resident in floor), None)


@cache
def _subpackages() -> list[list[str]]:
    return [[path.parent.name] for path in ROOT.glob("*/__init__.py")]


def circles(graph: Mapping[str, set[str]]) -> set[str]:
    """Find the modules that import themselves by way of others."""

    def reachable(module: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(graph[module])
        while waiting:
            each = waiting.pop()
            if each not in seen:
                seen.add(each)
                waiting += graph[each]
        return seen

    return {module for module in graph if module in reachable(module)}


def import_graph(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Find which of these modules import which."""
    return {
        module: {
            known
            for name in imports(module, source)
            for known in (name, name.rpartition(".")[0])
            if known in sources
        }
        for module, source in sources.items()
    }


def modules() -> dict[str, str]:
    """Read the sources of all modules in the package."""
    sources = {}
    for path in ROOT.rglob("*.py"):
        words = (PACKAGE, *path.relative_to(ROOT).with_suffix("").parts)
        sources[".".join(words).removesuffix(".__init__")] = path.read_text()
    return sources


class LayerTests(SynchronousTestCase):
    """The package as it is keeps the rule."""

    def test_core_and_edge(self) -> None:
        """The core is pure, and the edge imports downwards only."""
        found = [
            complaint
            for module, source in modules().items()
            if module.count(".") == 1 or module.startswith(f"{EDGE}.")
            for complaint in complaints(module, source)
        ]
        self.assertEqual([], found, msg="\n".join(found))

    def test_no_circles(self) -> None:
        """No module imports itself by way of others."""
        self.assertEqual(set(), circles(import_graph(modules())))

    def test_residents(self) -> None:
        """Nobody lives on two floors, and everybody who has a floor is there."""
        residents = [each for floor in FLOORS for each in floor]
        self.assertEqual(len(set(residents)), len(residents))
        there = {path.stem for path in (ROOT / "edge").glob("*.py")} - {"__init__"}
        self.assertEqual(set(), set(residents) - there)


class RuleTests(SynchronousTestCase):
    """The rule notices what breaks it."""

    def test_keeps(self) -> None:
        """What the rule allows is not complained of."""
        for module, source in (
            ("flodgatt_tx.new", "import re, orjson, idna, lxml.html"),
            ("flodgatt_tx.new", "from collections.abc import Iterable"),
            ("flodgatt_tx.new", "from flodgatt_tx.errors import MISSING_TAG"),
            ("flodgatt_tx.new", "from flodgatt_tx import errors"),
            ("flodgatt_tx.new", "from . import errors"),
            ("flodgatt_tx.edge.web", "import twisted.web\nfrom flodgatt_tx.edge import sse"),
            ("flodgatt_tx.edge.web", "from flodgatt_tx.edge.entrance import EntranceFactory"),
            ("flodgatt_tx.edge.web", "from flodgatt_tx import errors, __version__"),
            ("flodgatt_tx.edge.web", "from .sse import EventStream"),
            ("flodgatt_tx.edge.tap", "from flodgatt_tx.demo.site import open_site"),
        ):
            self.assertEqual([], list(complaints(module, source)), msg=source)

    def test_breaks(self) -> None:
        """What the rule forbids is, however it is written."""
        for module, source, name in (
            ("flodgatt_tx.new", "import twisted.web", "twisted.web"),
            ("flodgatt_tx.new", "import re, autobahn", "autobahn"),
            ("flodgatt_tx.new", "from txredisapi import Connection", "txredisapi.Connection"),
            ("flodgatt_tx.new", "def f():\n    import psycopg2", "psycopg2"),
            ("flodgatt_tx.new", "if x:\n    import prometheus_client", "prometheus_client"),
            ("flodgatt_tx.new", "import flodgatt_tx.edge", "flodgatt_tx.edge"),
            ("flodgatt_tx.new", "from flodgatt_tx import edge", "flodgatt_tx.edge"),
            ("flodgatt_tx.new", "from .edge import api", "flodgatt_tx.edge.api"),
            ("flodgatt_tx.new", "from . import demo", "flodgatt_tx.demo"),
            ("flodgatt_tx.new", "from flodgatt_tx.demo.site import x", "flodgatt_tx.demo.site.x"),
            ("flodgatt_tx.edge.web", "import flodgatt_tx.demo.site", "flodgatt_tx.demo.site"),
            ("flodgatt_tx.edge.web", "from flodgatt_tx import demo", "flodgatt_tx.demo"),
            ("flodgatt_tx.edge.sse", "from flodgatt_tx.edge import web", "flodgatt_tx.edge.web"),
            ("flodgatt_tx.edge.sse", "from .web import Site", "flodgatt_tx.edge.web.Site"),
            ("flodgatt_tx.edge.sse", "from ..edge.tap import x", "flodgatt_tx.edge.tap.x"),
            ("flodgatt_tx.edge.sse", "import flodgatt_tx.edge.moon", "flodgatt_tx.edge.moon"),
        ):
            found = list(complaints(module, source))
            self.assertEqual(1, len(found), msg=source)
            self.assertTrue(found[0].startswith(f"{module} imports {name}: "), msg=found[0])

    def test_newcomers(self) -> None:
        """A new module of the edge is asked which floor it lives on."""
        found = list(complaints("flodgatt_tx.edge.new", "import re"))
        self.assertEqual(1, len(found))
        self.assertIn("flodgatt_tx.edge.new lives on no floor", found[0])

    def test_circles(self) -> None:
        """Whoever imports itself by way of others is found, and nobody else."""
        sources = {
            "p.a": "from p import b",
            "p.b": "def f():\n    from p.c import x",
            "p.c": "from . import a",
            "p.d": "import p.a, p.e",
            "p.e": "import re",
            "p.f": "import p.f",
        }
        self.assertEqual({"p.a", "p.b", "p.c", "p.f"}, circles(import_graph(sources)))
