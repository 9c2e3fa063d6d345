"""
The results as pictures: SVG, the same bytes for the same results.

    python -m benchmarks.plots RESULTS.json [FOLDER]

draws `cost.svg` (CPU against readers) and `memory.svg` (memory against readers) into the folder,
docs/performance unless it is named; a picture whose scenario was not measured is left out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from benchmarks.results import FLOOR, Line, from_json
from benchmarks.subjects import ROOT

Series = list[tuple[int, list[float]]]  # how many readers, and what each round came to

_COLOURS = ("#1f6fb4", "#c4541c", "#3c8d40", "#8b5a9e")
_STYLES = {"growth": "-", "memory-ws": "-", "memory-sse": "--"}
_NAMES = {"growth": "", "memory-ws": ", WebSocket", "memory-sse": ", SSE"}


def series(lines: Iterable[Line], scenario: str, server: str) -> Series:
    """Pick what one server came to with more and more readers."""
    return [
        (line.row.readers, line.samples[server])
        for line in lines
        if line.scenario == scenario and line.row.readers is not None and server in line.samples
    ]


def draw(lines: Sequence[Line], scenarios: Iterable[str]) -> tuple[Figure, Any] | None:
    """Draw a curve for each server in each scenario: medians, and from least to most; or None."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes: Any = figure.subplots()
    servers = list(dict.fromkeys(name for line in lines for name in line.samples))
    for scenario in scenarios:
        for server in servers:
            if points := series(lines, scenario, server):
                colour = "#777777" if server == FLOOR else _COLOURS[servers.index(server) % 4]
                name = f"{server}{_NAMES[scenario]}"
                _curve(axes, points, label=name, color=colour, linestyle=_STYLES[scenario])
    if not axes.lines:
        return None
    axes.set_xlabel("readers")
    axes.set_ylim(bottom=0)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure, axes


def _curve(axes: Any, points: Series, **look: str) -> None:
    numbers = [number for number, _ in points]
    rounds = [samples for _, samples in points]
    axes.plot(numbers, list(map(median, rounds)), marker="o", markersize=4, **look)
    axes.fill_between(
        numbers,
        list(map(min, rounds)),
        list(map(max, rounds)),
        color=look["color"],
        alpha=0.15,
        linewidth=0,
    )


def cost(lines: Sequence[Line]) -> Figure | None:
    """Draw what a delivery costs against how many get it."""
    if not (drawn := draw(lines, ["growth"])):
        return None
    figure, axes = drawn
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylabel("CPU of the server, µs for a delivery")
    axes.set_title("Fan-out over WebSocket, one event at a time", loc="left")
    return figure


def memory(lines: Sequence[Line]) -> Figure | None:
    """Draw how much memory the server holds against how many listen."""
    if not (drawn := draw(lines, ["memory-ws", "memory-sse"])):
        return None
    figure, axes = drawn
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylabel("memory of the server (RSS), MB")
    axes.set_title("Readers who hear nothing, each with a token of its own", loc="left")
    return figure


def main(words: Sequence[str]) -> int:
    """Draw everything that has been measured."""
    if not 1 <= len(words) <= 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(words[1]) if len(words) == 2 else ROOT / "docs" / "performance"
    folder.mkdir(parents=True, exist_ok=True)
    lines = from_json(json.loads(Path(words[0]).read_text())["rows"])
    # Text stays text, and nothing depends on when this is drawn.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "benchmarks"})
    for name, figure in {"cost": cost(lines), "memory": memory(lines)}.items():
        if figure:
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
            print(folder / f"{name}.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
