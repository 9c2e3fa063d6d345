"""
Single server processes: a Redis or a PostgreSQL in a directory of its own, on a free port.

Only the standard library, nothing about when they begin and end: that is `guardian`'s.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from flodgatt_tx.demo import programs
from flodgatt_tx.demo.programs import Identity, Programs, ProgramsError

HOST = "127.0.0.1"
POSTGRES_USER = "postgres"
Process = subprocess.Popen[bytes]

_PATIENCE = 30.0
_TURN = 0.01
# What each may be told, gently first. A postmaster that is killed would leave its children and a
# shared memory segment behind, one that gets SIGQUIT takes them along.
_FAREWELLS = {
    "redis": (signal.SIGTERM, signal.SIGKILL),
    "postgres": (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL),
}
_TUNING = {
    "listen_addresses": HOST,
    "max_connections": "200",
    "timezone": "UTC",
    # The data lives for minutes: speed is all that counts.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    # In the data directory, so that it goes away with it whatever happens.
    "dynamic_shared_memory_type": "mmap",
}


class ServerError(Exception):
    """A server did not start; the text says why, as far as the server did."""


def identity() -> Identity:
    """Choose whose rights servers run with: PostgreSQL refuses root's."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def find_programs(directory: Path) -> Programs:
    """Find the programs; copies in *directory* if *nobody* cannot reach them where they are."""
    who = identity()
    try:
        return programs.find(who)
    except ProgramsError:
        if not who or not programs.bundle().is_dir():
            raise
    # A checkout under /root, say, is closed to the user that the servers run as.
    copy = directory / "programs"
    shutil.copytree(programs.bundle(), copy)
    return programs.find(who, bundled=copy)


def free_port() -> int:
    """Find a port that nobody listens on; somebody may before you do."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def redis(directory: Path, port: int, program: Path, options: Iterable[str] = ()) -> Process:
    """
    Start a Redis without persistence, and return when it answers.

    :raises ServerError: if it does not.
    """
    plain = ["--bind", HOST, "--port", str(port), "--save", "", "--appendonly", "no"]
    command = [str(program), *plain, "--dir", str(directory), "--daemonize", "no", *options]
    log = directory / "redis.log"
    process = _popen(command, directory, log)
    # Its log, because with a password or TLS it would not answer a plain PING.
    return _await("redis", process, log, lambda: b"eady to accept connections" in log.read_bytes())


def initdb(directory: Path, program: Path) -> None:
    """
    Make an empty cluster where everybody who reaches it may do everything.

    :raises ServerError: if it cannot be made.
    """
    data, log = directory / "postgres", directory / "initdb.log"
    plain = ["-A", "trust", "-U", POSTGRES_USER, "-E", "UTF8", "--locale=C", "--no-sync"]
    process = _popen([str(program), "-D", str(data), *plain], directory, log)
    try:
        failed = process.wait()
    finally:
        # It tidies up after itself if we are told to end while it works.
        process.terminate()
        process.wait()
    if failed:
        raise ServerError(f"initdb failed: {_end_of(log)}")


def postgres(directory: Path, port: int, program: Path) -> Process:
    """
    Start PostgreSQL on the cluster in *directory*, and return when it accepts connections.

    :raises ServerError: if it does not.
    """
    data, log = directory / "postgres", directory / "postgres.log"
    tuning = {**_TUNING, "unix_socket_directories": _socket_directory(directory)}
    settings = [word for name, value in tuning.items() for word in ("-c", f"{name}={value}")]
    command = [str(program), "-D", str(data), "-p", str(port), *settings]
    process = _popen(command, directory, log)
    status = data / "postmaster.pid"

    def ready() -> bool:
        # This is how pg_ctl knows: first line the process, eighth line its state.
        lines = status.read_text().splitlines() if status.exists() else []
        return len(lines) > 7 and lines[0] == str(process.pid) and lines[7].strip() == "ready"

    return _await("postgres", process, log, ready)


def on_some_port(port: int, start: Callable[[int], Process]) -> tuple[int, Process]:
    """
    Start a server on *port*, or on any free one if that is 0.

    :raises ServerError: if it does not start.
    """
    if port:
        return port, start(port)
    for _ in range(4):
        port = free_port()
        try:
            return port, start(port)
        except ServerError as error:
            # Between looking and listening somebody else may have taken it.
            failure = error
    raise failure


def end(processes: Sequence[tuple[str, Process]], patience: float = 5.0) -> None:
    """End servers, all at once, more and more firmly; return when they are gone."""
    for step in range(3):
        running = [(name, process) for name, process in processes if process.poll() is None]
        for name, process in running:
            farewells = _FAREWELLS[name]
            process.send_signal(farewells[min(step, len(farewells) - 1)])
            # One that was stopped would not hear anything else.
            process.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and any(p.poll() is None for _, p in running):
            time.sleep(_TURN)
    for _, process in processes:
        process.wait()


def _popen(command: list[str], directory: Path, log: Path) -> Process:
    # PGHOST and the like are meant for clients of other databases; messages come in English.
    environment = {name: value for name, value in os.environ.items() if name[:2] != "PG"}
    environment |= {"LC_ALL": "C"}
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            **identity(),
        )


def _await(name: str, process: Process, log: Path, ready: Callable[[], bool]) -> Process:
    try:
        _watch(name, process, log, ready)
    except BaseException:
        # Nobody else knows of this process yet.
        end([(name, process)])
        raise
    return process


def _watch(name: str, process: Process, log: Path, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not ready():
        if process.poll() is not None:
            raise ServerError(f"{name} ended with status {process.returncode}: {_end_of(log)}")
        if time.monotonic() > deadline:
            raise ServerError(f"{name} did not answer within {_PATIENCE:.0f} s: {_end_of(log)}")
        time.sleep(_TURN)


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace").strip()[-500:]


def _socket_directory(directory: Path) -> str:
    # The path of a UNIX socket may have 107 bytes; a long TMPDIR leaves TCP only.
    fits = len(os.fsencode(directory / ".s.PGSQL.65535.lock")) <= 107
    return str(directory) if fits and "," not in str(directory) else ""
