"""What has been measured, as values: rows, samples, ratios. Nothing here touches the world."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

FLOOR = "floor"

Figures = Mapping[str, float]


@dataclass(frozen=True)
class Row:
    """
    One line of the results.

    *figure* names it within its scenario, *readers* places it in a plot. *floor* is the floor's
    figure that this one is divided by; without it the value itself counts. *most* is what the
    ratio or the value should not exceed.
    """

    figure: str
    title: str
    unit: str
    most: float | None = None
    floor: str | None = None
    readers: int | None = None


@dataclass
class Line:
    """A row with its samples: for each server one from every round, in the order of the rounds."""

    scenario: str
    row: Row
    samples: dict[str, list[float]] = field(default_factory=dict)

    def value(self, server: str) -> float:
        """Return the median of what has been measured."""
        return median(self.samples[server])

    def ratio(self, server: str) -> float | None:
        """Return the median of the ratios to the floor, each within its round."""
        if self.row.floor is None:
            return None
        pairs = zip(self.samples[server], self.samples[FLOOR], strict=True)
        return median(own / floor for own, floor in pairs)

    def reached(self, server: str) -> bool | None:
        """Say whether the row is as good as it should be; None if nobody said how good."""
        ratio = self.ratio(server)
        counts = self.value(server) if ratio is None else ratio
        return None if self.row.most is None else counts <= self.row.most

    @property
    def servers(self) -> list[str]:
        """Those that have been measured, without the floor."""
        return [name for name in self.samples if name != FLOOR]


def collect(
    scenario: str, rows: Iterable[Row], rounds: Iterable[Mapping[str, Figures]]
) -> list[Line]:
    """Make the lines of a scenario from its rounds: what every server, and the floor, came to."""
    lines = [Line(scenario, row) for row in rows]
    for figures_of in rounds:
        for line in lines:
            for server, figures in figures_of.items():
                name = line.row.floor if server == FLOOR else line.row.figure
                if name is not None and name in figures:
                    line.samples.setdefault(server, []).append(figures[name])
    return lines


def to_json(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """Write lines down, with their medians and ratios for those who only read."""
    return [
        {
            "scenario": line.scenario,
            **asdict(line.row),
            "samples": line.samples,
            "medians": {server: line.value(server) for server in line.samples},
            "ratios": {server: line.ratio(server) for server in line.servers},
        }
        for line in lines
    ]


def from_json(written: Iterable[Mapping[str, Any]]) -> list[Line]:
    """Read what `to_json` has written."""
    return [
        Line(
            each["scenario"],
            Row(**{name: each[name] for name in Row.__dataclass_fields__}),
            each["samples"],
        )
        for each in written
    ]
