"""
PostgreSQL goes, hangs, and has no connection left.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress

import psycopg2
import psycopg2.extensions

from chaos.plan import Plan
from chaos.population import token
from chaos.readers import API, HOST, Body, get, handshake
from chaos.redis_faults import Act, Fault
from chaos.report import POSTGRESQL, RETURN, Row
from chaos.restarting import start_again
from chaos.stage import PATIENCE, Stage, seconds_after, within
from flodgatt_tx.demo.servers import DATABASE, Servers
from tests.integration.site import family

LATEST_REFUSAL = 16.0  # seconds: the lookup's deadline, and one for the way
_GUEST = 1  # somebody who signs in anew


async def suffer(stage: Stage, fault: Fault, servers: Servers, calm: float) -> Row:
    """Let a fault of PostgreSQL happen; what is not judged must go on as if nothing were."""
    row = await stage.begin(fault.name)
    row.away = POSTGRESQL
    window = stage.window(filtered=True)
    await fault.breaks()
    admitting = asyncio.create_task(stage.readiness(False))
    refused = asyncio.create_task(_refusals(stage))
    await asyncio.sleep(fault.hold)
    refusals = await refused
    row.long, row.admitted = True, admitting.done()
    admitting.cancel()
    coming = asyncio.create_task(asyncio.to_thread(_answers, servers))
    await fault.mends()
    returned = await within(PATIENCE, coming)
    window.end = returned + RETURN
    row.let_in, row.ready = await asyncio.gather(
        seconds_after(returned, _let_in(stage)),
        seconds_after(returned, stage.readiness(True)),
    )
    if row.let_in is not None:
        window.end = min(window.end, returned + row.let_in)
        row.outage = returned + row.let_in - window.start
    for problem in refusals:
        stage.broken.append(f"{fault.name}: {problem}")
    row.note = "nobody let in again" if row.let_in is None else f"let in after {row.let_in:.2f} s"
    await stage.end(row, calm)
    return row


async def ask(port: int, request: bytes) -> Body:
    """Make a request, and return the answer as far as its head."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(request)
        body = Body()
        while not body.status:
            data = await reader.read(65536)
            if not data:
                raise ConnectionError("hung up on without an answer")
            body.feed(data)
        return body
    finally:
        writer.close()


async def _refusals(stage: Stage) -> list[str]:
    """Try to come in, by both doors; say what is wrong with the refusal."""
    doors = {"SSE": get(f"{API}/user", token(_GUEST)), "WebSocket": handshake(token(_GUEST))}
    problems = await asyncio.gather(
        *(_refusal(stage.daemon.port, request) for request in doors.values())
    )
    return [f"{door}: {problem}" for door, problem in zip(doors, problems, strict=True) if problem]


async def _refusal(port: int, request: bytes) -> str | None:
    started = time.monotonic()
    try:
        answer = await within(PATIENCE, ask(port, request))
    except (OSError, TimeoutError) as error:
        return f"no answer to a new client ({type(error).__name__})"
    took = time.monotonic() - started
    if answer.status != 503 or b"\r\nretry-after: " not in answer.head:
        return f"a new client got {answer.status}, not 503 with Retry-After"
    return f"a new client was refused after {took:.1f} s only" if took > LATEST_REFUSAL else None


async def _let_in(stage: Stage) -> None:
    while True:
        answer = await ask(stage.daemon.port, get(f"{API}/user", token(_GUEST)))
        if answer.status == 200:
            return
        await asyncio.sleep(0.02)


def _answers(servers: Servers) -> float:
    while True:
        with suppress(psycopg2.Error):
            servers.sql("SELECT 1")
            return time.monotonic()
        time.sleep(0.01)


class DatabaseFaults:
    """The faults of the PostgreSQL that *servers* keep."""

    def __init__(self, servers: Servers, plan: Plan) -> None:
        self._servers = servers
        self._plan = plan
        self._stopped: list[int] = []
        self._hoard: list[psycopg2.extensions.connection] = []

    def all(self) -> list[Fault]:
        """Name them, in the order in which they shall happen."""
        away, hang = self._plan.away, self._plan.hang
        acts: list[tuple[str, Act, float, Act]] = [
            ("PostgreSQL restarted (fast)", self._stop, away, self._start),
            ("PostgreSQL restarted (immediate)", self._quit, away, self._start),
            (f"PostgreSQL stopped for {hang:.0f} s", self._freeze, hang, self._thaw),
            ("PostgreSQL without free connections", self._exhaust, away, self._release),
        ]
        return [Fault(*words) for words in acts]

    async def _stop(self) -> None:
        await asyncio.to_thread(self._servers.stop_server, "postgres")

    async def _quit(self) -> None:
        os.kill(self._servers.pids["postgres"], signal.SIGQUIT)

    async def _start(self) -> None:
        await start_again(self._servers, "postgres")

    async def _freeze(self) -> None:
        """Stop the postmaster first, lest it make more processes."""
        postmaster = self._servers.pids["postgres"]
        os.kill(postmaster, signal.SIGSTOP)
        self._stopped = family(postmaster)
        self._signal(signal.SIGSTOP)

    async def _thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for pid in reversed(self._stopped):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    async def _exhaust(self) -> None:
        await asyncio.to_thread(self._hoard_all)

    def _hoard_all(self) -> None:
        """Take every connection, those of the server too."""
        first = self._connect()
        self._hoard = [first]
        with first.cursor() as cursor:
            cursor.execute("SHOW max_connections")
            ((most,),) = cursor.fetchall()
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                with suppress(psycopg2.OperationalError):
                    while True:
                        self._hoard.append(self._connect())
                if len(self._hoard) == int(most):
                    return
                mine = [connection.info.backend_pid for connection in self._hoard]
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = %s AND pid <> ALL (%s)",
                    (DATABASE, mine),
                )
        raise TimeoutError("the server keeps its connections")

    def _connect(self) -> psycopg2.extensions.connection:
        where = self._servers.environment()
        connection = psycopg2.connect(
            host=where["DB_HOST"], port=where["DB_PORT"], user=where["DB_USER"], dbname=DATABASE
        )
        connection.autocommit = True
        return connection

    async def _release(self) -> None:
        for connection in self._hoard:
            connection.close()
        self._hoard.clear()
