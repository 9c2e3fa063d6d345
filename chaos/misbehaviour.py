"""
Clients that do not read, do not stop, do not begin, or do not speak the language.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

from chaos.bus import Bus, encode
from chaos.coming_and_going import leave_nothing
from chaos.guests import Guest, come, requests
from chaos.plan import Plan
from chaos.population import home, token
from chaos.readers import API, HOST, get, handshake
from chaos.stage import PATIENCE, Stage, within

_LARGE = b'{"event":"update","payload":{"id":"1","content":"%s"}}' % (b"large " * 20_000)
_MOST = 400  # of those, 48 MB: more than all buffers on the way may hold
_SLOWEST = 80.0  # seconds that a handshake may take, at most


async def stalled(stage: Stage, plan: Plan) -> None:
    """Let some clients of one account read nothing, while much is written to them."""
    row = await stage.begin(f"{plan.stalled} readers stalled")
    someone = plan.people - 1
    asleep = [_asleep(stage.daemon.port, someone, bool(n % 2)) for n in range(plan.stalled)]
    bus = await Bus.connect(await stage.address())
    channel = home(someone).channels[0]
    while not (await bus("PUBSUB", "NUMSUB", channel))[1]:
        await asyncio.sleep(0.01)
    while await stage.clients() < stage.present + plan.stalled:
        await asyncio.sleep(0.01)
    written = 0
    while written < _MOST and await stage.clients() > stage.present:
        for _ in range(5):
            await bus("PUBLISH", channel, _LARGE)
        written += 5
        await asyncio.sleep(0.1)
    await stage.is_left()
    row.for_cause = plan.stalled - max(await stage.clients() - stage.present, 0)
    row.note = (
        f"{row.for_cause} cut off, when {written * len(_LARGE) / 1e6:.0f} MB had been published"
    )
    if row.for_cause < plan.stalled:
        stage.broken.append(f"{row.name}: only {row.for_cause} of them were cut off")
    for client in asleep:
        client.close()
    bus.close()
    await leave_nothing(stage, row.name)
    await stage.end(row, plan.calm)


def _asleep(port: int, number: int, websocket: bool) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((HOST, port))
    who = token(number)
    client.sendall(handshake(who, "?stream=user") if websocket else get(f"{API}/user", who))
    return client


async def resets(stage: Stage, plan: Plan) -> None:
    """Let clients vanish at once, in the middle of what they are sent."""
    row = await stage.begin(f"{plan.resets} readers reset")
    source = requests(plan.people)
    guests = [await come(stage.daemon.port, *next(source)) for _ in range(plan.resets)]
    for number, guest in enumerate(guests):
        if number % 4:  # the fourth does not even wait for the answer
            await within(PATIENCE, guest.status())
    for guest in guests:
        guest.leave("reset")
    await leave_nothing(stage, row.name)
    await stage.end(row, plan.calm)


async def flooded(stage: Stage, plan: Plan) -> None:
    """Let one client say thousands of things at once."""
    row = await stage.begin(f"one sends {plan.commands} commands")
    guest = await come(stage.daemon.port, handshake(token(plan.people - 2)), True)
    await within(PATIENCE, guest.status())
    started = time.monotonic()
    listening = asyncio.create_task(_until_pong(guest))
    with suppress(OSError):
        for number in range(plan.commands):
            guest.writer.write(_frame(0x81, _command(number)))
            if number % 100 == 0:
                await guest.writer.drain()
        guest.writer.write(_frame(0x89, b"enough"))
    outcome = await within(2 * PATIENCE, listening)
    row.for_cause = int(outcome != "served")
    row.note = f"{outcome} after {time.monotonic() - started:.1f} s"
    guest.leave("reset")
    await leave_nothing(stage, row.name)
    await stage.end(row, plan.calm)


def _command(number: int) -> bytes:
    stream = b'"stream":"hashtag","tag":"flood%d"' % (number // 2)
    kinds = (b'{"type":"subscribe",%s}', b'{"type":"unsubscribe",%s}')
    return kinds[number % 2] % stream if number % 10 else b"[" * 1000


def _frame(head: int, payload: bytes) -> bytes:
    """Write a frame as clients do, masked with zeroes."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes([head]) + length + bytes(4) + payload


async def _until_pong(guest: Guest) -> str:
    received = b""
    try:
        while b"\x8a\x06enough" not in received:
            data = await guest.reader.read(65536)
            if not data:
                return f"closed with {_close_code(received)}"
            received = received[-200:] + data
    except OSError:
        return "reset"
    return "served"


