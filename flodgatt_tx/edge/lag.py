"""
How late the reactor is.
"""

from __future__ import annotations

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from typing_extensions import override

from flodgatt_tx.histogram import Histogram

PERIOD = 0.25  # seconds


class Lag(Service):
    """
    Measures how late it comes to do what is due: as late as everybody else who waits.

    What stands in the way longest is seen for sure; what takes less than *PERIOD*, now and then.
    """

    def __init__(self, clock: IReactorTime, lag: Histogram) -> None:
        self._clock = clock
        self._lag = lag
        self._due = 0.0
        self._waiting: IDelayedCall | None = None

    @override
    def startService(self) -> None:
        Service.startService(self)
        self._wait()

    @override
    def stopService(self) -> None:
        Service.stopService(self)
        if self._waiting:
            self._waiting.cancel()
            self._waiting = None

    def _wait(self) -> None:
        self._due = self._clock.seconds() + PERIOD
        self._waiting = self._clock.callLater(PERIOD, self._look)

    def _look(self) -> None:
        self._lag.observe(self._clock.seconds() - self._due)
        self._wait()
