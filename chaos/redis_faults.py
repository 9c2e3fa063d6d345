"""
Redis goes, hangs, refuses and hangs up.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from chaos.bus import Bus, back, has_keys, subscribed
from chaos.plan import Plan
from chaos.report import REDIS, RETURN, Row
from chaos.restarting import start_again
from chaos.stage import PATIENCE, Stage, seconds_after, within
from flodgatt_tx.demo.servers import Servers

NOTICED = 21.0  # seconds, for one that neither answers nor hangs up: two periods of PING
_LOADED = 20_000  # keys, which Redis takes two seconds to load
OPTIONS = ("--key-load-delay", "100", "--loading-process-events-interval-bytes", "1024")
_HANG_UP_ALL = [("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes") for kind in ("pubsub", "normal")]
Act = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is broken for a while; what falls *silent* is noticed later."""

    name: str
    breaks: Act
    hold: float
    mends: Act
    silent: bool = False


async def suffer(stage: Stage, fault: Fault, calm: float) -> Row:
    """Let a fault of Redis happen, and measure how long the server takes to recover."""
    row = await stage.begin(fault.name)
    row.away = REDIS
    gaps = await stage.gaps()
    window = stage.window()
    await fault.breaks()
    admitting = asyncio.create_task(stage.readiness(False))
    await asyncio.sleep(fault.hold)
    row.long = bool(fault.hold) and (not fault.silent or fault.hold > NOTICED)
    row.admitted = admitting.done()
    admitting.cancel()
    coming = asyncio.create_task(back(stage.address))
    await fault.mends()
    bus, returned = await within(PATIENCE, coming)
    beside, _ = await back(stage.address)
    window.end = returned + RETURN
    row.resubscribed, row.keys_written, row.first_delivery, row.ready = await asyncio.gather(
        seconds_after(returned, subscribed(bus, stage.channels)),
        seconds_after(returned, has_keys(beside, stage.keys)),
        seconds_after(returned, stage.first_delivery(returned)),
        seconds_after(returned, stage.readiness(True)),
    )
    if row.resubscribed is not None:
        window.end = min(window.end, returned + row.resubscribed)
        row.outage = returned + row.resubscribed - window.start
    beside.close()
    row.gaps = await stage.gaps() - gaps
    bus.close()
    row.note = note(row)
    await stage.end(row, calm)
    return row


def note(row: Row) -> str:
    """Write what was measured, for whoever watches."""
    times = (row.resubscribed, row.first_delivery, row.keys_written)
    words = ("subscribed again", "first delivery", "keys written")
    told = zip(words, times, strict=True)
    return ", ".join(f"{word} {'never' if s is None else f'{s:.2f} s'}" for word, s in told)


class RedisFaults:
    """The faults of the Redis that *servers* keep."""

    def __init__(self, servers: Servers, plan: Plan) -> None:
        self._servers = servers
        self._plan = plan
        self._held: Bus | None = None

    def all(self) -> list[Fault]:
        """Name them, in the order in which they shall happen."""
        away = self._plan.away
        return [
            Fault("Redis restarted", self._stop, away, self._start),
            Fault("Redis killed", self._kill, away, self._start),
            *(
                Fault(f"Redis stopped for {silence:.0f} s", self._freeze, silence, self._thaw, True)
                for silence in self._plan.silences
            ),
            Fault("CLIENT KILL TYPE pubsub", self._hang_up, 0, _nothing),
            Fault("output buffer too long", self._overflow, 0, self._widen),
            Fault("maxclients", self._fill, away, self._empty),
            Fault("NOAUTH", self._lock, away, self._unlock),
            Fault("LOADING", self._stop_full, 0, self._start),
            Fault("all keys lost", self._forget, 0, self._start),
        ]

    async def _tell(self, *commands: tuple[object, ...]) -> None:
        bus = await Bus.connect(self._servers.redis_port)
        try:
            for command in commands:
                await bus(*command)
        finally:
            bus.close()

    async def _stop(self) -> None:
        await asyncio.to_thread(self._servers.stop_server, "redis")

    async def _start(self) -> None:
        await start_again(self._servers, "redis")

    async def _kill(self) -> None:
        os.kill(self._servers.pids["redis"], signal.SIGKILL)

    async def _freeze(self) -> None:
        os.kill(self._servers.pids["redis"], signal.SIGSTOP)

    async def _thaw(self) -> None:
        os.kill(self._servers.pids["redis"], signal.SIGCONT)

    async def _hang_up(self) -> None:
        await self._tell(("CLIENT", "KILL", "TYPE", "pubsub"))

    async def _overflow(self) -> None:
        """Publish more at once than a subscriber may leave unread."""
        message = b'{"event":"delete","payload":"%s"}' % (b"1" * 2_000_000)
        await self._tell(
            ("CONFIG", "SET", "client-output-buffer-limit", "pubsub 100kb 0 0"),
            # A channel that the server hears for itself: no reader is sent this.
            ("PUBLISH", "timeline:access_token:1", message),
        )

    async def _widen(self) -> None:
        await self._tell(("CONFIG", "SET", "client-output-buffer-limit", "pubsub 32mb 8mb 60"))

    async def _fill(self) -> None:
        """Hold the one connection that is allowed."""
        self._held = await Bus.connect(self._servers.redis_port)
        for command in (("CONFIG", "SET", "maxclients", "1"), *_HANG_UP_ALL):
            await self._held(*command)

    async def _empty(self) -> None:
        assert self._held
        await self._held("CONFIG", "SET", "maxclients", "10000")
        self._held.close()

    async def _lock(self) -> None:
        await self._tell(("CONFIG", "SET", "requirepass", "sesame"), *_HANG_UP_ALL)

    async def _unlock(self) -> None:
        await self._tell(("AUTH", "sesame"), ("CONFIG", "SET", "requirepass", ""))

    async def _stop_full(self) -> None:
        """Stop it with so many keys on disk that it needs a while to come back."""
        script = "for n = 1, ARGV[1] do redis.call('SET', 'chaos' .. n, n) end"
        await self._tell(("EVAL", script, 0, _LOADED), ("SAVE",))
        await self._stop()

    async def _forget(self) -> None:
        await self._tell(("FLUSHALL",), ("SAVE",))
        await self._stop()


async def _nothing() -> None:
    pass
