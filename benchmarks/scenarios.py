"""What is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from benchmarks import measures
from benchmarks.load import Answer
from benchmarks.results import Figures, Row
from benchmarks.subjects import Subject
from benchmarks.trial import Scale, Trial
from flodgatt_tx.demo.servers import Servers

TRANSPORTS = {"ws": "WebSocket", "sse": "SSE"}

Measure = Callable[[Trial], Figures]


@dataclass(frozen=True)
class Scenario:
    """Something to measure; *floor* is what the floor does for it, if anything."""

    name: str
    rows: tuple[Row, ...]
    measure: Measure
    floor: Measure | None = None


def scenarios(scale: Scale) -> dict[str, Scenario]:
    """Name everything that can be measured."""
    every = (*_fan_outs(scale), *_feeds(scale), *_connects(scale), *_sizes(scale), *_crowds(scale))
    return {each.name: each for each in every}


def _fan_outs(scale: Scale) -> Iterator[Scenario]:
    delivery = partial(Row, "delivery", unit="us CPU a delivery", floor="delivery")
    for transport, name in TRANSPORTS.items():
        measure = partial(measures.fan_out, transport, 4)
        title = f"fan-out, {name}, {scale.readers} readers"
        yield Scenario(f"fan-out-{transport}", (delivery(title, most=1.2),), measure, measure)
    measure = partial(measures.fan_out, "ws", 16)
    title = f"fan-out in bursts of 16, WebSocket, {scale.readers} readers"
    yield Scenario("bursts", (delivery(title, most=0.6),), measure, measure)
    title = f"fan-out of 20 events a second, {scale.readers} readers, latency"
    rows = tuple(Row(name, f"{title} {name}", "ms", floor=name) for name in ("p50", "p99", "max"))
    yield Scenario("latency", rows, measures.paced, measures.paced)


def _feeds(scale: Scale) -> Iterator[Scenario]:
    for transport, name in TRANSPORTS.items():
        title = f"home feeds, {name}, one of {scale.readers} readers an event"
        row = Row("delivery", title, "us CPU a delivery", 3.5, "delivery")
        floor = partial(measures.fan_out, transport, 4)
        yield Scenario(f"home-{transport}", (row,), partial(measures.home, transport), floor)
    title = f"public, {scale.readers} signed in"
    rows = (
        Row("both", f"{title}, with PostgreSQL", "us CPU a delivery", 2, "delivery"),
        Row("postgres", f"{title}, PostgreSQL's part", "us CPU a delivery"),
        Row("queries", f"{title}, queries", "an event", 1),
    )
    yield Scenario("public", rows, measures.public, partial(measures.fan_out, "ws", 1))


def _connects(scale: Scale) -> Iterator[Scenario]:
    for transport, name in TRANSPORTS.items():
        title = f"connecting, {name}, {scale.connecting} at once"
        rows = (
            Row("handshake", f"{title}, until let in", "us CPU each", 50, "delivery"),
            Row("settled", f"{title}, until all is done", "us CPU each", None, "delivery"),
        )
        floor = partial(measures.fan_out, transport, 4)
        yield Scenario(f"connect-{transport}", rows, partial(measures.connect, transport), floor)
    title = f"connecting again, WebSocket, {scale.connecting // 3} of {scale.connecting}"
    row = Row("return", f"{title}, with leaving", "us CPU each", None, "delivery")
    yield Scenario("churn", (row,), measures.churn, partial(measures.fan_out, "ws", 4))


def _sizes(scale: Scale) -> Iterator[Scenario]:
    last = scale.growth[-1]
    for transport, name in TRANSPORTS.items():
        title = f"memory, {name}"
        rows = [Row(f"each of {last}", f"{title}, an idle reader of {last}", "kB", 9.5)]
        for number in (0, *scale.growth):
            rows.append(Row(f"at {number}", f"{title}, {number} readers", "MB", readers=number))
        yield Scenario(f"memory-{transport}", tuple(rows), partial(measures.memory, transport))
    rows = [
        Row("rss", "memory without readers", "MB", 65),
        Row("pss", "memory of a second process (PSS)", "MB", 50),
    ]
    yield Scenario("memory-empty", tuple(rows), measures.empty)


def _crowds(scale: Scale) -> Iterator[Scenario]:
    title = f"longest wait, {scale.crowd} readers"
    rows = [
        Row("one", f"{title}, one event at a time", "ms", 50),
        Row("paced", f"{title}, 3 events a second", "ms", 50),
        Row("idle", f"{title}, no events", "ms"),
        Row("coming", f"{title}, while they come", "ms"),
        Row("leaving", f"{title}, while all leave at once", "ms"),
    ]
    yield Scenario("held", tuple(rows), measures.held)
    unit = "us CPU a delivery"
    rows = [
        Row(
            f"at {number}",
            f"fan-out to {number}, one event at a time",
            unit,
            floor=f"at {number}",
            readers=number,
        )
        for number in scale.growth
    ]
    few, many = scale.compared
    rows.append(Row("growth", f"fan-out to {many} against {few}, a delivery", "x", 1.25))
    rows.append(Row("beside", "the same, beside the floor's own growth", "x", floor="beside"))
    yield Scenario("growth", tuple(rows), measures.growth, measures.growth)
    title = "one reader, elsewhere"
    rows = [
        Row("few", f"{title} 10", "us CPU an event"),
        Row("many", f"{title} {scale.others}", "us CPU an event"),
        Row("growth", f"{title} {scale.others} against 10", "x", 1.2),
    ]
    yield Scenario("alone", tuple(rows), measures.alone)


def measure(
    scenario: Scenario, site: Servers, subjects: Mapping[str, Subject], scale: Scale
) -> tuple[dict[str, Figures], list[Answer]]:
    """Measure one round: each subject in turn, in a process of its own."""
    figures: dict[str, Figures] = {}
    notes: list[Answer] = []
    for name, subject in subjects.items():
        with subject.run(site) as server:
            trial = Trial(site, subject, server, scale)
            is_floor = server.channel is not None
            action = scenario.floor if is_floor else scenario.measure
            if action is not None:
                figures[name] = action(trial)
                notes += [{"server": name, **note} for note in trial.notes]
    return figures, notes
