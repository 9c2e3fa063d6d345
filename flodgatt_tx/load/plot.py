"""
A report with charts: one HTML file that needs nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from flodgatt_tx.load.report import Results, as_text

_WIDTH, _HEIGHT, _LEFT, _BELOW = 720, 220, 70, 24
_STYLE = """
:root {
  color-scheme: light dark;
  --text: #1a202c; --back: #fff; --line: #cbd2dc; --a: #2b6cb0; --b: #b7651b;
}
@media (prefers-color-scheme: dark) {
  :root { --text: #e6eaf0; --back: #12161d; --line: #3a4454; --a: #7fb5f0; --b: #f0b27f; }
}
body { margin: 2rem auto; max-width: 48rem; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif;
  color: var(--text); background: var(--back); }
pre { overflow-x: auto; }
svg { width: 100%; height: auto; }
text { fill: var(--text); font-size: 12px; }
line { stroke: var(--line); }
polyline { fill: none; stroke-width: 2; }
.a { stroke: var(--a); } .b { stroke: var(--b); }
"""


def plot(found: Results) -> str:
    """Write results as a page."""
    seconds = found["seconds"]
    charts = [("Deliveries in each second", [[each["deliveries"] for each in seconds]], "{:.0f}")]
    if found["published"] is not None:
        lines = [[each[name] * 1000 for each in seconds] for name in ("p50", "p99")]
        charts.append(
            ("Milliseconds of latency in each second: p50, p99 above it", lines, "{:.1f}")
        )
    drawn = "".join(
        f"<h2>{escape(title)}</h2>{_chart([each['second'] for each in seconds], values, form)}"
        for title, values, form in charts
    )
    title = f"Load test of {found['url']}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1><pre>{escape(as_text(found))}</pre>"
        f"{drawn}</html>\n"
    )


def _chart(seconds: Sequence[int], lines: Sequence[Sequence[float]], form: str) -> str:
    """Draw lines over the same seconds."""
    if not seconds:
        return "<p>Nothing was delivered.</p>"
    most = max(max(line) for line in lines) or 1.0
    last = max(seconds[-1], 1)
    right, bottom = _WIDTH - 10, _HEIGHT - _BELOW

    def place(second: int, value: float) -> str:
        across = _LEFT + (right - _LEFT) * second / last
        return f"{across:.1f},{bottom - (bottom - 10) * value / most:.1f}"

    drawn = []
    for line, name in zip(lines, "ab", strict=False):
        points = " ".join(place(*each) for each in zip(seconds, line, strict=True))
        drawn.append(f'<polyline class="{name}" points="{points}"/>')
    for share in (0, 0.5, 1):
        height = bottom - (bottom - 10) * share
        label = form.format(most * share)
        drawn.append(f'<line x1="{_LEFT}" x2="{right}" y1="{height}" y2="{height}"/>')
        drawn.append(f'<text x="{_LEFT - 8}" y="{height + 4}" text-anchor="end">{label}</text>')
    drawn.append(f'<text x="{_LEFT}" y="{_HEIGHT - 4}">0 s</text>')
    drawn.append(f'<text x="{right}" y="{_HEIGHT - 4}" text-anchor="end">{last} s</text>')
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{"".join(drawn)}</svg>'