def _close_code(received: bytes) -> str:
    at = received.rfind(b"\x88")
    return str(int.from_bytes(received[at + 2 : at + 4], "big")) if at >= 0 else "no code"


class SlowHandshakes:
    """Clients that take their time with the first line; they go on beside other faults."""

    def __init__(self, stage: Stage, plan: Plan) -> None:
        self._port = stage.daemon.port
        self._plan = plan
        self._trickles = [asyncio.create_task(self._trickle()) for _ in range(plan.slow)]

    async def _trickle(self) -> float | None:
        """Send byte by byte; return after how long the server has had enough."""
        reader, writer = await asyncio.open_connection(HOST, self._port)
        started = time.monotonic()
        line = f"GET {API}/user?padding={'x' * 1000}".encode()
        ended = asyncio.create_task(reader.read())
        try:
            for at in range(int(_SLOWEST)):
                writer.write(line[at : at + 1])
                if (await asyncio.wait([ended], timeout=1))[0]:
                    return time.monotonic() - started
            return None
        finally:
            ended.cancel()
            with suppress(OSError, asyncio.CancelledError):
                await ended
            writer.transport.abort()

    async def end(self, stage: Stage) -> None:
        """Wait until the server has had enough of all of them."""
        row = await stage.begin(f"{self._plan.slow} slow handshakes")
        lasted = await asyncio.gather(*self._trickles)
        row.for_cause = sum(1 for seconds in lasted if seconds is not None)
        row.note = f"{row.for_cause} ended, after {max((s or 0) for s in lasted):.0f} s at most"
        if row.for_cause < self._plan.slow:
            left = self._plan.slow - row.for_cause
            stage.broken.append(f"{row.name}: {left} were still welcome after {_SLOWEST:.0f} s")
        await stage.end(row, self._plan.calm)


async def garbage(stage: Stage, plan: Plan) -> None:
    """Send what is no HTTP, no WebSocket, or neither; each is answered or hung up on."""
    row = await stage.begin("garbage")
    ended = await asyncio.gather(*(_spoil(stage, text) for text in _garbage()))
    row.for_cause = sum(ended)
    row.note = f"{row.for_cause} of {len(ended)} ended by the server"
    if not all(ended):
        which = [number for number, done in enumerate(ended) if not done]
        stage.broken.append(f"garbage: number {which} was neither answered nor hung up on")
    await leave_nothing(stage, row.name)
    await stage.end(row, plan.calm)


def _garbage() -> Iterator[bytes]:
    """Write texts that cannot be the beginning of anything good, ended where that is needed."""
    dice = random.Random(20)
    for size in (1, 100, 10_000):
        yield dice.randbytes(size) + b"\r\n\r\n"
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(200) + b"\r\n\r\n"
    yield b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000 + b"\r\n"
    yield b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n"
    yield b"GET " + b"\xff\x00" * 20 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    yield encode("AUTH", "x") + b"\r\n\r\n"
    opening = handshake(token(0))
    yield opening + b"\xf1\x80\0\0\0\0"  # reserved bits
    yield opening + b"\x81\x01x"  # not masked
    yield opening + b"\x83\x80\0\0\0\0"  # no such opcode
    yield opening + b"\x81\xff" + b"\x7f" * 8 + bytes(4)  # too large to be true
    yield opening + _frame(0x81, b"\xff\xfe")  # not UTF-8
    yield opening + _frame(0x09, b"x")  # a ping in pieces
    yield opening + _frame(0x80, b"x")  # the end of nothing
    yield opening + dice.randbytes(3000)


async def _spoil(stage: Stage, text: bytes) -> bool:
    reader, writer = await asyncio.open_connection(HOST, stage.daemon.port)
    try:
        writer.write(text)
        expected = b"HTTP/1.1 101" if text.startswith(handshake(token(0))) else b""
        received = await within(PATIENCE, _answer(reader, expected))
    except OSError:
        return True  # reset
    except TimeoutError:
        return False
    finally:
        writer.transport.abort()
    return received


async def _answer(reader: asyncio.StreamReader, expected: bytes) -> bool:
    """Wait for an answer; where *expected* is one, for what comes after it."""
    received = b""
    while data := await reader.read(65536):
        received += data
        if not expected and received.startswith(b"HTTP/1.1 4"):
            return True
    return True
