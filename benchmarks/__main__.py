"""The command line: see the head of the package."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import benchmarks
from benchmarks import subjects
from benchmarks.load import LoadError
from benchmarks.report import table
from benchmarks.results import Figures, Line, collect, to_json
from benchmarks.scenarios import Scenario, measure, scenarios
from benchmarks.site import open_site
from benchmarks.subjects import Subject, SubjectError
from benchmarks.trial import QUICK, Scale
from flodgatt_tx.demo.servers import Servers

PEOPLE = 21_000
RELATIONS = 5  # blocks, and as many mutes, of each


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=benchmarks.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--list", action="store_true", help="name the scenarios, and end")
    add("--only", action="append", metavar="NAME", help="measure this; may be repeated")
    add("--quick", action="store_true", help="few readers, few events, one round")
    add("--rounds", type=int, help="how many rounds count; 3, or 1 with --quick")
    add("--json", type=Path, metavar="FILE", help="write everything down")
    add("--server", action="append", default=[], metavar="[NAME=]COMMAND", help="measure as well")
    add("--without-own", action="store_true", help="do not measure this server")
    chosen = parser.parse_args(words)
    chosen.rounds = chosen.rounds or (1 if chosen.quick else 3)
    unknown = set(chosen.only or ()) - set(scenarios(QUICK))
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    return chosen


def contestants(chosen: argparse.Namespace) -> dict[str, Subject]:
    """Name who is measured, in turn; the floor comes last."""
    servers = [] if chosen.without_own else [subjects.own()]
    servers += [subjects.other(words) for words in chosen.server]
    return {each.name: each for each in (*servers, subjects.floor())}


def main(words: Sequence[str]) -> int:
    """Measure and print; return 1 if anything could not be measured."""
    chosen = parse(words)
    scale = QUICK if chosen.quick else Scale()
    wanted = {
        name: each
        for name, each in scenarios(scale).items()
        if not chosen.only or name in chosen.only
    }
    if chosen.list:
        print("\n".join(wanted))
        return 0
    if not (subjects.BUILD / "load").exists():
        print("`make bench` compiles what this needs", file=sys.stderr)
        return 1
    with open_site(PEOPLE, RELATIONS) as site:
        report = Report(about(site, chosen), chosen.json)
        for scenario in wanted.values():
            report.add(scenario, *run(scenario, site, contestants(chosen), scale, chosen.rounds))
    print(table(report.lines))
    return 1 if report.failures else 0


def run(
    scenario: Scenario, site: Servers, servers: dict[str, Subject], scale: Scale, rounds: int
) -> tuple[list[dict[str, Figures]], list[dict[str, Any]], str]:
    """Measure some rounds; return figures, notes, and what went wrong."""
    figures: list[dict[str, Figures]] = []
    notes: list[dict[str, Any]] = []
    for number in range(rounds):
        print(f"{scenario.name}: round {number + 1} of {rounds}", file=sys.stderr)
        try:
            found, seen = measure(scenario, site, servers, scale)
        except (LoadError, SubjectError) as error:
            print(f"{scenario.name}: {error}", file=sys.stderr)
            return figures, notes, str(error)
        figures.append(found)
        notes += [{"scenario": scenario.name, "round": number, **note} for note in seen]
    return figures, notes, ""


class Report:
    """What has been measured so far; it is written down after each scenario."""

    def __init__(self, about: dict[str, Any], file: Path | None) -> None:
        self.lines: list[Line] = []
        self.failures: dict[str, str] = {}
        self._about = about
        self._file = file
        self._notes: list[dict[str, Any]] = []

    def add(
        self,
        scenario: Scenario,
        rounds: list[dict[str, Figures]],
        notes: list[dict[str, Any]],
        failure: str,
    ) -> None:
        """Add a scenario, and write everything down."""
        lines = collect(scenario.name, scenario.rows, rounds)
        self.lines += lines
        self._notes += notes
        if failure:
            self.failures[scenario.name] = failure
        print(table(lines), file=sys.stderr)
        if self._file:
            everything = {
                "about": self._about,
                "rows": to_json(self.lines),
                "failures": self.failures,
                "notes": self._notes,
            }
            self._file.write_text(json.dumps(everything, indent=1) + "\n")


def about(site: Servers, chosen: argparse.Namespace) -> dict[str, Any]:
    """Say where and when this was measured."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("twisted", "autobahn", "hiredis", "orjson")},
        "postgresql": site.sql("SHOW server_version")[0][0],
        "rounds": chosen.rounds,
        "quick": chosen.quick,
        "servers": {name: each.command for name, each in contestants(chosen).items()},
    }


if __name__ == "__main__":
    # So that whatever has been started ends with this, also if it is told to.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main(sys.argv[1:]))
