"""How things are measured: each function does it once, with one server."""

from __future__ import annotations

import time
from functools import partial

from benchmarks.probe import Probe
from benchmarks.processes import Processes, spent
from benchmarks.results import Figures
from benchmarks.site import count_queries
from benchmarks.trial import OWN_TOKEN, SAME_TOKEN, Trial

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
        load.events(2, 1)
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
    """Ask how the server is while it tells something to a crowd."""
    figures: dict[str, float] = {}
    events = trial.scale.held
    with trial.readers(trial.scale.crowd, "ws", SAME_TOKEN) as load:
        load.events(2, 1)
        with Probe(trial.server.port) as probe:
            time.sleep(_LOOK)
            figures["idle"] = probe.longest()
            load.events(events, 1)
            figures["one"] = probe.longest()
            load.pace(events, 3)
            figures["paced"] = probe.longest()
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
            events = max(5, trial.scale.deliveries // number)
            load.events(2, 1)
            figures[f"at {number}"] = trial.each(partial(load.events, events, 1))
    few, many = trial.scale.compared
    return {**figures, "growth": figures[f"at {many}"] / figures[f"at {few}"]}


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
            reader.events(trial.scale.alone // 4, 1)
            figures[name] = trial.each(partial(reader.events, trial.scale.alone, 1))
    return {**figures, "growth": figures["many"] / figures["few"]}
