"""
Three Sentinels that watch one Redis and its replica.
"""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from chaos.bus import HOST, Bus
from flodgatt_tx.demo import processes

NAME = "chaos"
_CONFIGURATION = """
port {port}
bind {host}
sentinel monitor {name} {host} {master} 2
sentinel down-after-milliseconds {name} 1000
sentinel failover-timeout {name} 2000
"""
# They end with the pipe that we hold, however we end.
_KEEP = '"$0" "$1" --sentinel >/dev/null & cat >/dev/null; kill $!; wait'


class Sentinels:
    """Runs them, in a folder of their own, for a Redis on port *master*."""

    def __init__(self, master: int) -> None:
        self._master = master
        self._stack = ExitStack()
        self.ports: list[int] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
            program = processes.find_programs(folder).redis_server
            for _ in range(3):
                stack.callback(_end, self._start(folder, program))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def environment(self) -> dict[str, str]:
        """Mastodon's variables for them."""
        hosts = ",".join(f"{HOST}:{port}" for port in self.ports)
        return {"REDIS_SENTINELS": hosts, "REDIS_SENTINEL_MASTER": NAME}

    async def master(self) -> int:
        """
        Ask for the port of the Redis that counts.

        :raises OSError: if nobody answers.
        """
        bus = await Bus.connect(self.ports[0])
        try:
            return int((await bus("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME))[1])
        finally:
            bus.close()

    async def fail_over(self) -> None:
        """Let the replica take over from a Redis that is well."""
        bus = await Bus.connect(self.ports[0])
        try:
            await bus("SENTINEL", "FAILOVER", NAME)
        finally:
            bus.close()

    async def know_each_other(self) -> None:
        """Wait until each knows the two others, and a replica that is in step."""
        for port in self.ports:
            while not await _is_ready(port):
                await asyncio.sleep(0.1)

    def _start(self, folder: Path, program: Path) -> subprocess.Popen[bytes]:
        port = processes.free_port()
        path = folder / f"{port}.conf"
        path.write_text(_CONFIGURATION.format(port=port, host=HOST, name=NAME, master=self._master))
        self.ports.append(port)
        words = ["sh", "-c", _KEEP, str(program), str(path)]
        return subprocess.Popen(words, stdin=subprocess.PIPE, cwd=folder, start_new_session=True)


async def _is_ready(port: int) -> bool:
    try:
        bus = await Bus.connect(port)
    except OSError:
        return False
    try:
        others = await bus("SENTINEL", "SENTINELS", NAME)
        replicas = [_facts(words) for words in await bus("SENTINEL", "REPLICAS", NAME)]
        links = [facts["master-link-status"] for facts in replicas if facts["flags"] == "slave"]
        return len(others) == 2 and "ok" in links
    finally:
        bus.close()


def _facts(words: list[str]) -> dict[str, str]:
    return dict(zip(words[::2], words[1::2], strict=True))


def _end(keeper: subprocess.Popen[bytes]) -> None:
    assert keeper.stdin
    keeper.stdin.close()
    keeper.wait()
