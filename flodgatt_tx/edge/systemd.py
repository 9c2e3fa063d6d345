"""
What systemd wants to know of a service of `Type=notify`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from time import monotonic_ns
from typing import Any

from twisted.application.service import Service
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from typing_extensions import override

PERIOD = 10.0  # seconds between two states, where no watchdog asks for more


class Notifier(Service):
    """
    Tells systemd that the server is ready, how it is, and that it goes.

    *status* is asked for a line about it. Signs of life for the watchdog come from the reactor, so
    that one that is stuck gives none. Where *environ* names no socket it is silent.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, status: Callable[[], str], environ: Mapping[str, str] = os.environ
    ) -> None:
        self._reactor = reactor
        self._status = status
        path = environ.get("NOTIFY_SOCKET", "")
        # An abstract socket is written with an @ for its leading NUL.
        self._address = path.replace("@", "\0", 1) if path.startswith("@") else path
        self._watchdog = _watchdog(environ)
        self._beating = LoopingCall(self._beat)
        self._beating.clock = reactor

    @override
    def startService(self) -> None:
        Service.startService(self)
        if self._address:
            self._reactor.callWhenRunning(self._begin)

    @override
    def stopService(self) -> None:
        Service.stopService(self)
        if self._beating.running:
            self._beating.stop()

    def reloading(self) -> None:
        """Tell that settings are read anew, until `ready`."""
        self._say("RELOADING=1", f"MONOTONIC_USEC={monotonic_ns() // 1000}")

    def ready(self) -> None:
        """Tell that clients are served."""
        self._say("READY=1")

    def leave(self) -> None:
        """Tell that the server goes down; it may take its time."""
        self._say("STOPPING=1")

    def _begin(self) -> None:
        self.ready()
        # Half of its patience, as systemd recommends.
        self._beating.start(min(PERIOD, self._watchdog / 2) if self._watchdog else PERIOD)

    def _beat(self) -> None:
        sign = ["WATCHDOG=1"] if self._watchdog else []
        self._say(*sign, f"STATUS={self._status()}")

    def _say(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as out:
                out.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            self._log.warn("systemd could not be told: {error}", error=error.strerror)


def _watchdog(environ: Mapping[str, str]) -> float | None:
    """Read after how many seconds without a sign of life systemd ends this very process."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    meant = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(microseconds) / 1e6 if microseconds.isdigit() and meant else None
