"""
Going down: nobody new comes in, everybody is told, and then the process ends with status 0.

twistd alone would end by the signal itself, and take a second one for an error.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from math import ceil
from typing import Any

from twisted.application.service import Service
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from typing_extensions import override

from flodgatt_tx.edge.readers import Reader

PACE = 100  # readers that leave in a second, at least
PATIENCE = 1.5  # seconds for the last of them to take their leave
LINGER = 0.2  # seconds for last words to reach the network
TICK = 0.05  # seconds
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Shutdown(Service):
    """
    Watches for *signals* while the reactor runs.

    *close* lets nobody in any more, and says how many it has refused by that. Then the *readers*
    are sent away, spread over *seconds* so that they do not all return in the same one.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        close: Callable[[], int],
        readers: Iterable[Reader],
        seconds: float,
        signals: Sequence[int] = SIGNALS,
        end_at_once: Callable[[int], object] = os._exit,
    ) -> None:
        self._reactor = reactor
        self._close = close
        self._readers = readers
        self._seconds = seconds
        self._signals = signals
        self._end_at_once = end_at_once
        self._started: float | None = None
        self._said = float("-inf")
        self._told: set[Reader] = set()
        self._queue: deque[Reader] = deque()
        self._pace = 0.0
        self._sent = 0
        self._turning = LoopingCall(self._turn)
        self._turning.clock = reactor

    @override
    def privilegedStartService(self) -> None:
        # The reactor puts its own handlers in place when it begins to run.
        self._reactor.callWhenRunning(self._watch)

    @property
    def begun(self) -> bool:
        """Whether the server goes down."""
        return self._started is not None

    def begin(self) -> None:
        """Go down in order; a second call ends the process."""
        if self.begun:
            self._end_at_once(1)
            return
        self._started = self._reactor.seconds()
        if self._close():
            self._said = self._started
        self._queue.extend(reader for reader in self._readers if reader.ready)
        # Half of very few seconds is left for taking leave.
        time = max(self._seconds - PATIENCE, self._seconds / 2)
        self._pace = max(PACE, len(self._queue) / time)
        self._log.info(
            "Going down: {count} readers leave, {pace:.0f} in a second",
            count=len(self._queue),
            pace=self._pace,
        )
        self._turning.start(TICK)

    def _turn(self) -> None:
        elapsed = self._reactor.seconds() - (self._started or 0)
        for reader in self._readers:
            # Who waits for the first byte, or has come since, waits no longer.
            if not reader.ready or not self._queue:
                self._send_away(reader)
        due = ceil(self._pace * (elapsed + TICK))
        while self._queue and self._sent < due:
            self._sent += 1
            self._send_away(self._queue.popleft())
        if elapsed >= self._seconds or self._is_quiet():
            self._turning.stop()
            self._reactor.stop()

    def _is_quiet(self) -> bool:
        """Tell whether there is nothing to wait for."""
        if self._queue:
            return False
        left = any(True for _ in self._readers)
        return bool(self._reactor.seconds() - self._said >= (PATIENCE if left else LINGER))

    def _send_away(self, reader: Reader) -> None:
        if reader in self._told or not reader.entered:
            return
        self._told.add(reader)
        self._said = self._reactor.seconds()
        try:
            reader.connection.go_away()
        except Exception:
            # One that cannot leave in order must not keep the process from ending.
            self._log.failure("a client could not be sent away")

    def _watch(self) -> None:
        for number in self._signals:
            signal.signal(number, lambda *_: self._reactor.callFromThread(self.begin))
