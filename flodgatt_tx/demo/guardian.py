"""
The process that owns the servers of a demonstration, and outlives nobody who needs them.

`python -m flodgatt_tx.demo.guardian '{"servers": ["redis", "postgres"]}'` starts them in a
temporary directory and writes one line of JSON to standard output: either what runs where,

    {"redis_port": 1, "postgres_port": 2, "directory": "/tmp/…",
     "pids": {"redis": 3, "postgres": 4}}

or `{"error": "…"}`. Each line `start NAME` or `stop NAME` on standard input is answered likewise.
Standard input is a pipe that the parent holds: when it ends, because the parent did in whatever
way, even by SIGKILL, the servers are ended and the directory is removed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flodgatt_tx.demo import processes
from flodgatt_tx.demo.processes import Process, ServerError
from flodgatt_tx.demo.programs import ProgramsError

_GLANCE = 0.5


class Guardian:
    """Starts, watches and ends the servers in one directory."""

    def __init__(self, directory: Path, options: dict[str, Any]) -> None:
        self._directory = directory
        self._programs = processes.find_programs(directory)
        self._redis_options = [str(option) for option in options.get("redis_options", ())]
        self._ports = {
            "redis": int(options.get("redis_port", 0)),
            "postgres": int(options.get("postgres_port", 0)),
        }
        self._running: dict[str, Process] = {}

    def obey(self, command: str) -> None:
        """
        Do what a line says: `start NAME` or `stop NAME`.

        :raises ServerError: if it cannot be done.
        """
        match command.split():
            case ["start", ("redis" | "postgres") as name]:
                self.start(name)
            case ["stop", ("redis" | "postgres") as name] if name in self._running:
                processes.end([(name, self._running.pop(name))])
            case _:
                raise ServerError(f"cannot do this: {command}")

    def start(self, name: str) -> None:
        """
        Start the server called *name*, on the port it had before if it did run before.

        :raises ServerError: if it does not start.
        """
        if name in self._running:
            raise ServerError(f"{name} is running")
        if name == "postgres" and not (self._directory / "postgres").exists():
            processes.initdb(self._directory, self._programs.initdb)
        port, process = processes.on_some_port(self._ports[name], getattr(self, f"_{name}"))
        self._ports[name] = port
        self._running[name] = process

    def _redis(self, port: int) -> Process:
        program = self._programs.redis_server
        return processes.redis(self._directory, port, program, self._redis_options)

    def _postgres(self, port: int) -> Process:
        return processes.postgres(self._directory, port, self._programs.postgres)

    def state(self) -> dict[str, object]:
        """Say what runs where."""
        return {
            "redis_port": self._ports["redis"],
            "postgres_port": self._ports["postgres"],
            "directory": str(self._directory),
            "pids": {name: process.pid for name, process in self._running.items()},
        }

    def mourn(self) -> None:
        """Tell of servers that ended by themselves."""
        for name, process in list(self._running.items()):
            if process.poll() is not None:
                del self._running[name]
                _complain(f"{name} has ended by itself, status {process.returncode}")

    def end(self) -> None:
        """End all servers."""
        processes.end(list(self._running.items()))
        self._running.clear()


def run(options: dict[str, Any]) -> None:
    """Start the servers that *options* name and serve until standard input ends."""
    with _directory() as directory:
        guardian = Guardian(directory, options)
        try:
            for name in options.get("servers", ("redis", "postgres")):
                guardian.start(name)
            _say(guardian.state())
            for command in _lines(guardian):
                try:
                    guardian.obey(command)
                except ServerError as error:
                    _say({"error": str(error)})
                else:
                    _say(guardian.state())
        finally:
            # A second signal must not interrupt the tidying up.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            guardian.end()


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    who = processes.identity()
    # Root's own TMPDIR may be closed to the user that the servers run as.
    directory = Path(tempfile.mkdtemp(prefix="flodgatt-demo-", dir="/tmp" if who else None))
    try:
        if who:
            os.chown(directory, who["user"], who["group"])
        yield directory
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        shutil.rmtree(directory, ignore_errors=True)


def _lines(guardian: Guardian) -> Iterator[str]:
    """Yield the lines of standard input as they come, looking after *guardian* meanwhile."""
    buffer = b""
    while True:
        readable, _, _ = select.select([0], [], [], _GLANCE)
        guardian.mourn()
        if not readable:
            continue
        received = os.read(0, 4096)
        if not received:
            return
        *lines, buffer = (buffer + received).split(b"\n")
        yield from (line.decode() for line in lines)


def _say(fact: dict[str, object]) -> None:
    print(json.dumps(fact), flush=True)


def _complain(text: str) -> None:
    # The terminal may be gone already; that must not keep us from tidying up.
    with contextlib.suppress(OSError):
        print(f"flodgatt_tx.demo: {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Run with the options in the first argument, and return an exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        run(json.loads(sys.argv[1]) if len(sys.argv) > 1 else {})
    except BrokenPipeError:
        # The parent ended before it heard the answer; what it started is tidied up by now.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except (ServerError, ProgramsError, OSError) as error:
        _say({"error": str(error)})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
