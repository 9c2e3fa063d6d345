"""
The parent of the workers: it holds the sockets, and serves nobody itself.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from typing_extensions import override

from flodgatt_tx.admin.service import ANNOUNCEMENT as ADMIN_ANNOUNCEMENT
from flodgatt_tx.edge.listeners import ANNOUNCEMENT, admin_endpoints, endpoints
from flodgatt_tx.edge.process import end_with
from flodgatt_tx.edge.systemd import Notifier
from flodgatt_tx.settings import Layer, Settings
from flodgatt_tx.workers.errand import Errand
from flodgatt_tx.workers.process import WorkerEndedError, WorkerProcess
from flodgatt_tx.workers.roll import Roll
from flodgatt_tx.workers.slot import Slot
from flodgatt_tx.workers.sockets import CannotListenError, Sockets

ROUND = 10.0  # seconds between two times in which every worker is asked for its numbers
SILENCE = 60.0  # seconds without an answer, after which a worker is taken for stuck


@dataclass(frozen=True, slots=True)
class Plan:
    """What workers are to do: the *settings*, and the *layers* that they follow from."""

    settings: Settings
    layers: Sequence[Layer]
    user: str | None
    workers: int


class NoPlanError(Exception):
    """The settings cannot be used, for the reasons that it tells."""


class Parent(Service):
    """
    Starts workers, replaces those that die, and passes signals on.

    *read_plan* reads the settings anew; it raises `NoPlanError`. *write* takes the lines of the
    workers' logs. *fail* is called with a message if the server cannot come up; it must not return.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        plan: Plan,
        read_plan: Callable[[], Plan],
        write: Callable[[str], object],
        fail: Callable[[str], NoReturn],
    ) -> None:
        self._reactor = reactor
        self._plan = plan
        self._read_plan = read_plan
        self._write = write
        self._fail = fail
        self._sockets = Sockets()
        self._slots: list[Slot] = []
        self._leaving = False
        self._reloading = False
        self._again = False
        self.roll = Roll(reactor)
        self._notifier = Notifier(reactor, self.roll.status)
        self._rounds = LoopingCall(self.roll.call)
        self._rounds.clock = reactor

    @override
    def privilegedStartService(self) -> None:
        try:
            self._open(self._plan)
        except CannotListenError as error:
            self._fail(str(error))

    @override
    def startService(self) -> None:
        Service.startService(self)
        self._reactor.callWhenRunning(self._begin)

    @override
    def stopService(self) -> None:
        Service.stopService(self)
        if self._rounds.running:
            self._rounds.stop()
        for slot in self._slots:
            slot.kill()
        self._sockets.close()
        self._notifier.stopService()

    def addresses(self) -> list[str]:
        """Where clients can connect now."""
        return self._sockets.addresses()[: -1 if self._plan.settings.admin else None]

    def begin_leaving(self) -> None:
        """Let all workers go down in order, and end; a second call ends them at once."""
        if self._leaving:
            end_with(1)
            self._stop()
            return
        self._leaving = True
        self._notifier.leave()
        self._log.info("Going down: {count} workers", count=len(self._slots))
        # Queues of sockets that nobody accepts from any more are refused rather than kept waiting.
        self._sockets.close()
        gone = DeferredList([slot.close() for slot in self._slots])
        gone.addCallback(lambda _: self._stop())

    def begin_reload(self) -> None:
        """Read the settings anew, and replace the workers; once more if that is under way."""
        if self._leaving:
            return
        if self._reloading:
            self._again = True
            return
        self._reloading = True
        reload = Deferred.fromCoroutine(self._reload())
        reload.addErrback(lambda failure: self._log.failure("reloading", failure))
        reload.addCallback(lambda _: self._reloaded())

    def _stop(self) -> None:
        if self._reactor.running:
            self._reactor.stop()

    def _reloaded(self) -> None:
        self._reloading = False
        self._notifier.ready()
        if self._again:
            self._again = False
            self.begin_reload()

    async def _reload(self) -> None:
        self._notifier.reloading()
        try:
            plan = self._read_plan()
            self._open(plan)
            await self._put_in_place(plan)
        except (NoPlanError, CannotListenError, WorkerEndedError) as error:
            self._log.error("Nothing is reloaded: {error}", error=str(error))
            return
        self._log.info("Reloaded: {count} workers", count=len(self._slots))

    async def _put_in_place(self, plan: Plan) -> None:
        """
        Let new workers take clients beside the old ones, then instead of them; then empty those.

        So every client is moved just once.
        """
        before, self._plan = self._plan, plan
        staying = self._slots[: plan.workers]
        added = [self._new_slot(number + 1) for number in range(len(staying), plan.workers)]
        try:
            for slot in (*staying, *added):
                await slot.prepare()
        except WorkerEndedError:
            self._plan = before
            for slot in (*staying, *added):
                slot.abandon()
            raise
        self._slots = [*staying, *added, *self._slots[plan.workers :]]
        for slot, worker in [(slot, slot.switch()) for slot in self._slots]:
            if worker:
                await slot.retire(worker)
        del self._slots[plan.workers :]
        self._sockets.keep_only_these()
        self._announce()

    def _open(self, plan: Plan) -> None:
        settings = plan.settings
        self._sockets.open(
            lambda reactor: [
                *endpoints(reactor, settings.listen, settings.socket, settings.bind, settings.port),
                *admin_endpoints(reactor, settings.admin),
            ],
            plan.workers,
        )

    def _begin(self) -> None:
        self._watch_signals()
        self._slots = [self._new_slot(number + 1) for number in range(self._plan.workers)]
        workers = [slot.fill() for slot in self._slots]
        all_listen = DeferredList([each.listening for each in workers], fireOnOneErrback=True)
        all_listen.addCallbacks(lambda _: self._come_up(), self._not_coming_up)
        for each in workers:
            each.listening.addErrback(lambda failure: None)

    def _come_up(self) -> None:
        self._announce()
        self._notifier.startService()
        self._rounds.start(ROUND)

    def _not_coming_up(self, failure: Any) -> None:
        if not self._leaving:
            reason = failure.value.subFailure.value
            self._log.critical("A worker cannot serve: {reason}", reason=str(reason))
            # Not by an exception, which would not get out of here.
            end_with(1)
            self._stop()

    def _announce(self) -> None:
        for address in self.addresses():
            self._log.info(ANNOUNCEMENT, address=address)
        for address in self._sockets.addresses()[len(self.addresses()) :]:
            self._log.info(ADMIN_ANNOUNCEMENT, address=address)

    def _new_slot(self, number: int) -> Slot:
        return Slot(self._reactor, number, self._start_worker, self.roll.strike_off)

    def _start_worker(self, slot: Slot, cautious: bool) -> WorkerProcess:
        plan, index = self._plan, slot.number - 1
        errand = Errand(
            number=slot.number,
            workers=plan.workers,
            layers=plan.layers,
            listen=plan.settings.listen,
            user=plan.user,
            doors=(),
            cautious=cautious,
        )
        worker = WorkerProcess(
            self._reactor,
            slot.number,
            self._write,
            self.roll.collect,
            plan.settings.drain_seconds,
        )
        worker.start(errand, self._sockets.doors(index, plan.workers))
        self.roll.add(worker)
        return worker

    def _watch_signals(self) -> None:
        actions: Mapping[int, Callable[[], None]] = {
            signal.SIGTERM: self.begin_leaving,
            signal.SIGINT: self.begin_leaving,
            signal.SIGHUP: self.begin_reload,
        }
        for number, action in actions.items():
            signal.signal(number, lambda *_, act=action: self._reactor.callFromThread(act))
