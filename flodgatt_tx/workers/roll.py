"""
Who works, and what all of them say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from flodgatt_tx import tally
from flodgatt_tx.workers.process import WorkerProcess

MISSED = 3  # rounds without an answer, after which a worker is taken for stuck


class Roll:
    """
    The workers that run, by their numbers.

    What those who are gone have counted is kept: sums over all must never go down.
    """

    _log = Logger()

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._workers: list[WorkerProcess] = []
        self._missed: dict[WorkerProcess, int] = {}
        self._gone: tally.Families = []
        self._deaths = 0
        self._clients = 0

    def add(self, worker: WorkerProcess) -> None:
        """Count on a worker."""
        self._workers.append(worker)

    def strike_off(self, worker: WorkerProcess, meant: bool) -> None:
        """Let one go, for good or *meant*; its counters stay."""
        self._workers.remove(worker)
        self._missed.pop(worker, None)
        if not meant:
            self._deaths += 1
        if worker.last_metrics:
            self._gone = tally.keep(self._gone, worker.last_metrics)

    def collect(self, question: str) -> Deferred[Mapping[str, Any]]:
        """Ask all; give the answers by the workers' numbers, without those who gave none."""
        workers = list(self._workers)
        asked = DeferredList([each.ask(question) for each in workers])

        def gather(results: list[tuple[bool, Any]]) -> Mapping[str, Any]:
            answers = {
                # While one replaces another both have the number.
                _name(worker): answer
                for worker, (_, answer) in zip(workers, results, strict=True)
                if answer is not None
            }
            return {**answers, **self._own(question)}

        return asked.addCallback(gather)

    def call(self) -> Deferred[None]:
        """Ask all for their numbers, and end whoever has not answered for long."""
        workers = list(self._workers)
        asked = DeferredList([each.ask("metrics") for each in workers])
        return asked.addCallback(self._look, workers)

    def status(self) -> str:
        """Say for systemd how things are."""
        return f"{len(self._workers)} workers, {self._clients} clients"

    def _look(self, results: list[tuple[bool, Any]], workers: list[WorkerProcess]) -> None:
        self._clients = 0
        for worker, (_, metrics) in zip(workers, results, strict=True):
            if metrics is not None:
                self._missed.pop(worker, None)
                self._clients += int(tally.total(metrics, "connected_clients"))
            elif worker in self._workers:
                self._miss(worker)

    def _miss(self, worker: WorkerProcess) -> None:
        self._missed[worker] = self._missed.get(worker, 0) + 1
        if self._missed[worker] == MISSED:
            self._log.error("Worker {number} does not answer: it is ended", number=worker.number)
            worker.kill()

    def _own(self, question: str) -> Mapping[str, Any]:
        if question != "metrics":
            return {}
        own: tally.Families = [
            tally.family("workers", "gauge", "Workers that run", len(self._workers)),
            tally.family("worker_deaths", "counter", "Workers that ended unasked", self._deaths),
        ]
        return {tally.GONE: self._gone, tally.PARENT: own}


def _name(worker: WorkerProcess) -> str:
    return f"{worker.number}{' leaving' if worker.leaving else ''}"
