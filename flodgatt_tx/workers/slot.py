"""
The place of one worker, and who fills it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from flodgatt_tx.workers.process import WorkerProcess

FIRST_DELAY = 0.1  # seconds before a worker that died is replaced
MOST_DELAY = 30.0
PROVEN = 60.0  # seconds after which a worker's death is no longer its predecessor's
GRACE = 10.0  # seconds that a worker may take to end, beyond those for draining
NEWCOMER = 60.0  # seconds for one to let clients in

Start = Callable[["Slot", bool], WorkerProcess]


class Slot:
    """
    Keeps the worker *number* running.

    *start* makes one, which is cautious if the second argument says so. *on_end* is called with
    each that has ended, and whether that was meant to be.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        number: int,
        start: Start,
        on_end: Callable[[WorkerProcess, bool], object],
    ) -> None:
        self.number = number
        self.worker: WorkerProcess | None = None
        self._next: WorkerProcess | None = None
        self.all: set[WorkerProcess] = set()
        self._reactor = reactor
        self._start = start
        self._on_end = on_end
        self._closing = False
        self._delay = FIRST_DELAY
        self._again: IDelayedCall | None = None
        self._empty: list[Deferred[None]] = []

    def fill(self) -> WorkerProcess:
        """Start a worker; if it dies another follows, by and by."""
        self._again = None
        worker = self.worker = self._begin(cautious=False)
        return worker

    async def prepare(self) -> None:
        """
        Start who shall take the worker's place, and wait until clients are let in there as well.

        :raises WorkerEndedError: if that does not come to be.
        """
        worker = self._next = self._begin(cautious=True)
        overdue = self._reactor.callLater(NEWCOMER, worker.kill)
        try:
            await worker.listening
        finally:
            if overdue.active():
                overdue.cancel()

    def abandon(self) -> None:
        """Send who was prepared away; everything stays as it was."""
        if self._next in self.all and self._next:
            self._send_away(self._next)
        self._next = None

    def switch(self) -> WorkerProcess | None:
        """
        Let nobody but the next worker take clients, if there is one; return the last.

        That one still has its clients.
        """
        old, self.worker, self._next = self.worker, self._next, None
        self._forget_failures()
        if self.worker and self.worker not in self.all and not self._closing:
            self.fill()
        if old not in self.all or not old:
            return None
        old.stop_listening()
        return old

    async def retire(self, worker: WorkerProcess) -> None:
        """Send a worker's clients away, and wait for its end."""
        self._send_away(worker)
        if worker in self.all:
            await _end_of(worker)

    def close(self) -> Deferred[None]:
        """Send whoever is there away; fires when all are gone."""
        self._closing = True
        self._forget_failures()
        for worker in list(self.all):
            self._send_away(worker)
        gone: Deferred[None] = Deferred()
        self._empty.append(gone)
        self._look_around()
        return gone

    def kill(self) -> None:
        """End whoever is there now."""
        self._closing = True
        self._forget_failures()
        for worker in list(self.all):
            worker.kill()

    def _begin(self, cautious: bool) -> WorkerProcess:
        worker = self._start(self, cautious)
        self.all.add(worker)
        started = self._reactor.seconds()
        worker.ended.addCallback(self._ended, worker, started)
        return worker

    def _send_away(self, worker: WorkerProcess) -> None:
        if worker.draining:
            return
        worker.drain()
        overdue = self._reactor.callLater(worker.drain_seconds + GRACE, worker.kill)
        worker.ended.addCallback(lambda how: (overdue.active() and overdue.cancel(), how)[1])

    def _ended(self, how: str, worker: WorkerProcess, started: float) -> str:
        self.all.discard(worker)
        meant = worker.leaving
        self._on_end(worker, meant)
        if worker is self.worker and not meant and not self._closing:
            self._come_back(how, self._reactor.seconds() - started)
        self._look_around()
        return how

    def _come_back(self, how: str, lasted: float) -> None:
        if lasted >= PROVEN:
            self._delay = FIRST_DELAY
        self._log.error(
            "Worker {number} is gone ({how}); another follows in {delay} s",
            number=self.number,
            how=how,
            delay=self._delay,
        )
        self._again = self._reactor.callLater(self._delay, self.fill)
        self._delay = min(self._delay * 2, MOST_DELAY)

    def _forget_failures(self) -> None:
        self._delay = FIRST_DELAY
        if self._again and self._again.active():
            self._again.cancel()
        self._again = None

    def _look_around(self) -> None:
        if self._closing and not self.all:
            waiting, self._empty = self._empty, []
            for gone in waiting:
                gone.callback(None)


def _end_of(worker: WorkerProcess) -> Deferred[str]:
    """Wait for the end without taking its word from others who wait."""
    end: Deferred[str] = Deferred()

    def pass_on(how: str) -> str:
        end.callback(how)
        return how

    worker.ended.addCallback(pass_on)
    return end
