"""How long a server lets somebody wait who only asks how it is."""

from __future__ import annotations

import contextlib
import time
from http.client import HTTPConnection, HTTPException
from threading import Event, Thread
from typing import Self

from flodgatt_tx.demo.processes import HOST

_PAUSE = 0.001  # seconds


class Probe:
    """
    Asks for `health` again and again over one connection, in a thread.

    Whatever holds the server's loop delays the answer. The longest wait is that of the longest hold
    and, where more want to run than there are cores, of the way there and back.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._waits: list[float] = []
        self._stop = Event()
        self._thread = Thread(target=self._ask_on)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def longest(self) -> float:
        """Return the longest wait since the last call, in milliseconds."""
        waits, self._waits = self._waits, []
        if not waits:
            raise RuntimeError("the server does not say how it is")
        return max(waits) * 1000

    def _ask_on(self) -> None:
        with contextlib.closing(HTTPConnection(HOST, self._port, timeout=60)) as connection:
            while not self._stop.wait(_PAUSE):
                began = time.monotonic()
                try:
                    connection.request("GET", "/api/v1/streaming/health")
                    connection.getresponse().read()
                except (OSError, HTTPException):
                    connection.close()  # it connects again with the next request
                    continue
                self._waits.append(time.monotonic() - began)
