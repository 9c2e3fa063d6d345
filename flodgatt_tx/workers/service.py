"""
The parent, as twistd starts it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import IO, Any, NoReturn

from twisted.logger import Logger
from twisted.python.usage import UsageError

from flodgatt_tx.edge.lines import printable
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

    write = make_writer(output, options.settings.log_format)
    return Parent(reactor, plan(options.settings), read_plan, write, fail)


def make_writer(output: IO[Any] | None, form: str) -> Callable[[str], object]:
    """
    Say how to write a line of a worker's to the log, which has this *form* in all its lines.

    A line that has not came from no logger, and is logged as what somebody said.
    """
    if output is None:
        return lambda line: _log.info("{line}", line=line)

    def write(line: str) -> None:
        if form == "json" and not _is_object(line):
            _log.error("{line}", line=line)
            return
        output.write(f"{line if form == 'json' else printable(line)}\n")
        output.flush()

    return write


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
