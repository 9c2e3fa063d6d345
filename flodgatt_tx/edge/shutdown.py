"""
Going down: nobody new comes in, everybody is told, and then the process ends with status 0.

twistd alone would end by the signal itself, and take a second one for an error.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from typing_extensions import override

from flodgatt_tx.edge.heartbeat import Beating, Heartbeat

PATIENCE = 3.0  # seconds for clients to take their leave
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Shutdown(Service):
    """
    Watches for signals while the reactor runs.

    *close* stops listening; the connections of *hearts* are then sent away.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        close: Callable[[], None],
        hearts: tuple[Heartbeat, ...],
        end_at_once: Callable[[int], object] = os._exit,
    ) -> None:
        self._reactor = reactor
        self._close = close
        self._hearts = hearts
        self._end_at_once = end_at_once
        self._started: float | None = None
        self._waiting = LoopingCall(self._wait)
        self._waiting.clock = reactor

    @override
    def privilegedStartService(self) -> None:
        # The reactor puts its own handlers in place when it begins to run.
        self._reactor.callWhenRunning(self._watch)

    def begin(self) -> None:
        """Go down in order; a second call ends the process."""
        if self._started is not None:
            self._end_at_once(1)
            return
        self._started = self._reactor.seconds()
        self._log.info("Going down")
        self._close()
        for heart in self._hearts:
            for connection in heart:
                self._send_away(connection)
        self._waiting.start(0.05)

    def _send_away(self, connection: Beating) -> None:
        try:
            connection.go_away()
        except Exception:
            # One that cannot leave in order must not keep the process from ending.
            self._log.failure("a client could not be sent away")

    def _watch(self) -> None:
        for number in _SIGNALS:
            signal.signal(number, lambda *_: self._reactor.callFromThread(self.begin))

    def _wait(self) -> None:
        left = any(True for heart in self._hearts for _ in heart)
        late = self._started is None or self._reactor.seconds() - self._started >= PATIENCE
        if late or not left:
            self._waiting.stop()
            self._reactor.stop()
