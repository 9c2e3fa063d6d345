"""The handle on `load.c`: readers, and the one who publishes."""

from __future__ import annotations

import json
import resource
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

from benchmarks.site import AUTHOR
from benchmarks.statuses import message
from benchmarks.subjects import BUILD, Running
from flodgatt_tx.demo.servers import Servers

Answer = dict[str, Any]

_API = "/api/v1/streaming"


class LoadError(Exception):
    """Readers were refused or thrown out, or deliveries were lost."""


def path(transport: str, stream: str, token: str) -> str:
    """Say what readers ask for: `ws` or `sse`, a stream without parameters, and their token."""
    if transport == "ws":
        return f"{_API}?stream={stream}&access_token={token}"
    return f"{_API}/{stream}?access_token={token}"


def most_readers() -> int:
    """Say how many readers one process may have here; the rest is for its other files."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 20_000 if hard == resource.RLIM_INFINITY else min(20_000, hard - 500)


class Load:
    """A `load` process; its readers leave when this is closed."""

    def __init__(
        self, site: Servers, server: Running, transport: str, path: str, channel: str, first: int
    ) -> None:
        self._scratch = tempfile.TemporaryDirectory()
        file = Path(self._scratch.name) / "message"
        file.write_bytes(message(AUTHOR))
        options = {
            "port": server.port,
            "redis-port": site.redis_port,
            "transport": transport,
            "path": path,
            "channel": server.channel or channel,
            "message": file,
            "first": first,
        }
        words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [str(BUILD / "load"), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let everybody leave."""
        self._process.communicate()
        self._scratch.cleanup()

    def open(self, readers: int) -> Answer:
        """Bring more readers, and wait until all have been let in."""
        return self._tell(f"open {readers}")

    def churn(self, readers: int) -> Answer:
        """Let some leave, and come again."""
        return self._tell(f"churn {readers}")

    def events(self, events: int, window: int) -> Answer:
        """Publish events, so many at a time, and wait until everybody has all."""
        return self._tell(f"events {events} {window}")

    def pace(self, events: int, rate: float) -> Answer:
        """Publish so many events in a second, and wait until everybody has all."""
        return self._tell(f"pace {events} {rate}")

    def _tell(self, command: str) -> Answer:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise LoadError(f"load has ended over {command!r}")
        return check(json.loads(line))


def check(answer: Answer) -> Answer:
    """
    Return what `load` has answered.

    :raises LoadError: if anything is missing.
    """
    missing = answer["wanted"] - answer["came"]
    if missing or answer["refused"] or answer["dropped"]:
        raise LoadError(
            f"{answer['command']}: {missing} of {answer['wanted']} did not come,"
            f" {answer['refused']} readers were refused, {answer['dropped']} thrown out"
        )
    return answer
