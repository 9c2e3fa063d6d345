"""
A server with its readers, and what is measured of both while something breaks.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from itertools import filterfalse
from typing import TypeVar

from chaos.bus import Address
from chaos.ledger import Ledger, Window
from chaos.population import Seat
from chaos.publisher import Publisher
from chaos.readers import HOST, Reader, SocketReader, StreamReader
from chaos.report import Row
from flodgatt_tx.streams import is_filtered
from tests.integration.site import API, Daemon, get

PATIENCE = 30.0  # seconds, for what should take two
_TOGETHER = 50  # readers that connect at once
Value = TypeVar("Value")


class Stage:
    """A *daemon* and readers in their *seats*; *address* says where Redis is at the moment."""

    def __init__(self, daemon: Daemon, seats: Sequence[Seat], address: Address) -> None:
        self.daemon = daemon
        self.address = address
        self.ledger = Ledger()
        self.rows: list[Row] = []
        self.broken: list[str] = []
        self.readers: list[Reader] = []
        self.channels = list(dict.fromkeys(name for seat in seats for name in seat.channels))
        self.streams = sum(len(seat.streams) for seat in seats)
        self._seats = seats
        self._ending = False
        self._publisher = Publisher(self.ledger, self.channels, address)
        self._tasks: list[asyncio.Task[None]] = []
        self._probe = subprocess.Popen(
            [sys.executable, "-m", "chaos.probe", str(daemon.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def keys(self) -> list[str]:
        """The keys by which Rails knows who listens."""
        return [f"subscribed:{name}" for name in filterfalse(is_filtered, self.channels)]

    async def open(self) -> None:
        """Let everybody in, and wait until each reader has heard something on each channel."""
        row = await self.begin("everybody connects")
        window = self.window()
        await in_turns([self._seat(seat) for seat in self._seats], _TOGETHER)
        self._tasks.append(asyncio.create_task(self._publisher.run()))
        try:
            await within(PATIENCE, self._all_have_heard())
        except TimeoutError:
            raise RuntimeError(f"nothing heard by {self.ledger.silent()[:10]}") from None
        window.end = time.monotonic()
        row.note = f"{len(self.readers)} readers on {len(self.channels)} channels"
        await self.end(row, 1)

    async def begin(self, name: str) -> Row:
        """Begin a new phase."""
        await self._longest_wait()
        self.ledger.phase = name
        self.rows.append(Row(name))
        return self.rows[-1]

    async def end(self, row: Row, calm: float) -> None:
        """End a phase, when its last events have had *calm* seconds to arrive."""
        await asyncio.sleep(calm)
        row.stall = await self._longest_wait()
        self._check_publisher()
        print(f"    {row.name}: {row.note or 'done'}", file=sys.stderr, flush=True)

    def window(self, filtered: bool = False) -> Window:
        """Open a time in which losses are allowed."""
        self.ledger.windows.append(Window(time.monotonic(), filtered))
        return self.ledger.windows[-1]

    async def first_delivery(self, moment: float) -> None:
        """Wait for a delivery of something that was published after *moment*."""
        self.ledger.ask_for_first(moment)
        while self.ledger.first is None:
            await asyncio.sleep(0.01)

    async def is_ready(self) -> bool:
        """Ask whether the server says that all is there."""
        status, _, _ = await asyncio.to_thread(get, self.daemon.port, f"{API}/health/ready")
        return status == 200

    async def readiness(self, ready: bool) -> None:
        """Wait until the server says that it is *ready*, or that it is not."""
        while await self.is_ready() is not ready:
            await asyncio.sleep(0.02)

    async def gaps(self) -> int:
        """Count the gaps that the server has told of."""
        return int(await asyncio.to_thread(self.daemon.metric, "redis_gaps_total"))

    async def clients(self) -> int:
        """Count the clients that the server knows of."""
        return int(await asyncio.to_thread(self.daemon.metric, "connected_clients"))

    async def is_left(self) -> bool:
        """Wait until nobody but the readers is connected; tell whether that came to pass."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while await self.clients() > self.present:
                    await asyncio.sleep(0.1)
                return True
        return False

    @property
    def present(self) -> int:
        """How many readers have not lost their connections."""
        return sum(1 for reader in self.readers if reader.ended is None)

    def resident(self) -> int:
        """Read how much memory the server has, in kB."""
        with open(f"/proc/{self.daemon.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    async def close(self) -> tuple[int, float, list[str]]:
        """End the server; return its exit status, how long it took, and how readers left."""
        self._quiet()
        there = [reader for reader in self.readers if reader.ended is None]
        started = time.monotonic()
        status = await asyncio.to_thread(self.daemon.stop)
        took = time.monotonic() - started
        await asyncio.sleep(0.2)
        return status, took, [reader.ended or "still connected" for reader in there]

    def kill(self) -> None:
        """End the server, if it still runs, without ceremony."""
        self._quiet()
        self.daemon.stop(signal.SIGKILL)

    def _quiet(self) -> None:
        self._ending = True
        for task in self._tasks:
            task.cancel()
        self._probe.kill()
        self._probe.wait()

    async def _seat(self, seat: Seat) -> None:
        kind = SocketReader if seat.websocket else StreamReader
        reader = kind(self.daemon.port, seat, self.ledger, self._left)
        self.ledger.join(seat.number, seat.channels)
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: reader, HOST, self.daemon.port)
        await within(PATIENCE, reader.opened)
        self.readers.append(reader)

    def _left(self, reader: Reader) -> None:
        if not self._ending:
            self.ledger.leave(reader.seat.number, time.monotonic())
            self.rows[-1].without_cause += 1

    async def _all_have_heard(self) -> None:
        while self.ledger.silent():
            await asyncio.sleep(0.1)

    async def _longest_wait(self) -> float:
        assert self._probe.stdin and self._probe.stdout
        self._probe.stdin.write("\n")
        self._probe.stdin.flush()
        return float(await asyncio.to_thread(self._probe.stdout.readline) or "nan")

    def _check_publisher(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()


async def within(seconds: float, what: Awaitable[Value]) -> Value:
    """
    Wait, but not forever.

    :raises TimeoutError: if it takes longer.
    """
    return await asyncio.wait_for(what, seconds)


async def seconds_after(moment: float, what: Awaitable[object]) -> float | None:
    """Wait for something; return how long after *moment* it came to pass, None if it did not."""
    with suppress(TimeoutError):
        await within(PATIENCE, what)
        return time.monotonic() - moment
    return None


async def in_turns(tasks: Sequence[Awaitable[Value]], together: int) -> list[Value]:
    """Wait for many, some at a time."""
    gate = asyncio.Semaphore(together)

    async def one(task: Awaitable[Value]) -> Value:
        async with gate:
            return await task

    return await asyncio.gather(*map(one, tasks))
