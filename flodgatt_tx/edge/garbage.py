"""
When Python looks for garbage.

A connection leaves nothing behind that only a collection would find, so collections look at what is
young. To look at everything takes 0.1 s with 20 000 readers, during which nobody is served: that is
done once in a while, and when many listen once a day.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sized
from typing import Any

from twisted.application.service import Service
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from typing_extensions import override

PERIOD = 3600  # seconds
MOST_SKIPPED = 23
# With so many readers it takes too long to look at everything; about 20 ms.
MANY_READERS = 5000

# Objects until the youngest are looked at, and how often that is until those are that have outlived
# it: 2 ms and 20 ms. The oldest are never looked at by themselves.
_THRESHOLDS = (20_000, 10, 1_000_000)


class Garbage(Service):
    """Collects garbage while *readers* are few."""

    _log = Logger()

    def __init__(
        self, reactor: Any, readers: Sized, collect: Callable[[], object] = gc.collect
    ) -> None:
        self._reactor = reactor
        self._readers = readers
        self._collect = collect
        self._skipped = 0
        self._turning = LoopingCall(self._turn)
        self._turning.clock = reactor

    @override
    def startService(self) -> None:
        Service.startService(self)
        self._reactor.callWhenRunning(self._settle)
        self._turning.start(PERIOD, now=False)

    @override
    def stopService(self) -> None:
        Service.stopService(self)
        self._turning.stop()

    def _settle(self) -> None:
        """Take what is there after the start out of all collections."""
        self._collect()
        gc.freeze()
        gc.set_threshold(*_THRESHOLDS)

    def _turn(self) -> None:
        if len(self._readers) < MANY_READERS or self._skipped >= MOST_SKIPPED:
            self._skipped = 0
            self._log.debug("{count} objects were garbage", count=self._collect())
        else:
            self._skipped += 1
