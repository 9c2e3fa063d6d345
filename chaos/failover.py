"""
Another Redis takes over, as Sentinel decides.
"""

from __future__ import annotations

import asyncio
import os
import signal

from chaos.bus import HOST, Bus
from chaos.plan import Plan
from chaos.population import seats
from chaos.redis_faults import Fault, suffer
from chaos.report import Farewell, Outcome
from chaos.restarting import start_again
from chaos.scenario import finish, populate, start
from chaos.sentinels import Sentinels
from chaos.stage import PATIENCE, Stage, within
from flodgatt_tx.demo import servers
from flodgatt_tx.demo.servers import Servers

NAME = "failover"
_READERS = 100


async def failover(plan: Plan) -> Outcome:
    """Let a Redis that Sentinels watch be replaced twice."""
    with (
        servers.start() as site,
        servers.start(
            ["redis"], redis_options=["--replicaof", HOST, str(site.redis_port)]
        ) as replica,
        Sentinels(site.redis_port) as sentinels,
    ):
        populate(site, plan)
        await within(PATIENCE, sentinels.know_each_other())
        try:
            daemon = start(site, **sentinels.environment)
        except AssertionError as error:
            return Outcome([], {}, Farewell(0, 0, 0, 0), broken=[f"It does not start: {error}"])
        chairs = seats(min(plan.readers, _READERS))
        stage = Stage(daemon, chairs, sentinels.master)
        try:
            await stage.open()
            for fault in _Takeovers(sentinels, (site, replica)).all():
                await within(2 * PATIENCE, sentinels.know_each_other())
                await suffer(stage, fault, plan.calm)
            return await finish(stage, "chaos-sentinel.log")
        finally:
            stage.kill()


class _Takeovers:
    """What makes one Redis of a *pair* take over from the other."""

    def __init__(self, sentinels: Sentinels, pair: tuple[Servers, Servers]) -> None:
        self._sentinels = sentinels
        self._pair = pair
        self._killed = pair[0]

    def all(self) -> list[Fault]:
        """Name them; the new one is there before any of them is mended."""
        return [
            Fault("failover asked for", self._ask, 0, _nothing),
            Fault("Redis killed, another takes over", self._kill, 0, self._revive),
        ]

    async def _kill(self) -> None:
        port = await self._sentinels.master()
        self._killed = next(site for site in self._pair if site.redis_port == port)
        os.kill(self._killed.pids["redis"], signal.SIGKILL)
        await self._another_than(port)

    async def _revive(self) -> None:
        await start_again(self._killed, "redis")

    async def _ask(self) -> None:
        port = await self._sentinels.master()
        await self._sentinels.fail_over()
        await self._another_than(port)
        # Until the old one knows, whoever publishes and whoever listens stays there.
        await within(PATIENCE, self._demoted(port))

    async def _demoted(self, port: int) -> None:
        role = "master"
        while role == "master":
            await asyncio.sleep(0.01)
            bus = await Bus.connect(port)
            try:
                role = (await bus("ROLE"))[0]
            except OSError:
                pass  # it hangs up just then
            finally:
                bus.close()

    async def _another_than(self, port: int) -> None:
        async def change() -> None:
            while await self._sentinels.master() == port:
                await asyncio.sleep(0.01)

        await within(PATIENCE, change())


async def _nothing() -> None:
    pass
