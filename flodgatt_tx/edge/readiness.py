"""
Whether the server can do its work: for load balancers, and for whoever is called at night.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from typing_extensions import override

from flodgatt_tx.edge.dependency import ANSWERS, Dependency
from flodgatt_tx.edge.metrics import Metrics
from flodgatt_tx.errors import UnavailableError

PERIOD = 5.0  # seconds without a sign of life, after which one is asked for
LOOK = 1.0  # seconds; so often is one asked for while there is none
PATIENCE = 3.0  # seconds for the answer


@dataclass(slots=True)
class _Watched:
    dependency: Dependency
    ask: Callable[[], Deferred[Any]] | None
    asking: bool = False


class Readiness(Service):
    """
    Knows what is there and what is missing; a process that is *leaving* is not ready, either.

    *wall* is the time of day in seconds, which *clock* need not have.
    """

    _log = Logger()

    def __init__(self, clock: Any, metrics: Metrics, wall: Callable[[], float] = time.time) -> None:
        self.leaving = False
        self._clock = clock
        self._metrics = metrics
        self._wall = wall
        self._watched: list[_Watched] = []
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def add(self, dependency: Dependency, ask: Callable[[], Deferred[Any]] | None = None) -> None:
        """
        Count on a dependency.

        Where nobody comes nobody notices that it is gone. So *ask* is called when nothing has been
        heard from it for a while; what comes of that the dependency hears by itself.
        """
        self._watched.append(_Watched(dependency, ask))
        name = dependency.name.lower()
        gauge = self._metrics.dependencies.labels(name)
        gauge.set_function(lambda: dependency.up)
        self._metrics.losses.watch((name,), lambda: dependency.losses)

    @property
    def ready(self) -> bool:
        """Whether a client that comes now can be served."""
        return not self.leaving and not self.missing

    @property
    def missing(self) -> list[str]:
        """The names of the dependencies that are down."""
        return [each.dependency.name for each in self._watched if not each.dependency.up]

    def report(self) -> dict[str, Any]:
        """Say all of it, to be written as JSON; no hosts, no secrets."""
        return {
            "ready": self.ready,
            "leaving": self.leaving,
            "dependencies": {
                each.dependency.name.lower(): self._state(each.dependency) for each in self._watched
            },
        }

    @override
    def startService(self) -> None:
        Service.startService(self)
        self._looking.start(LOOK)

    @override
    def stopService(self) -> None:
        Service.stopService(self)
        if self._looking.running:
            self._looking.stop()

    def _state(self, dependency: Dependency) -> dict[str, Any]:
        since = self._wall() - self._clock.seconds() + dependency.since
        when = datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds")
        state = {"up": dependency.up, "since": when.replace("+00:00", "Z")}
        return state if dependency.up else {**state, "missing": dependency.missing}

    def _look(self) -> None:
        now = self._clock.seconds()
        for each in self._watched:
            heard = each.dependency.heard
            silent = heard is None or now - heard >= PERIOD or not each.dependency.up
            if each.ask and not each.asking and silent:
                self._ask(each, each.ask)
            if now - each.dependency.since >= PATIENCE:
                each.dependency.complain(f"no {', no '.join(each.dependency.missing)} so far")

    def _ask(self, watched: _Watched, ask: Callable[[], Deferred[Any]]) -> None:
        def late() -> None:
            watched.dependency.lose(ANSWERS, f"nothing within {PATIENCE:.0f} s")

        def answered(outcome: Any) -> Any:
            watched.asking = False
            if timer.active():
                timer.cancel()
            return outcome

        watched.asking = True
        timer = self._clock.callLater(PATIENCE, late)
        asked = ask().addBoth(answered)
        asked.addErrback(lambda failure: failure.trap(UnavailableError))
        asked.addErrback(lambda failure: self._log.failure("asking for a sign of life", failure))
