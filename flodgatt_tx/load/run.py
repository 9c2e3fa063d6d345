"""
One test, from the first connection to the results.
"""

from __future__ import annotations

import signal
from itertools import cycle
from typing import IO, Any
from uuid import uuid4

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater

from flodgatt_tx.load.ledger import Ledger
from flodgatt_tx.load.options import Plan
from flodgatt_tx.load.publisher import Publisher
from flodgatt_tx.load.readers import MAKERS, Listener
from flodgatt_tx.load.report import progress, results

SETTLE = 1.0  # seconds for the last subscription, of which WebSockets are not told
GRACE = 2.0  # seconds for the last messages
TICK = 0.02  # seconds
QUIET = 5.0  # seconds between lines of progress where there is no terminal


class Run:
    """Does what a *plan* says; *output* is for the progress."""

    def __init__(self, reactor: Any, plan: Plan, output: IO[str]) -> None:
        self._reactor = reactor
        self._plan = plan
        self._output = output
        self._ledger = Ledger()
        self._name = uuid4().hex
        self._listeners: list[Listener] = []
        self._settled = 0
        self._all_settled: Deferred[None] = Deferred()
        self._interrupted: Deferred[None] = Deferred()
        self._phase = "connecting"
        self._began = 0.0

    async def results(self) -> dict[str, Any]:
        """Do it, and say what was measured; an interrupt ends it early, and fails if in vain."""
        publisher = None
        if self._plan.publishing:
            publisher = Publisher(self._reactor, self._plan.publishing, self._ledger, self._name)
            await publisher.connect()
        signal.signal(signal.SIGINT, lambda *_: self._reactor.callFromThread(self._interrupt))
        showing = LoopingCall(self._show)
        showing.start(1.0 if self._output.isatty() else QUIET, now=False)
        began = self._reactor.seconds()
        await self._connect()
        connecting = self._reactor.seconds() - began
        await self._wait(SETTLE)
        measured = await self._measure(publisher)
        showing.stop()
        self._say("\n" if self._output.isatty() else "")
        for listener in self._listeners:
            listener.leaving = True
        if publisher:
            publisher.close()
        return results(self._plan, self._ledger, self._began, connecting, measured)

    async def _measure(self, publisher: Publisher | None) -> float:
        """Listen for as long as was asked for; return for how many seconds it was."""
        self._phase = "measuring"
        self._began = self._reactor.seconds()
        before = self._ledger.deliveries, self._ledger.bytes
        if publisher:
            publisher.start()
        await self._wait(self._plan.duration)
        measured = self._reactor.seconds() - self._began
        if publisher:
            publisher.stop()
            self._phase = "waiting for the last"
            await self._wait(GRACE)
        self._ledger.deliveries -= before[0]
        self._ledger.bytes -= before[1]
        return float(measured)

    async def _connect(self) -> None:
        makers = cycle([MAKERS[each](self._reactor, self._plan) for each in self._plan.transports])
        tokens = cycle(self._plan.tokens)
        begun = self._reactor.seconds()

        def connect_some() -> None:
            due = int((self._reactor.seconds() - begun) * self._plan.connect_rate) + 1
            while len(self._listeners) < min(due, self._plan.readers):
                listener = Listener(self._ledger, self._reactor, self._name, self._settle)
                self._listeners.append(listener)
                next(makers).connect(next(tokens), listener)

        loop = LoopingCall(connect_some)
        loop.start(TICK)
        await self._first(self._all_settled)
        loop.stop()

    def _settle(self) -> None:
        self._settled += 1
        if self._settled == self._plan.readers:
            self._all_settled.callback(None)

    async def _wait(self, seconds: float) -> None:
        await self._first(deferLater(self._reactor, seconds))

    async def _first(self, awaited: Deferred[None]) -> None:
        """Wait for something, or for an interrupt."""
        done: Deferred[None] = Deferred()

        def finish(_: object) -> None:
            if not done.called:
                done.callback(None)

        awaited.addBoth(finish)
        if self._interrupted.called:
            finish(None)
        else:
            self._interrupted.addBoth(finish)
        await done

    def _interrupt(self) -> None:
        if self._interrupted.called:
            raise SystemExit(1)
        self._interrupted.callback(None)

    def _show(self) -> None:
        line = progress(self._phase, self._plan, self._ledger)
        self._say(f"\r{line}\x1b[K" if self._output.isatty() else f"{line}\n")

    def _say(self, text: str) -> None:
        self._output.write(text)
        self._output.flush()
