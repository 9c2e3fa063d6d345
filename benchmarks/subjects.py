"""What is measured: this server, another one, the floor."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Processes
from flodgatt_tx.demo.processes import HOST, free_port
from flodgatt_tx.demo.servers import Servers

ROOT = Path(__file__).absolute().parent.parent
BUILD = ROOT / "build" / "benchmarks"
OWN = "flodgatt_tx"
FLOOR = "floor"

_FLOOR_CHANNEL = "floor"
_PATIENCE = 60.0


class SubjectError(Exception):
    """A server did not start; the text says what it said."""


@dataclass(frozen=True)
class Running:
    """A server that runs; *channel* is the only one that it listens to, if there is just one."""

    name: str
    port: int
    processes: Processes
    channel: str | None


@dataclass(frozen=True)
class Subject:
    """
    A server that can be started.

    In its command `{port}` and `{redis_port}` stand for these, for those who read no variables.
    """

    name: str
    command: tuple[str, ...]
    channel: str | None = None

    @contextmanager
    def run(self, site: Servers) -> Iterator[Running]:
        """
        Start it, and end it afterwards.

        :raises SubjectError: if it does not listen.
        """
        port = free_port()
        command = self._command(port, site.redis_port)
        with tempfile.TemporaryDirectory() as nowhere:
            log = Path(nowhere) / "log"
            with log.open("wb") as output:
                process = subprocess.Popen(
                    command,
                    env=_environment(site, port),
                    cwd=nowhere,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            try:
                _wait_for(port, process, log)
                yield Running(self.name, port, Processes(process.pid), self.channel)
            finally:
                process.terminate()
                process.wait()

    def _command(self, port: int, redis_port: int) -> list[str]:
        places = {"{port}": str(port), "{redis_port}": str(redis_port)}
        return [places.get(word, word) for word in self.command]


def own() -> Subject:
    """Name this server, as administrators start it."""
    twistd = str(Path(sys.executable).with_name("twistd"))
    return Subject(OWN, (twistd, "-n", "--pidfile=", "flodgatt"))


def floor() -> Subject:
    """Name the loop that only sends."""
    program = str(BUILD / "floor")
    return Subject(FLOOR, (program, "{port}", "{redis_port}", _FLOOR_CHANNEL), _FLOOR_CHANNEL)


def other(words: str) -> Subject:
    """Name another server by `COMMAND` or `NAME=COMMAND`."""
    name, equals, command = words.partition("=")
    if not equals or not name.isidentifier():
        name, command = "other", words
    return Subject(name, tuple(shlex.split(command)))


def _environment(site: Servers, port: int) -> dict[str, str]:
    # Nothing else: a DATABASE_URL of this machine would win over ours.
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    ours = {"PYTHONPATH": str(ROOT), "PORT": str(port), "BIND": HOST, "LOG_LEVEL": "error"}
    return {**kept, **site.environment(), **ours}


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((HOST, port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise SubjectError(f"{process.args!r} did not start:\n{log.read_text()[-2000:]}")
