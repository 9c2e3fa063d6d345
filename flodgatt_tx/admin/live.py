"""
The live page's own stream of events: a picture of the server every second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson
from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.web.http import Request
from typing_extensions import override
from zope.interface import implementer

from flodgatt_tx.admin.picture import QUESTIONS, picture
from flodgatt_tx.edge.reports import Reports

PERIOD = 1.0  # seconds
_HELLO = b"retry: 1000\n\n"  # milliseconds until a browser that lost us comes back


@implementer(IPushProducer)
class Watcher:
    """One who watches. What they have no time to read they are not shown later, either."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._paused = False
        request.registerProducer(self, True)

    def show(self, event: bytes) -> None:
        """Write an event, if there is room for it."""
        if not self._paused:
            self._request.write(event)

    def end(self) -> None:
        """Send them away; a browser comes back by itself."""
        self._request.unregisterProducer()
        self._request.finish()

    def pauseProducing(self) -> None:  # noqa: N802 # Twisted's
        """Take note that they do not read as fast as it is written."""
        self._paused = True

    def resumeProducing(self) -> None:  # noqa: N802 # Twisted's
        """Take note that they have read all."""
        self._paused = False

    def stopProducing(self) -> None:  # noqa: N802 # Twisted's
        """Take note that they are gone."""
        self._paused = True


class Live(Service):
    """
    Asks all processes how they are while somebody watches, and shows it to all who do.

    *wall* is the time of day in seconds.
    """

    _log = Logger()

    def __init__(self, clock: Any, reports: Reports, wall: Callable[[], float] = time.time) -> None:
        self._reports = reports
        self._wall = wall
        self._watchers: dict[Watcher, None] = {}
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def watch(self, request: Request) -> None:
        """Show it to whoever sent a *request*, until they leave."""
        request.setHeader(b"content-type", b"text/event-stream")
        request.setHeader(b"x-accel-buffering", b"no")
        request.write(_HELLO)
        watcher = Watcher(request)
        self._watchers[watcher] = None
        request.notifyFinish().addBoth(lambda _: self._leave(watcher))
        if not self._looking.running:
            self._looking.start(PERIOD)

    @override
    def stopService(self) -> None:
        Service.stopService(self)
        for watcher in list(self._watchers):
            watcher.end()

    def _leave(self, watcher: Watcher) -> None:
        del self._watchers[watcher]
        if not self._watchers:
            self._looking.stop()

    def _look(self) -> Deferred[None]:
        # The next look waits for the answers to this one.
        questions = [self._reports.collect(each) for each in QUESTIONS]
        asked = gatherResults(questions, consumeErrors=True)
        shown = asked.addCallback(self._show)
        return shown.addErrback(lambda failure: self._log.failure("looking", failure))

    def _show(self, answers: list[Any]) -> None:
        seen = picture(self._wall(), dict(zip(QUESTIONS, answers, strict=True)))
        event = b"data: " + orjson.dumps(seen) + b"\n\n"
        for watcher in list(self._watchers):
            watcher.show(event)
