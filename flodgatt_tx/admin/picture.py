"""
One look at the whole server, as the live page draws it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flodgatt_tx import status, tally
from flodgatt_tx.tally import GONE, PARENT, Families

# What processes are asked for it; see `flodgatt_tx.edge.reports`.
QUESTIONS = ("metrics", "status", "readiness", "busiest")
MOST = 15  # channels that are shown

Answers = Mapping[str, Any]


def picture(time: float, answers: Mapping[str, Answers]) -> dict[str, Any]:
    """
    Draw what all processes have answered to the `QUESTIONS` at a *time*, in seconds.

    Counters are as they stand: who looks twice knows how much a second they have gone up by.
    Histograms are `{upper bound in seconds: count}`, each bound with all below it.
    """
    metrics: Families = tally.merge(answers["metrics"])
    return {
        "time": time,
        "status": status.add_up(filter(None, answers["status"].values())),
        "sent": _by_label(metrics, "messages_sent_total", "type"),
        "received": tally.total(metrics, "redis_messages_received_total"),
        "gaps": tally.total(metrics, "redis_gaps_total"),
        "refused": tally.total(metrics, "connections_refused_total"),
        "dropped": tally.total(metrics, "readers_dropped_total"),
        "latency": _by_label(metrics, "delivery_latency_seconds_bucket", "le"),
        "lag": _by_label(metrics, "reactor_lag_seconds_bucket", "le"),
        "dependencies": _dependencies(filter(None, answers["readiness"].values())),
        "workers": _workers(answers["metrics"]),
        "busiest": _busiest(filter(None, answers["busiest"].values())),
    }


def _by_label(families: Families, name: str, label: str) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for family in families:
        for sample, labels, value in family[3]:
            if sample == name:
                numbers[labels[label]] = numbers.get(labels[label], 0) + value
    return numbers


def _dependencies(reports: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Say how each is: as bad as it is for any of the processes."""
    states: dict[str, dict[str, Any]] = {}
    for report in reports:
        for name, state in report["dependencies"].items():
            if name not in states or (states[name]["up"] and not state["up"]):
                states[name] = state
    return states


def _workers(answers: Answers) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "clients": tally.total(families, "connected_clients"),
            "sent": tally.total(families, "messages_sent_total"),
            "memory": tally.total(families, "process_resident_memory_bytes"),
            "cpu": tally.total(families, "process_cpu_seconds_total"),
            "started": tally.total(families, "process_start_time_seconds"),
        }
        for name, families in answers.items()
        if families and name not in (GONE, PARENT)
    ]


def _busiest(lists: Iterable[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Add up the readers of each channel; a channel that is no worker's busiest may be missed."""
    readers: dict[str, int] = {}
    for channels in lists:
        for each in channels:
            readers[each["channel"]] = readers.get(each["channel"], 0) + each["readers"]
    most = sorted(readers.items(), key=lambda each: (-each[1], each[0]))[:MOST]
    return [{"channel": channel, "readers": number} for channel, number in most]
