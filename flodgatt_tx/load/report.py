"""
What was measured, as numbers, as text and as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from flodgatt_tx.load.latencies import Latencies
from flodgatt_tx.load.ledger import Ledger
from flodgatt_tx.load.options import Plan

_SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
Results = Mapping[str, Any]


def results(
    plan: Plan, ledger: Ledger, began: float, connecting: float, measured: float
) -> dict[str, Any]:
    """
    Put together what a *ledger* holds; all times are in seconds, and nothing has tokens.

    It is *good* if nobody was refused or cut off and nothing was lost. Without publishing it is
    not known what was lost (null), nor how long anything took.
    """
    published = plan.publishing is not None
    return {
        "url": plan.url,
        "stream": plan.stream,
        "transports": list(plan.transports),
        "readers": plan.readers,
        "connected": ledger.connects.count,
        "connecting": connecting,
        "connect": _distribution(ledger.connects),
        "refused": dict(ledger.refused),
        "measured": measured,
        "published": ledger.published if published else None,
        "deliveries": ledger.deliveries,
        "deliveries_per_second": ledger.deliveries / measured if measured else 0.0,
        "bytes": ledger.bytes,
        "latency": _distribution(ledger.latencies) if published else None,
        "owed": ledger.owed if published else None,
        "lost": ledger.lost if published else None,
        "repeated": ledger.repeated if published else None,
        "ended": dict(ledger.ended),
        "seconds": _seconds(ledger, int(began)),
        "good": not (ledger.refused or ledger.ended or (published and ledger.lost)),
    }


def as_json(found: Results) -> str:
    """Write results for a program."""
    return orjson.dumps(found, option=orjson.OPT_INDENT_2).decode()


def as_text(found: Results) -> str:
    """Write results for whoever ran the test."""
    connect = found["connect"]
    lines = [
        ("Server", f"{found['url']}, {' and '.join(found['transports'])}, {found['stream']}"),
        (
            "Readers",
            f"{found['connected']} of {found['readers']} connected in {found['connecting']:.1f} s; "
            f"each took {_times(connect)}",
        ),
        ("Refused", _causes(found["refused"])),
        (
            "Deliveries",
            f"{found['deliveries']} in {found['measured']:.1f} s, "
            f"{found['deliveries_per_second']:.1f} a second; {found['bytes'] / 1e6:.1f} MB",
        ),
    ]
    if found["published"] is None:
        lines.append(("Latency", "not known, since nothing was published: see --redis"))
    else:
        lines += [
            ("Published", f"{found['published']} messages"),
            ("Latency", _times(found["latency"])),
            ("Lost", f"{found['lost']} of {found['owed']}; {found['repeated']} came twice"),
        ]
    lines.append(("Cut off", _causes(found["ended"])))
    return "\n".join(f"{name:<11} {text}" for name, text in lines)


def progress(phase: str, plan: Plan, ledger: Ledger) -> str:
    """Say in a line how far a test is."""
    latency = ""
    if ledger.latencies.count:
        (middle,) = ledger.latencies.below([0.5])
        latency = f", p50 {middle * 1000:.1f} ms"
    return (
        f"{phase}: {ledger.connected} of {plan.readers} readers, "
        f"{ledger.refused.total()} refused, {ledger.ended.total()} cut off, "
        f"{ledger.deliveries} deliveries{latency}"
    )


def _distribution(latencies: Latencies) -> dict[str, float]:
    found = latencies.below(list(_SHARES.values()))
    return {**dict(zip(_SHARES, found, strict=True)), "max": latencies.longest}


def _seconds(ledger: Ledger, began: int) -> list[dict[str, Any]]:
    """Tell of each second in which something was delivered, counted from the first measured."""
    found = []
    for second, deliveries in sorted(ledger.delivered_in.items()):
        if second >= began:
            middle, most = ledger.seconds[second].below([0.5, 0.99])
            found.append(
                {"second": second - began, "deliveries": deliveries, "p50": middle, "p99": most}
            )
    return found


def _times(found: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {seconds * 1000:.1f} ms" for name, seconds in found.items())


def _causes(found: Mapping[str, int]) -> str:
    return "; ".join(f"{count}: {cause}" for cause, count in sorted(found.items())) or "nobody"
