"""
The parent, as twistd starts it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any, NoReturn

from twisted.logger import Logger
from twisted.python.usage import UsageError

from flodgatt_tx.edge.options import Options
from flodgatt_tx.edge.process import cores
from flodgatt_tx.settings import Settings
from flodgatt_tx.workers.parent import NoPlanError, Parent, Plan

_log = Logger()


def make_parent(
    reactor: Any, options: Options, output: IO[Any] | None, fail: Callable[[str], NoReturn]
) -> Parent:
    """
    Make the parent of as many workers as *options* say.

    *output* is where its log goes, and theirs, or None if twistd knows that alone.
    """

    def plan(settings: Settings) -> Plan:
        return Plan(settings, options.layers, options.user, settings.workers or cores())

    def read_plan() -> Plan:
        try:
            return plan(options.load())
        except UsageError as error:
            raise NoPlanError(str(error)) from None

    write = _writer(output, options.settings.log_format)
    return Parent(reactor, plan(options.settings), read_plan, write, fail)


def _writer(output: IO[Any] | None, form: str) -> Callable[[str], object]:
    """Relay lines as they are; what is not of the log's *form* came from no logger."""
    if output is None:
        return lambda line: _log.info("{line}", line=line)

    def write(line: str) -> None:
        if form == "json" and not line.startswith("{"):
            _log.error("{line}", line=line)
            return
        output.write(f"{line}\n")
        output.flush()

    return write
