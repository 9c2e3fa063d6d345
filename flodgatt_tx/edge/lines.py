"""
One event of the log as one line.

As text it is Twisted's line, and as JSON an object: `level`, by Node's name, `time`, in UTC, `pid`,
`worker`, if there are several, `name` of who says it, `msg`; `stack`, if something broke; and then
whatever belongs to the message, such as `request_id` and `account_id`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from twisted.logger import LogEvent, LogLevel, eventAsText, formatEvent

_NAMES = {LogLevel.critical: "fatal"}
# What Twisted's older functions add to what they say, and what is told in other fields.
_NOT_FIELDS = frozenset({"format", "isError", "message", "time", "system", "failure", "why"})
_PLAIN = (str, int, float, bool, type(None))
# Nobody's terminal shall obey what was in a message; lines behind the first begin with a tab.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def write_text(event: LogEvent, worker: int | None = None) -> str | None:
    """Write an event as text, None if there is nothing to say."""
    if worker is not None:
        event = {**event, "log_system": f"{_origin(event)} worker {worker}"}
    text = eventAsText(event, includeSystem=True, includeTimestamp=True)
    text = printable(text.strip("\n"))
    return text.replace("\n", "\n\t") + "\n" if text else None


def printable(text: str) -> str:
    """Write what would command a terminal, or is no Unicode, as its number; lines stay."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def write_json(event: LogEvent, worker: int | None = None) -> str | None:
    """Write an event as a JSON object, None if there is nothing to say."""
    message = formatEvent(event)
    failure = event.get("log_failure")
    if not message and not failure:
        return None
    level = event.get("log_level", LogLevel.info)
    line = {
        "level": _NAMES.get(level, level.name),
        "time": _time(event.get("log_time", 0.0)),
        "pid": os.getpid(),
        **({} if worker is None else {"worker": worker}),
        "name": event.get("log_namespace", "-"),
        "msg": message or str(failure and failure.getErrorMessage()),
        **({"stack": failure.getTraceback()} if failure else {}),
    }
    # Texts may hold what is not Unicode, which only the standard library writes.
    return json.dumps({**_fields(event), **line}, ensure_ascii=True) + "\n"


def _fields(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in event.items()
        if not name.startswith("log_") and name not in _NOT_FIELDS and isinstance(value, _PLAIN)
    }


def _origin(event: LogEvent) -> str:
    if system := event.get("log_system"):
        return str(system)
    level = event.get("log_level", LogLevel.info)
    return f"{event.get('log_namespace', '-')}#{level.name}"


def _time(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
