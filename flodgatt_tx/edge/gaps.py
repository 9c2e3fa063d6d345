"""
The times in which nobody heard what was published.

Redis keeps nothing for those who are away, so a gap cannot be closed afterwards. It can be told.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger

from flodgatt_tx.edge.dependency import SUBSCRIPTIONS, Dependency
from flodgatt_tx.edge.metrics import Metrics


class Gaps(Service):
    """
    Measures gaps while it runs, in seconds by *clock*, from when the subscriptions were last known
    to be good until all of them are so again. Before the first time there was nothing to miss.
    """

    _log = Logger()

    def __init__(self, clock: Any, metrics: Metrics, redis: Dependency) -> None:
        self._clock = clock
        self._metrics = metrics
        self._redis = redis
        self._complete = False
        self._began: float | None = None

    def complete(self) -> None:
        """Take note that everything that is wanted is subscribed."""
        began, self._began, self._complete = self._began, None, True
        self._redis.gain(SUBSCRIPTIONS)
        if began is not None:
            length = self._clock.seconds() - began
            self._metrics.gap_seconds.inc(length)
            self._log.warn(
                "All is subscribed again; what was published in the last {length:.1f} s is lost",
                length=length,
            )

    def lost(self, good_until: float) -> None:
        """Take note that the connection is lost; up to *good_until* it was known to be good."""
        if not self.running:
            return  # it is we who leave
        if self._complete:
            self._began = good_until
            self._metrics.gaps.inc()
        self._complete = False
        self._redis.lose(SUBSCRIPTIONS, "the connection that subscribes is lost")
