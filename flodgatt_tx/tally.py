"""
Numbers for Prometheus from several processes, as one.

A family is `[name, type, help, [[name of the sample, labels, value], …]]`, as JSON knows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Sample = list[Any]
Family = list[Any]
Families = list[Family]

GONE = "gone"
PARENT = "parent"
LABEL = "worker"
# These say something of one process, which a sum would hide.
_PER_WORKER = ("process_", "python_", "open_connections", "reactor_")
_COUNTING = ("counter", "histogram", "summary")


def family(name: str, kind: str, description: str, value: float) -> Family:
    """Make a family of one number; counters are named without their `_total`."""
    sample = f"{name}_total" if kind == "counter" else name
    return [name, kind, description, [[sample, {}, value]]]


def total(families: Families, name: str) -> float:
    """Add up all samples with a *name*."""
    values: list[float] = [
        value for each in families for sample, _, value in each[3] if sample == name
    ]
    return sum(values)


def keep(gone: Families, families: Families) -> Families:
    """Add what one more has counted to those who are *gone*; its gauges go with it."""
    counted = [each for each in families if each[1] in _COUNTING and not _is_per_worker(each)]
    return merge({"": gone, " ": counted})


def merge(answers: Mapping[str, Families]) -> Families:
    """
    Make one of the families of several processes, by the names of those.

    A process that is alone has an empty name.

    Numbers are added up; those named `…_max` give the largest; those that say something of one
    process, and `…_info`, get a label with its name instead.
    """
    merged: dict[str, tuple[Family, dict[tuple[Any, ...], Sample]]] = {}
    for worker, families in answers.items():
        for each in families:
            name, kind, description, samples = each
            _, found = merged.setdefault(name, ([name, kind, description], {}))
            for sample in samples:
                _add(found, _labelled(sample, worker) if _is_per_worker(each) else sample)
    return [[*head, list(found.values())] for head, found in merged.values()]


def _add(found: dict[tuple[Any, ...], Sample], sample: Sample) -> None:
    name, labels, value = sample
    key = (name, *sorted(labels.items()))
    if key not in found:
        found[key] = [name, labels, value]
    elif name.endswith("_max"):
        found[key][2] = max(found[key][2], value)
    else:
        found[key][2] += value


def _labelled(sample: Sample, worker: str) -> Sample:
    if not worker:
        return sample
    name, labels, value = sample
    return [name, {**labels, LABEL: worker}, value]


def _is_per_worker(each: Family) -> bool:
    name: str = each[0]
    return each[1] == "info" or name.startswith(_PER_WORKER) or name.endswith("_info")
