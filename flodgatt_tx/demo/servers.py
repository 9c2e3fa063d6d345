"""
A running Redis and PostgreSQL, as the process that wanted them sees them.

Everything here blocks: it is for before the reactor runs, for threads, and for tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import psycopg2
import psycopg2.extensions
import psycopg2.sql

import flodgatt_tx
from flodgatt_tx.demo.processes import HOST, POSTGRES_USER, ServerError

DATABASE = "mastodon_development"

__all__ = ["DATABASE", "ServerError", "Servers", "start"]


class Servers:
    """The servers that one guardian keeps; `stop` them, or just end: the guardian notices."""

    host = HOST

    def __init__(self, guardian: subprocess.Popen[str]) -> None:
        self._guardian = guardian
        self._state = self._hear()

    @property
    def redis_port(self) -> int:
        """Where Redis listens."""
        return int(self._state["redis_port"])

    @property
    def postgres_port(self) -> int:
        """Where PostgreSQL listens."""
        return int(self._state["postgres_port"])

    @property
    def directory(self) -> Path:
        """Where they keep their files; PostgreSQL's UNIX socket is here too."""
        return Path(self._state["directory"])

    @property
    def pids(self) -> dict[str, int]:
        """The processes of `redis` and `postgres`, for tests that stop or kill them."""
        return dict(self._state["pids"])

    def _hear(self) -> dict[str, Any]:
        assert self._guardian.stdout is not None
        line = self._guardian.stdout.readline()
        answer: dict[str, Any] = json.loads(line or '{"error": "the guardian ended"}')
        if "error" in answer:
            raise ServerError(answer["error"])
        return answer

    def _tell(self, command: str) -> None:
        assert self._guardian.stdin is not None
        self._guardian.stdin.write(f"{command}\n")
        self._guardian.stdin.flush()
        self._state = self._hear()

    def start_server(self, name: str) -> None:
        """
        Start `redis` or `postgres` again, on the port it had; PostgreSQL keeps its data.

        :raises ServerError: if it does not start.
        """
        self._tell(f"start {name}")

    def stop_server(self, name: str) -> None:
        """
        End `redis` or `postgres` and go on with the other.

        :raises ServerError: if it does not run.
        """
        self._tell(f"stop {name}")

    def stop(self) -> None:
        """End everything; when this returns, no process and no directory is left."""
        for pipe in (self._guardian.stdin, self._guardian.stdout):
            assert pipe is not None
            pipe.close()
        self._guardian.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def environment(self, database: str = DATABASE) -> dict[str, str]:
        """Write down where everything is, in Mastodon's environment variables."""
        return {
            "NODE_ENV": "development",
            "DB_HOST": HOST,
            "DB_PORT": str(self.postgres_port),
            "DB_USER": POSTGRES_USER,
            "DB_NAME": database,
            "REDIS_HOST": HOST,
            "REDIS_PORT": str(self.redis_port),
        }

    def sql(
        self, text: str, values: Sequence[object] | None = None, *, database: str = DATABASE
    ) -> list[tuple[Any, ...]]:
        """Run SQL in a transaction of its own; return the rows of the last statement."""
        connection = self._connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(text, values)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def load(self, path: Path, *, database: str = DATABASE) -> None:
        """Run a file of SQL."""
        self.sql(path.read_text(encoding="utf-8"), database=database)

    def create_database(self, name: str = DATABASE, *, template: str = "template1") -> None:
        """Create a database; with *template*, as a copy of one that nobody is connected to."""
        connection = self._connect("postgres")
        create = psycopg2.sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            psycopg2.sql.Identifier(name), psycopg2.sql.Identifier(template)
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute(create)
        finally:
            connection.close()

    def _connect(self, database: str) -> psycopg2.extensions.connection:
        connection = psycopg2.connect(
            host=HOST, port=self.postgres_port, user=POSTGRES_USER, dbname=database
        )
        connection.autocommit = True
        return connection


def start(
    names: Iterable[str] = ("redis", "postgres"),
    *,
    redis_port: int = 0,
    postgres_port: int = 0,
    redis_options: Iterable[str] = (),
) -> Servers:
    """
    Start the servers called *names*, on free ports unless some are given.

    :param redis_options: more words for redis-server's command line.
    :raises ServerError: if one does not start.
    """
    options = {
        "servers": list(names),
        "redis_port": redis_port,
        "postgres_port": postgres_port,
        "redis_options": list(redis_options),
    }
    guardian = subprocess.Popen(
        # Without -P any folder that this was started in could stand for a module.
        [sys.executable, "-P", "-m", "flodgatt_tx.demo.guardian", json.dumps(options)],
        env={**os.environ, "PYTHONPATH": _import_path()},
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Ctrl-C reaches the whole foreground group; the guardian must outlive it to tidy up.
        start_new_session=True,
    )
    try:
        return Servers(guardian)
    except ServerError:
        guardian.communicate()
        raise


def _import_path() -> str:
    here = str(Path(flodgatt_tx.__file__).absolute().parent.parent)
    return os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
