"""
A worker, seen from inside: one whole server in a process of its own, steered by its parent.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

import orjson
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.logger import globalLogBeginner

from flodgatt_tx.edge.inheriting import InheritingReactor
from flodgatt_tx.edge.listeners import Listeners, admin_endpoints, endpoints
from flodgatt_tx.edge.logs import make_observer
from flodgatt_tx.edge.process import raise_file_limit
from flodgatt_tx.edge.server import Server, make_server
from flodgatt_tx.edge.trust import TrustError
from flodgatt_tx.settings import Settings
from flodgatt_tx.workers.channel import Channel
from flodgatt_tx.workers.errand import Errand
from flodgatt_tx.workers.sockets import Place

CHANNEL = 0  # the descriptor
FAILED = 3  # exit status, when the reason was told
LOOK = 0.1  # seconds between two looks for Redis and PostgreSQL


class Worker:
    """One server, its *errand* and its way to the parent."""

    def __init__(self, reactor: Any, errand: Errand) -> None:
        self._reactor = reactor
        self._errand = errand
        self._channel = Channel(reactor, self._obey, self._answer, self._part)
        self._parted: Deferred[None] = Deferred()
        self._server: Server | None = None
        self._listeners: list[Listeners] = []
        self._root = MultiService()
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor

    def start(self, descriptor: int = CHANNEL) -> None:
        """Begin to serve, or tell the parent why not."""
        factory = Factory.forProtocol(lambda: self._channel)
        self._reactor.adoptStreamConnection(descriptor, socket.AF_UNIX, factory)
        try:
            self._server = self._make_server()
        except TrustError as error:
            self._fail(str(error))
        self._server.api.reports.ask_all = self._ask_all
        self._watch_signals()
        for service in self._server.services:
            service.setServiceParent(self._root)
        self._reactor.addSystemEventTrigger("before", "shutdown", self._root.stopService)
        self._reactor.addSystemEventTrigger("during", "shutdown", self._leave)
        self._root.privilegedStartService()
        self._root.startService()
        self._reactor.callWhenRunning(self._looking.start, LOOK)

    def _make_server(self) -> Server:
        settings = self._errand.settings()
        limits = settings.limits.within(raise_file_limit(), settings.database.pool)
        settings = replace(settings, limits=limits)
        places, admin_places = self._places(settings)
        server = make_server(self._reactor, settings, places, fail=self._fail, signals=())
        self._listeners.append(server.listeners)
        if admin_places:
            from flodgatt_tx.admin.service import make_admin

            listeners, live = make_admin(
                self._reactor, server.api, limits, admin_places, self._fail
            )
            self._listeners.append(listeners)
            live.setServiceParent(self._root)
        return server

    def _places(self, settings: Settings) -> tuple[list[Place], list[Place]]:
        """Find the places for clients behind our doors, and those for administrators."""
        clients: list[Place] = []
        admins: list[Place] = []
        for index, descriptor in self._errand.doors:
            reactor = InheritingReactor(self._reactor, descriptor)
            found = endpoints(
                reactor, settings.listen, settings.socket, settings.bind, settings.port
            )
            if index < len(found):
                clients.append(found[index])
            else:
                admins += admin_endpoints(reactor, settings.admin)
        return clients, admins

    def _look(self) -> None:
        """Let clients in, as soon as that is wise."""
        assert self._server
        if self._errand.cautious and not self._server.api.readiness.ready:
            return
        self._looking.stop()
        for listeners in self._listeners:
            listeners.inherit()
            self._root.addService(listeners)
        self._channel.tell("listening")

    def _obey(self, message: Mapping[str, Any]) -> None:
        if message["kind"] == "drain":
            self._go_down()
        elif message["kind"] == "stop_listening":
            for listeners in self._listeners:
                listeners.stop_listening()

    def _answer(self, question: str) -> Deferred[Any]:
        assert self._server
        return maybeDeferred(self._server.api.reports.own, question)

    def _ask_all(self, question: str) -> Deferred[Mapping[str, Any]]:
        return self._channel.ask(question)

    def _go_down(self) -> None:
        """Leave in order."""
        if self._looking.running:
            self._looking.stop()
        if self._server and not self._server.shutdown.begun:
            self._server.shutdown.begin()

    def _leave(self) -> Deferred[None]:
        """Hand in the last numbers."""
        assert self._server
        self._channel.tell("last", metrics=self._server.api.reports.own("metrics"))
        if self._channel.transport:
            self._channel.transport.loseConnection()
        return self._parted

    def _part(self) -> None:
        """Go down, if nobody is there any more who could say so."""
        self._parted.callback(None)
        self._go_down()

    def _watch_signals(self) -> None:
        def watch() -> None:
            # Ctrl-C reaches the whole family, and the parent will say what to do.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, lambda *_: self._reactor.callFromThread(self._go_down))

        self._reactor.callWhenRunning(watch)

    def _fail(self, message: str) -> NoReturn:
        """Tell the parent what is wrong, and end."""
        text = orjson.dumps({"kind": "failed", "reason": message})
        with socket.socket(fileno=CHANNEL) as channel:
            channel.sendall(struct.pack("!I", len(text)) + text)
        sys.stdout.flush()
        os._exit(FAILED)


def main() -> None:
    """Read the errand, and serve until told to leave."""
    with socket.socket(fileno=socket.dup(CHANNEL)) as channel:
        (length,) = struct.unpack("!I", _read(channel, 4))
        errand = Errand.from_json(orjson.loads(_read(channel, length)))
        channel.setblocking(False)
    settings = errand.settings()
    level, form, number = settings.log_level, settings.log_format, errand.number
    observer = make_observer(level, sys.stdout, form, worker=number)
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    from twisted.internet import reactor

    Worker(reactor, errand).start()
    reactor.run()


def _read(channel: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = channel.recv(length - len(data))
        if not more:
            raise SystemExit(FAILED)
        data += more
    return data
