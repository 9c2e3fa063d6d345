"""
Very many readers at once, as bare sockets.
"""

from __future__ import annotations

import os
import re
import resource
import selectors
import socket
import time
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from tests.integration.site import API, PATIENCE

GREETINGS = {"sse": b":)\n", "websocket": b"\r\n\r\n"}
_STATUS = re.compile(rb"HTTP/1\.1 (\d+)")
_CLOSE = 0x88


def allow_files() -> None:
    """Let this process have as many sockets as it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Member:
    """One reader: what it has received, and whether the connection is over."""

    def __init__(self, address: int | str, token: str, transport: str = "sse") -> None:
        self.transport = transport
        self.received = b""
        self.over = False
        self.error: OSError | None = None
        kind = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(kind)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address if isinstance(address, str) else ("127.0.0.1", address))
        self.socket.sendall(_request(token, transport))
        self.socket.setblocking(False)

    @property
    def status(self) -> int:
        """The status of the answer; 0 while there is none."""
        found = _STATUS.match(self.received)
        return int(found[1]) if found else 0

    @property
    def greeted(self) -> bool:
        """Whether it listens."""
        return self.status in (200, 101) and GREETINGS[self.transport] in self.received

    @property
    def close_code(self) -> int | None:
        """The code of a close frame at the end of what was received."""
        frame = self.received.partition(b"\r\n\r\n")[2][-64:]
        start = frame.rfind(_CLOSE)
        return int.from_bytes(frame[start + 2 : start + 4], "big") if start >= 0 else None

    @property
    def told_to_leave(self) -> bool:
        """Whether the connection is over, or will be when the client has said goodbye, too."""
        if self.over or self.transport == "websocket":
            return self.over or self.close_code is not None
        # A proxy keeps the connection for the next request.
        return self.received.endswith(b"\r\n0\r\n\r\n")

    def read(self) -> None:
        """Take what is there."""
        try:
            data = self.socket.recv(1 << 16)
        except OSError as error:
            self.error, data = error, b""
        self.received += data
        self.over = not data


class Crowd:
    """Readers who are all read from, as long as somebody waits for something."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.on_end: Callable[[Member], object] = lambda member: None
        self._selector = selectors.DefaultSelector()

    def join(self, *given: Any, **named: Any) -> Member:
        """Connect one more."""
        member = Member(*given, **named)
        self.members.append(member)
        self._selector.register(member.socket, selectors.EVENT_READ, member)
        return member

    def until(self, condition: Callable[[], bool], what: str, within: float = PATIENCE) -> None:
        """Read until *condition* holds; fail if that takes too long."""
        deadline = time.monotonic() + within
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {within:.0f} s: {what}")
            self.read(0.05)

    def read(self, seconds: float) -> None:
        """Take what comes within so many *seconds*, if anything does."""
        for key, _ in self._selector.select(seconds):
            member: Member = key.data
            member.read()
            if member.over:
                self._selector.unregister(member.socket)
                member.socket.close()
                self.on_end(member)

    def leave(self) -> None:
        """Hang up, all of them."""
        for member in self.members:
            if not member.over:
                self._selector.unregister(member.socket)
                member.socket.close()
        self._selector.close()


def _request(token: str, transport: str) -> bytes:
    head = f"Host: site.example\r\nAuthorization: Bearer {token}\r\n"
    if transport == "sse":
        return f"GET {API}/user HTTP/1.1\r\n{head}\r\n".encode()
    key = b64encode(os.urandom(16)).decode()
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    query = "?stream=user"
    return f"GET {API}{query} HTTP/1.1\r\n{head}{upgrade}Sec-WebSocket-Key: {key}\r\n\r\n".encode()
