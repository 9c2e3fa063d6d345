"""
What Redis says, as values: a published message becomes an `Event`.

Rails publishes JSON objects `{"event": NAME, "payload": PAYLOAD}`. The payload is an object, or a
plain string (an id); `kill` and `filters_changed` have none. Its bytes are kept as they came:
re-encoding would change numbers that Python cannot hold.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import orjson

FILTERS_CHANGED = "filters_changed"
KILL = "kill"
STATUS_EVENTS = frozenset({"update", "status.update"})

# How Rails begins an envelope, give or take a space.
_USUAL = re.compile(rb'\{ ?"event" ?: ?"([\w.]+)" ?, ?"payload" ?: ?(?=[^ \t\n\r])')
# How it ends; before 4.2 Mastodon said when it had been queued.
_USUAL_ENDS = (
    re.compile(rb'[ \t\r\n]*,"queued_at":\d+\}[ \t\r\n]*\Z'),
    re.compile(rb"[ \t\r\n]*\}[ \t\r\n]*\Z"),
)
_MOST_END = 64  # bytes
_SPACE = re.compile(r"[ \t\n\r]*")
_UNSENDABLE = re.compile("[\r\n\0]")


class BadEnvelopeError(ValueError):
    """A published message is not an event anyone could be sent."""


@dataclass(frozen=True, slots=True)
class Event:
    """
    One thing that happened, before any transport has framed it.

    *payload* is its JSON text, UTF-8, as published, and *value* what that text means; both are
    None where there is nothing to be sent along.
    """

    name: str
    payload: bytes | None
    value: object

    @property
    def is_status(self) -> bool:
        """Whether the payload is a status, which filtered streams judge."""
        return self.name in STATUS_EVENTS


def parse_event(message: bytes) -> Event:
    """
    Read one message published on a timeline channel.

    :raises BadEnvelopeError: if it is not a JSON object that names its event, or has no payload
        though it is not `filters_changed`.
    """
    name, payload, value = _read_usual(message) or _read_any(message)
    if value is None or value in ("", 0):  # and so is False, equal to 0 here as in JavaScript
        if name != FILTERS_CHANGED:
            raise BadEnvelopeError("no payload")
        return Event(name, None, None)
    return Event(name, payload, value)


def parse_system_event(message: bytes) -> str:
    """
    Read one message of a system channel, which says nothing but its name.

    :raises BadEnvelopeError: as `parse_event` does.
    """
    return _read_any(message)[0]


def _read_usual(message: bytes) -> tuple[str, bytes, object] | None:
    """Take the payload out of an envelope by its place, if it is written as Rails does."""
    match = _USUAL.match(message)
    if not match:
        return None
    start = match.end()
    for pattern in _USUAL_ENDS:
        if end := pattern.search(message, max(start, len(message) - _MOST_END)):
            payload = message[start : end.start()]
            try:
                # What is valid JSON by itself in this place is the whole payload.
                return match[1].decode(), payload, orjson.loads(payload)
            except ValueError:
                pass
    return None


def _read_any(message: bytes) -> tuple[str, bytes, object]:
    """Walk through an envelope member by member; the last of equal names counts, as in JSON."""
    try:
        spans = _members(message.decode())
        name = json.loads(spans.get("event", "null"))
        payload = spans.get("payload", "null")
        value = _loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadEnvelopeError("not a JSON object") from error
    if not isinstance(name, str) or not name or _UNSENDABLE.search(name):
        raise BadEnvelopeError("no event")
    return name, payload.encode(), value


def _loads(text: str) -> object:
    try:
        return orjson.loads(text)
    except ValueError:
        # Such as numbers beyond 64 bits and lone surrogate escapes, which `json` can hold.
        return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _members(text: str) -> dict[str, str]:
    """
    Split the text of a JSON object into its members' names and the texts of their values.

    An empty object is refused as well: it is no envelope.
    """
    spans: dict[str, str] = {}
    at = _expect(text, 0, "{")
    separator = ","
    while separator == ",":
        name, end = _DECODER.raw_decode(text, at)
        if not isinstance(name, str):
            raise ValueError("a name is not a string")
        start = _expect(text, end, ":")
        _, end = _DECODER.raw_decode(text, start)
        spans[name] = text[start:end]
        at = _skip(text, end)
        separator = text[at : at + 1]
        at = _skip(text, at + 1)
    if separator != "}" or at != len(text):
        raise ValueError("the object does not end")
    return spans


def _skip(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()  # type: ignore[union-attr] # it matches nothing, too


def _expect(text: str, at: int, mark: str) -> int:
    at = _skip(text, at)
    if not text.startswith(mark, at):
        raise ValueError(f"{mark} expected")
    return _skip(text, at + 1)
