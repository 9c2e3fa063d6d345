"""
Where the log goes, and how much of it.

twistd's options decide where: the terminal with `-n`, else `twistd.log` or what `-l` names. Its own
log files are a megabyte each and grow in number without end; ours are bounded.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

from twisted.application.service import IServiceCollection, MultiService
from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    LogPublisher,
)
from twisted.python.logfile import LogFile
from typing_extensions import override

from flodgatt_tx.edge.lines import write_json, write_text

FILE_SIZE = 16 * 1024 * 1024  # bytes
FILES = 10

# Node's names, from pino; Twisted knows nothing finer than debug.
_LEVELS = {
    "trace": LogLevel.debug,
    "debug": LogLevel.debug,
    "info": LogLevel.info,
    "warn": LogLevel.warn,
    "error": LogLevel.error,
    "fatal": LogLevel.critical,
}


def make_observer(
    level: str, output: IO[Any], form: str = "text", worker: int | None = None
) -> ILogObserver:
    """
    Write to *output* what is at least of *level*, one of Node's names for them.

    The *form* is `text` or `json`; a *worker* says which it is.
    """
    if level == "silent":
        return LogPublisher()
    predicate = LogLevelFilterPredicate(defaultLogLevel=_LEVELS[level])
    # What Autobahn says of a client quotes what the client has sent, tokens included.
    predicate.setLogLevelForNamespace("autobahn", LogLevel.critical)
    write = write_json if form == "json" else write_text
    observer = FileLogObserver(output, partial(write, worker=worker))
    return FilteringLogObserver(observer, [predicate])


def open_output(twistd: Mapping[str, Any]) -> IO[Any] | None:
    """
    Open what twistd's options name as the log; None if it goes to syslog or a logger of theirs.

    SIGUSR1 begins a new file, as it does with twistd's own.
    """
    if twistd.get("syslog") or twistd.get("logger"):
        return None
    name = twistd.get("logfile")
    if name == "-" or (not name and twistd.get("nodaemon")):
        return sys.stdout
    path = Path(name or "twistd.log").absolute()
    file: Any = LogFile(path.name, str(path.parent), FILE_SIZE, maxRotatedFiles=FILES)
    if twistd.get("uid") is not None:
        # Whoever we become has to set it aside some day.
        os.chown(path, twistd["uid"], -1 if twistd.get("gid") is None else twistd["gid"])
    _rotate_on_signal(file.rotate)
    return file  # type: ignore[no-any-return] # a LogFile can be written to


def _rotate_on_signal(rotate: Callable[[], None]) -> None:
    from twisted.internet import reactor

    call: Any = getattr(reactor, "callFromThread")  # noqa: B009 # its interface is not typed here
    if not signal.getsignal(signal.SIGUSR1):
        signal.signal(signal.SIGUSR1, lambda *_: call(rotate))


class LoggedService(MultiService):
    """The service of the whole application, which brings its own log observer."""

    def __init__(self, observer: ILogObserver | None) -> None:
        MultiService.__init__(self)
        self._observer = observer

    @override
    def setServiceParent(self, parent: IServiceCollection) -> None:
        # twistd asks the application for its observer just after this.
        if self._observer and hasattr(parent, "setComponent"):
            parent.setComponent(ILogObserver, self._observer)
        MultiService.setServiceParent(self, parent)
