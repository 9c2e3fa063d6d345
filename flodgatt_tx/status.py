"""
How busy the server is, added up over its processes, for eyes and for programs.

A count is `{"connections": {transport: n}, "timelines": {kind: n}, "queue": {…}}`, as JSON knows
it; in its queue are the number of `clients` for whom something waits, the `longest` of these queues
and what is `unsent` in all of them, both in bytes, and `judging`, the events that wait until it is
known who may see them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flodgatt_tx.streams import PREFIX

Count = Mapping[str, Mapping[str, int]]

CONNECTIONS, TIMELINES, QUEUE = "connections", "timelines", "queue"
LONGEST = "longest"
# Flodgatt's names; it has called its queue by three.
PATHS = {
    f"{PREFIX}status": CONNECTIONS,
    f"{PREFIX}status/per_timeline": TIMELINES,
    f"{PREFIX}status/queue": QUEUE,
    f"{PREFIX}status/backpressure": QUEUE,
    f"{PREFIX}status/backpresure": QUEUE,
}
_QUEUE_LINES = (
    ("Longest queue of a client: {} bytes", LONGEST),
    ("Unsent to all clients: {} bytes", "unsent"),
    ("Clients with a queue: {}", "clients"),
    ("Events that wait to be judged: {}", "judging"),
)


def add_up(counts: Iterable[Count]) -> dict[str, dict[str, int]]:
    """Make one count of those of several processes."""
    total: dict[str, dict[str, int]] = {CONNECTIONS: {}, TIMELINES: {}, QUEUE: {}}
    for count in counts:
        for part, numbers in count.items():
            for name, number in numbers.items():
                found = total[part].get(name, 0)
                total[part][name] = max(found, number) if name == LONGEST else found + number
    return total


def as_json(part: str, count: Count) -> dict[str, Any]:
    """Give a *part* of a count to a program."""
    numbers = dict(count[part])
    if part == QUEUE:
        return numbers
    return {"total": sum(numbers.values()), part: numbers}


def as_text(part: str, count: Count) -> str:
    """Write a *part* of a count for an administrator's eyes."""
    numbers = count[part]
    if part == QUEUE:
        lines = [line.format(numbers.get(name, 0)) for line, name in _QUEUE_LINES]
    elif part == TIMELINES:
        lines = _columns(numbers) or ["Nobody listens."]
    else:
        lines = [f"Current connections: {sum(numbers.values())}", *_columns(numbers)]
    return "".join(f"{line}\n" for line in lines)


def _columns(numbers: Mapping[str, int]) -> list[str]:
    """Write the busiest first, names in a column."""
    busiest = sorted(numbers.items(), key=lambda each: (-each[1], each[0]))
    width = max(map(len, numbers), default=0)
    return [f"{name:>{width}}: {number}" for name, number in busiest]
