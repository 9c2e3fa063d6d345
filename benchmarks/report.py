"""The results as a table for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.results import FLOOR, Line

_HEAD = ("", "server", "median", "least", "most", "unit", "floor", "x floor", "wanted", "")
_LEFT = (0, 1, 5, 9)


def table(lines: Iterable[Line]) -> str:
    """Write a Markdown table: a line for each row and server."""
    cells = [_cells(line, server) for line in lines for server in line.servers]
    widths = [max(map(len, column)) for column in zip(_HEAD, *cells, strict=True)]
    rule = [("-" if at in _LEFT else "-:").rjust(width, "-") for at, width in enumerate(widths)]
    return "\n".join(_line(words, widths) for words in (_HEAD, rule, *cells))


def _line(words: Sequence[str], widths: Sequence[int]) -> str:
    placed = (
        word.ljust(width) if at in _LEFT else word.rjust(width)
        for at, (word, width) in enumerate(zip(words, widths, strict=True))
    )
    return f"| {' | '.join(placed)} |"


def _cells(line: Line, server: str) -> tuple[str, ...]:
    samples, ratio = line.samples[server], line.ratio(server)
    most = line.row.most
    return (
        line.row.title,
        server,
        number(line.value(server)),
        number(min(samples)),
        number(max(samples)),
        line.row.unit,
        number(line.value(FLOOR)) if FLOOR in line.samples else "",
        "" if ratio is None else number(ratio),
        "" if most is None else f"<= {most:g}",
        {None: "", True: "yes", False: "NO"}[line.reached(server)],
    )


def number(value: float) -> str:
    """Write three digits that count, and all before the point."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}"
