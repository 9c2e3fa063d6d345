"""
Services that do something for each of many things, once in a while.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from typing_extensions import override

from flodgatt_tx.wheel import Wheel

Item = TypeVar("Item", bound=Hashable)


class Rounds(Service, Generic[Item]):
    """
    Visits each of its items once in *period* seconds, a slice of them *slots* times as often.

    Whatever happens on one visit, the next one is made.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, period: float, slots: int) -> None:
        self._clock = clock
        self._slots = slots
        self._interval = period / slots
        self.items: Wheel[Item] = Wheel(slots)
        self._turning = LoopingCall(self._turn)
        self._turning.clock = clock

    @override
    def startService(self) -> None:
        Service.startService(self)
        self._turning.start(self._interval, now=False)

    @override
    def stopService(self) -> None:
        Service.stopService(self)
        if self._turning.running:
            self._turning.stop()

    def visit(self, items: Sequence[Item]) -> None:
        """Do for some items what is due."""
        raise TypeError("a service on rounds has to say what it does")

    def hurry(self) -> None:
        """Visit everything now, but leave the reactor free between the slices."""
        self._hurry(self._slots)

    def _hurry(self, slices: int) -> None:
        self._turn()
        if slices > 1 and self.running:
            self._clock.callLater(0, self._hurry, slices - 1)

    def _turn(self) -> None:
        try:
            self.visit(self.items.turn())
        except Exception:
            self._log.failure("a round was cut short")
