"""
Clients that come and go by the thousand, all at once or one after another, and what is left.
"""

from __future__ import annotations

import asyncio
import time

from chaos.guests import Guest, come, requests, ways
from chaos.plan import Plan
from chaos.stage import Stage, within

_TOGETHER = 150
_PATIENCE = 60.0


async def crowd(stage: Stage, plan: Plan) -> None:
    """Let thousands connect in the same moment: each is let in, or is told why not."""
    row = await stage.begin(f"{plan.crowd} connect at once")
    source = requests(plan.people)
    started = time.monotonic()
    coming = (_try(stage.daemon.port, *next(source)) for _ in range(plan.crowd))
    outcomes = await asyncio.gather(*coming)
    took = time.monotonic() - started
    inside = [guest for guest, status in outcomes if guest and status in (101, 200)]
    refused = sum(1 for _, status in outcomes if status in (429, 503))
    failed = plan.crowd - len(inside) - refused
    row.for_cause = refused
    row.note = f"{len(inside)} let in, {refused} told to come later, within {took:.1f} s"
    if failed:
        stage.broken.append(f"{row.name}: {failed} were neither let in nor refused in order")
    for (guest, _), way in zip(outcomes, ways(), strict=False):
        if guest:
            guest.leave(way)
    await leave_nothing(stage, row.name)
    await stage.end(row, plan.calm)


async def _try(port: int, request: bytes, websocket: bool) -> tuple[Guest | None, int]:
    try:
        guest = await within(_PATIENCE, come(port, request, websocket))
    except (OSError, TimeoutError):
        return None, 0
    try:
        return guest, await within(_PATIENCE, guest.status())
    except (OSError, EOFError, TimeoutError):
        return guest, 0


async def leave_nothing(stage: Stage, name: str) -> None:
    """See that the server forgets who has left."""
    if not await stage.is_left():
        clients = await stage.clients()
        stage.broken.append(f"{name}: {clients} clients are counted, {stage.present} are there")


async def churn(stage: Stage, plan: Plan) -> tuple[int, int]:
    """
    Let clients come and go, one after another; return the memory before and after, in kB.

    What is there before has seen the same, in a smaller number.
    """
    await _cycles(stage, f"{plan.warm_up} cycles to warm up", plan)
    await leave_nothing(stage, "warming up")
    before = stage.resident()
    await _cycles(stage, f"{plan.cycles} connect and disconnect", plan)
    await leave_nothing(stage, f"{plan.cycles} cycles")
    return before, stage.resident()


async def _cycles(stage: Stage, name: str, plan: Plan) -> None:
    row = await stage.begin(name)
    count = int(name.split()[0])
    pairs = zip(range(count), requests(plan.people), ways(), strict=False)
    failures = 0

    async def work() -> None:
        nonlocal failures
        for _, (request, websocket), way in pairs:
            guest, status = await _try(stage.daemon.port, request, websocket)
            failures += status not in (101, 200)
            if guest:
                guest.leave(way)

    started = time.monotonic()
    await asyncio.gather(*(work() for _ in range(_TOGETHER)))
    took = time.monotonic() - started
    row.note = f"{count / took:.0f} in a second, {stage.resident() / 1024:.1f} MB"
    if failures:
        stage.broken.append(f"{name}: {failures} were not let in")
    await stage.end(row, plan.calm)
