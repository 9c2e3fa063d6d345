"""
What was measured, as a table and as JSON, and which promises were broken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from chaos.ledger import Tally

REDIS, POSTGRESQL = "Redis", "PostgreSQL"
RETURN = 2.0  # seconds after the return of what was away
FLAT = 0.05  # of the memory before
LONGEST_STALL = 1.0  # seconds, on a machine that has other things to do


@dataclass(slots=True)
class Row:
    """
    What was seen during one fault; times are in seconds.

    *away* is what was away, REDIS, POSTGRESQL or nothing. *outage* lasts until all is as before;
    the five times after it count from the return, and are None if that never came to pass.
    *gaps* is how many the server has counted, and *admitted* whether it said that it was not ready.
    """

    name: str
    away: str = ""
    outage: float | None = None
    resubscribed: float | None = None
    first_delivery: float | None = None
    keys_written: float | None = None
    let_in: float | None = None
    ready: float | None = None
    long: bool = False  # longer than the server may take to notice
    admitted: bool = False
    gaps: int = 0
    stall: float = 0.0
    for_cause: int = 0
    without_cause: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Farewell:
    """How one server ended."""

    status: int
    seconds: float
    sent_away: int
    without_word: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that was seen of one server; *memory*, before and after, is in kB."""

    rows: Sequence[Row]
    tallies: Mapping[str, Tally]
    farewell: Farewell
    memory: tuple[int, int] | None = None
    broken: Sequence[str] = field(default_factory=list)

    @property
    def total(self) -> Tally:
        """The sums over all phases."""
        names = [each.name for each in fields(Tally)]
        return Tally(*(sum(getattr(t, name) for t in self.tallies.values()) for name in names))


def broken_promises(outcome: Outcome) -> list[str]:
    """Say, in a sentence each, which promises were broken."""
    found = [sentence for row in outcome.rows for sentence in _of_row(row)]
    for row in outcome.rows:
        tally = outcome.tallies.get(row.name, Tally())
        if row.away == REDIS and tally.lost_in_window and not row.gaps:
            found.append(f"{row.name}: {tally.lost_in_window} losses, and no gap was counted.")
    for name, tally in outcome.tallies.items():
        found.extend(_of_tally(name, tally))
    if outcome.memory and outcome.memory[1] > outcome.memory[0] * (1 + FLAT):
        before, after = (kilobytes / 1024 for kilobytes in outcome.memory)
        found.append(
            f"Memory grew from {before:.1f} to {after:.1f} MB while clients came and went."
        )
    farewell = outcome.farewell
    if farewell.status:
        found.append(f"The server ended with status {farewell.status} after SIGTERM, not 0.")
    if farewell.without_word:
        found.append(f"{farewell.without_word} readers were not told that the server goes down.")
    return [*found, *(f"{text}." for text in outcome.broken)]


def _of_tally(name: str, tally: Tally) -> Iterator[str]:
    if tally.lost_otherwise:
        yield f"{name}: {tally.lost_otherwise} deliveries were lost outside of an outage."
    if tally.duplicates:
        yield f"{name}: {tally.duplicates} events came twice."
    if tally.disorders:
        yield f"{name}: {tally.disorders} events came out of order."


def _of_row(row: Row) -> Iterator[str]:
    if row.without_cause:
        yield f"{row.name}: {row.without_cause} readers lost their connections without cause."
    if row.away and row.long and not row.admitted:
        yield f"{row.name}: {row.away} was away, and the server said that it was ready."
    if row.stall > LONGEST_STALL:
        yield f"{row.name}: somebody who asked for the health had to wait for {row.stall:.1f} s."
    for what, seconds in _deadlines(row):
        if seconds is None or seconds > RETURN:
            when = "never" if seconds is None else f"{seconds:.2f} s after its return"
            yield f"{row.name}: {row.away} was away, and {what} {when}, not within {RETURN:.0f} s."


def _deadlines(row: Row) -> Iterator[tuple[str, float | None]]:
    if row.away == REDIS:
        yield "everything was subscribed again", row.resubscribed
        yield "the first event was delivered", row.first_delivery
        yield "the presence keys were there", row.keys_written
    if row.away == POSTGRESQL:
        yield "a new client was let in", row.let_in
    if row.away:
        yield "the server said that it was ready", row.ready


_HEAD = (
    *("fault", "published", "delivered", "lost: outage", "else", "twice", "order", "out: cause"),
    *("else", "outage s", "back s", "first s", "keys s", "ready s", "stall ms"),
)


def table(outcome: Outcome) -> str:
    """Write a line for each fault, and the sums."""
    lines = [_HEAD, *(_line(row, outcome.tallies.get(row.name, Tally())) for row in outcome.rows)]
    sums = Row("all")
    sums.for_cause = sum(row.for_cause for row in outcome.rows)
    sums.without_cause = sum(row.without_cause for row in outcome.rows)
    sums.stall = max((row.stall for row in outcome.rows), default=0.0)
    lines.append(_line(sums, outcome.total))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
        for line in lines
    )


def _line(row: Row, tally: Tally) -> tuple[str, ...]:
    counts = (
        *(tally.published, tally.delivered, tally.lost_in_window, tally.lost_otherwise),
        *(tally.duplicates, tally.disorders, row.for_cause, row.without_cause),
    )
    back = row.let_in if row.away == POSTGRESQL else row.resubscribed
    times = (row.outage, back, row.first_delivery, row.keys_written, row.ready)
    return (
        row.name,
        *map(str, counts),
        *("" if seconds is None else f"{seconds:.2f}" for seconds in times),
        f"{row.stall * 1000:.0f}",
    )


def document(outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    """Write all that was seen of several servers as what JSON can hold."""
    return {
        name: {
            "faults": [
                {**asdict(row), "events": asdict(outcome.tallies.get(row.name, Tally()))}
                for row in outcome.rows
            ],
            "total": asdict(outcome.total),
            "memory_kB": outcome.memory,
            "end": asdict(outcome.farewell),
            "broken_promises": broken_promises(outcome),
        }
        for name, outcome in outcomes.items()
    }
