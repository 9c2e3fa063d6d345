"""
A worker, seen from outside: its process, its channel, and what it writes.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from typing_extensions import override

from flodgatt_tx.workers.channel import Channel
from flodgatt_tx.workers.errand import Errand
from flodgatt_tx.workers.sockets import SystemdSocket

Door = tuple[int, socket.socket]
_FIRST = 3  # descriptor after standard input, output and errors
# What is told to the parent must not be taken for the worker's own.
_NOT_INHERITED = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID")


class WorkerEndedError(Exception):
    """A worker has ended before it could let anybody in, for the reason that it tells."""


class WorkerProcess(ProcessProtocol):
    """
    One process.

    It may take *drain_seconds* to send its clients away.

    *listening* fires when it lets clients in, and fails with `WorkerEndedError` if that never
    comes; *ended* fires with a word on how it ended. *write* takes each line of its log;
    *answer* is what it is told of all workers.
    """

    def __init__(
        self,
        reactor: Any,
        number: int,
        write: Callable[[str], object],
        answer: Callable[[str], Deferred[Any]],
        drain_seconds: float,
    ) -> None:
        self.number = number
        self.drain_seconds = drain_seconds
        self.listening: Deferred[None] = Deferred()
        self.ended: Deferred[str] = Deferred()
        self.last_metrics: Any = None
        self.leaving = self.draining = False
        self._reactor = reactor
        self._lines = {1: _Lines(write), 2: _Lines(write)}
        self._reason = ""
        self._told = False
        self._process: Any = None
        self._channel_gone: Deferred[None] = Deferred()
        self._channel = Channel(
            reactor, self._hear, answer, lambda: self._channel_gone.callback(None)
        )

    def start(self, errand: Errand, doors: Sequence[Door]) -> None:
        """Start the process, with its *errand* but for the descriptors of its *doors*."""
        ours, theirs = socket.socketpair()
        inherited = _numbered(doors)
        descriptors: dict[int, Any] = {0: theirs.fileno(), 1: "r", 2: "r"}
        descriptors |= {number: each.fileno() for number, (_, each) in inherited.items()}
        command = [sys.executable, "-P", "-m", f"{__package__}", str(self.number)]
        with ours, theirs:
            self._process = self._reactor.spawnProcess(
                self, sys.executable, command, _environment(), childFDs=descriptors
            )
            ours.setblocking(False)
            factory = Factory.forProtocol(lambda: self._channel)
            self._reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, factory)
        named = [
            (index, None if isinstance(each, SystemdSocket) else number)
            for number, (index, each) in inherited.items()
        ]
        self._channel.sendString(orjson.dumps(replace(errand, doors=named).as_json()))  # type: ignore[no-untyped-call]

    @property
    def pid(self) -> int | None:
        """The process' id, while it runs."""
        return self._process.pid if self._process else None

    def stop_listening(self) -> None:
        """Let it keep its clients, and take no more."""
        self.leaving = True
        self._channel.tell("stop_listening")

    def drain(self) -> None:
        """Let it send its clients away, and end."""
        self.leaving = self.draining = True
        self._channel.tell("drain")

    def kill(self) -> None:
        """End it now."""
        if self._process:
            with suppress(ProcessExitedAlready):
                self._process.signalProcess("KILL")

    def ask(self, question: str) -> Deferred[Any]:
        """Ask it; None if it does not answer."""
        asked = self._channel.ask(question)
        if question == "metrics":
            asked.addCallback(self._remember)
        return asked.addErrback(lambda failure: None)

    def _remember(self, metrics: Any) -> Any:
        self.last_metrics = metrics
        return metrics

    def _hear(self, message: Mapping[str, Any]) -> None:
        if message["kind"] == "listening" and not self._told:
            self._told = True
            self.listening.callback(None)
        elif message["kind"] == "failed":
            self._reason = message["reason"]
        elif message["kind"] == "last":
            self.last_metrics = message["metrics"]

    @override
    def childDataReceived(self, childFD: int, data: bytes) -> None:
        lines: Any = self._lines[childFD]
        lines.dataReceived(data)

    @override
    def processEnded(self, reason: Failure) -> None:
        self._process = None
        how = self._reason or _how(reason)
        if not self._told:
            self._told = True
            self.listening.errback(WorkerEndedError(how))
        # Its last words may still be on their way.
        self._channel_gone.addCallback(lambda _: self.ended.callback(how))


class _Lines(LineReceiver):
    """Cuts what a worker writes into lines."""

    delimiter = b"\n"
    MAX_LENGTH = 1024 * 1024

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    @override
    def lineReceived(self, line: bytes) -> None:
        self._write(line.decode("utf-8", "replace"))


def _numbered(doors: Sequence[Door]) -> dict[int, Door]:
    """Give each door a descriptor; those of systemd keep theirs."""
    number = _FIRST + len(_systemd_names())
    numbered: dict[int, Door] = {}
    for index, each in doors:
        if isinstance(each, SystemdSocket):
            numbered[each.descriptor] = (index, each)
        else:
            numbered[number] = (index, each)
            number += 1
    return numbered


def _systemd_names() -> list[str]:
    """Name the sockets that systemd has opened; of its variables Twisted leaves just this one."""
    names = os.environ.get("LISTEN_FDNAMES", "")
    return names.split(":") if names else []


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    kept["LISTEN_FDS"] = str(len(_systemd_names()))
    # What this process can import, its workers can, from wherever that was.
    return {**kept, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}


def _how(reason: Failure) -> str:
    if reason.check(ProcessDone):
        return "it ended by itself"
    ended: Any = reason.value
    return f"signal {ended.signal}" if ended.signal else f"exit status {ended.exitCode}"
