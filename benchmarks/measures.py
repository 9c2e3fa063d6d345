"""How things are measured: each function does it once, with one server."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median

from benchmarks.load import Load
from benchmarks.probe import Probe
from benchmarks.processes import Processes, spent
from benchmarks.results import Figures
from benchmarks.site import count_queries
from benchmarks.trial import OWN_TOKEN, SAME_TOKEN, Trial

_BURST = 20_000  # deliveries
_LOOK = 2.0  # seconds
_WARM_UP = 10  # events, until sockets have the buffers that they need


def fan_out(transport: str, window: int, trial: Trial) -> Figures:
    """Let every event go to every reader."""
    events = trial.scale.deliveries // trial.scale.readers
    with trial.readers(trial.scale.readers, transport, SAME_TOKEN) as load:
        load.events(_WARM_UP, window)
        return {"delivery": trial.each(lambda: load.events(events, window))}


def paced(trial: Trial) -> Figures:
    """Let events come evenly, whether or not the ones before are done."""
    with trial.readers(trial.scale.readers, "ws", SAME_TOKEN) as load:
        load.events(_WARM_UP, 1)
        times = load.pace(trial.scale.deliveries // trial.scale.readers // 2, 20)["ms"]
        return {"p50": times["p50"], "p99": times["p99"], "max": times["max"]}


def home(transport: str, trial: Trial) -> Figures:
    """Let every event go to one reader, in turn, two on their way for each of them."""
    number, events = trial.scale.readers, trial.scale.home
    with trial.readers(number, transport, OWN_TOKEN, "user", "timeline:%d") as load:
        load.events(number, number)
        return {"delivery": trial.each(lambda: load.events(events, 2 * number))}


def public(trial: Trial) -> Figures:
    """Let everybody be signed in, with people whom they block and mute, and read everything."""
    postgres = Processes(trial.site.pids["postgres"])
    which = ("ws", OWN_TOKEN, "public", "timeline:public")
    with trial.readers(trial.scale.readers, *which) as load:
        load.events(_WARM_UP, 1)
        publish = partial(load.events, trial.scale.public, 1)
        shares = trial.shares(publish, postgres)
        queries = count_queries(trial.site, publish) / trial.scale.public
    return {"both": sum(shares), "postgres": shares[1], "queries": queries}


def connect(transport: str, trial: Trial) -> Figures:
    """Let readers come, each with a token of its own."""
    processes = trial.server.processes
    with trial.load(transport, OWN_TOKEN) as load:
        before = processes.cpu()
        answer = load.open(trial.scale.connecting)
        let_in = processes.cpu()
        processes.rest()
        settled = processes.cpu()
    costs = {"handshake": spent(before, let_in), "settled": spent(before, settled)}
    trial.notes.append({**answer, **costs})
    return {name: cost * 1e6 / trial.scale.connecting for name, cost in costs.items()}


def churn(trial: Trial) -> Figures:
    """Let some of many readers leave and come again."""
    number = trial.scale.connecting
    with trial.readers(number, "ws", OWN_TOKEN) as load:
        before = trial.server.processes.cpu()
        answer = load.churn(number // 3)
        trial.server.processes.rest()
        seconds = spent(before, trial.server.processes.cpu())
    trial.notes.append({**answer, "cpu": [seconds]})
    return {"return": seconds * 1e6 / answer["came"]}


def memory(transport: str, trial: Trial) -> Figures:
    """Let more and more readers come who hear nothing."""
    trial.server.processes.rest()
    empty = trial.server.processes.rss()
    figures = {"at 0": empty / 1024}
    there = 0
    with trial.load(transport, OWN_TOKEN) as load:
        for number in trial.scale.growth:
            trial.open(load, number - there)
            there = number
            held = trial.server.processes.rss()
            figures[f"at {number}"] = held / 1024
            figures[f"each of {number}"] = (held - empty) / number
    return figures


def empty(trial: Trial) -> Figures:
    """Let nobody come; then let a second process share what it can with the first."""
    trial.server.processes.rest()
    alone = trial.server.processes.rss()
    with trial.subject.run(trial.site) as second:
        second.processes.rest()
        return {"rss": alone / 1024, "pss": second.processes.pss() / 1024}


def held(trial: Trial) -> Figures:
    """Ask how the server is while a crowd comes, is told something, and leaves."""
    events = trial.scale.held
    figures: dict[str, float] = {}
    with Probe(trial.server.port) as probe, trial.load("ws", SAME_TOKEN) as load:
        actions: dict[str, Callable[[], object]] = {
            "coming": lambda: load.open(trial.scale.crowd),
            "idle": lambda: None,
            "one": lambda: load.events(events, 1),
            "paced": lambda: load.pace(events, 3),
            "leaving": load.close,
        }
        for name, action in actions.items():
            action()
            time.sleep(_LOOK)  # who is asked all the time never rests
            figures[name] = probe.longest()
    trial.notes.append(dict(figures))
    return figures


def growth(trial: Trial) -> Figures:
    """Let every event go to more and more readers, one event at a time."""
    figures: dict[str, float] = {}
    there = 0
    with trial.load("ws", SAME_TOKEN) as load:
        for number in trial.scale.growth:
            trial.open(load, number - there)
            there = number
            events = max(6, trial.scale.deliveries // number)
            figures[f"at {number}"] = _awake(trial, load, number, events)
    few, many = trial.scale.compared
    growth = figures[f"at {many}"] / figures[f"at {few}"]
    return {**figures, "growth": growth, "beside": growth}


def _awake(trial: Trial, load: Load, readers: int, events: int) -> float:
    """
    Measure events one at a time, in three parts of which the median counts.

    Between two events everybody waits for somebody else, and a machine that is mostly idle slows
    down: the same event may cost twice as much. So the machine is kept busy before each part.
    """
    costs = []
    for _ in range(3):
        load.events(max(2, _BURST // readers), 32)
        costs.append(trial.each(lambda: load.events(events // 3, 1)))
    return median(costs)


def alone(trial: Trial) -> Figures:
    """Let events go to one reader while few, then many, others listen elsewhere."""
    figures: dict[str, float] = {}
    there = 0
    with (
        trial.readers(1, "ws", SAME_TOKEN) as reader,
        trial.load("ws", OWN_TOKEN, first=2) as others,
    ):
        for name, number in {"few": 10, "many": trial.scale.others}.items():
            trial.open(others, number - there)
            there = number
            figures[name] = _awake(trial, reader, 1, trial.scale.alone)
    return {**figures, "growth": figures["many"] / figures["few"]}
