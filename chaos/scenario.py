"""
One fault after another.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from chaos import coming_and_going, database_faults, misbehaviour, redis_faults
from chaos.database_faults import DatabaseFaults
from chaos.plan import Plan
from chaos.population import filling, seats
from chaos.redis_faults import Act, RedisFaults
from chaos.report import Farewell, Outcome
from chaos.stage import Stage
from flodgatt_tx.demo import servers
from flodgatt_tx.demo.servers import Servers
from flodgatt_tx.demo.site import SCHEMA
from tests.integration.site import Daemon

_GOOD_ENDS = {"1001", "end"}  # of a WebSocket, and of a stream


async def single(plan: Plan, only: str = "") -> Outcome:
    """Let everything happen that can happen to a server with one Redis."""
    with servers.start(redis_options=redis_faults.OPTIONS) as site:
        populate(site, plan)

        async def address() -> int:
            return site.redis_port

        stage = Stage(start(site), seats(plan.readers), address)
        try:
            return await _play(stage, site, plan, only)
        finally:
            stage.kill()


async def _play(stage: Stage, site: Servers, plan: Plan, only: str) -> Outcome:
    await stage.open()
    acts = [(name, act) for name, act in _acts(stage, site, plan) if only in name]
    # They take a minute, in which other things can happen.
    slow = None if only else misbehaviour.SlowHandshakes(stage, plan)
    for _, act in acts:
        await act()
    if slow:
        await slow.end(stage)
    memory = await coming_and_going.churn(stage, plan) if only in "churn" else None
    return await finish(stage, "chaos.log", memory)


def _acts(stage: Stage, site: Servers, plan: Plan) -> Iterator[tuple[str, Act]]:
    """Name everything that can happen, in order."""
    for fault in RedisFaults(site, plan).all():
        yield fault.name, partial(redis_faults.suffer, stage, fault, plan.calm)
    for fault in DatabaseFaults(site, plan).all():
        yield fault.name, partial(database_faults.suffer, stage, fault, site, plan.calm)
    for behave in (
        *(misbehaviour.stalled, misbehaviour.resets, misbehaviour.flooded, misbehaviour.garbage),
        coming_and_going.crowd,
    ):
        yield behave.__name__, partial(behave, stage, plan)


def populate(site: Servers, plan: Plan) -> None:
    """Let people sign up."""
    site.create_database()
    site.load(SCHEMA)
    site.sql(filling(plan.people))


def start(site: Servers, **environment: str) -> Daemon:
    """Start the server as an administrator does, with a log that can be read afterwards."""
    return Daemon({**site.environment(), "LOG_LEVEL": "info", **environment})


async def finish(stage: Stage, log_name: str, memory: tuple[int, int] | None = None) -> Outcome:
    """End the server, keep its log for whoever wants to know why, and sum up."""
    status, seconds, ends = await stage.close()
    good = sum(1 for end in ends if end in _GOOD_ENDS)
    log = stage.daemon.log
    _keep(log_name, log)
    if "Traceback" in log:
        stage.broken.append(f"{log.count('Traceback')} tracebacks are in the log")
    if "chaos-secret" in log:
        stage.broken.append("A token is in the log")
    farewell = Farewell(status, seconds, good, len(ends) - good)
    return Outcome(stage.rows, stage.ledger.tallies(), farewell, memory, stage.broken)


def _keep(name: str, log: str) -> None:
    folder = Path("build")
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(log)
