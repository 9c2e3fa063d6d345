"""
What Redis says, as values: a published message becomes an `Event`.

Rails publishes JSON objects `{"event": NAME, "payload": PAYLOAD}`. The payload is an object, or a
plain string (an id); `kill` and `filters_changed` have none. Its bytes are kept as they came:
re-encoding would change numbers that Python cannot hold.
"""

from __future__ import annotations

import json
import re

import orjson
from msgspec import Raw, Struct
from msgspec.json import Decoder
from typing_extensions import override

FILTERS_CHANGED = "filters_changed"
KILL = "kill"
STATUS_EVENTS = frozenset({"update", "status.update"})

_SPACE = re.compile(r"[ \t\n\r]*")
_UNSENDABLE = re.compile("[\r\n\0]")
_SENDABLE = re.compile(r"[\w.]+")
_UNREAD = object()


class BadEnvelopeError(ValueError):
    """A published message is not an event anyone could be sent."""


class Event:
    """
    One thing that happened, before any transport has framed it.

    *payload* is its JSON text, UTF-8, as published; None where nothing is to be sent along.
    """

    __slots__ = ("_value", "name", "payload")

    def __init__(self, name: str, payload: bytes | None, value: object = _UNREAD) -> None:
        self.name = name
        self.payload = payload
        self._value = value

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Event) and (self.name, self.payload) == (other.name, other.payload)

    @override
    def __hash__(self) -> int:
        return hash((self.name, self.payload))

    @override
    def __repr__(self) -> str:
        return f"Event({self.name!r}, {self.payload!r})"

    @property
    def value(self) -> object:
        """
        What the payload means; it is read when somebody wants to know.

        :raises BadEnvelopeError: if Python cannot hold it.
        """
        if self._value is _UNREAD:
            try:
                self._value = None if self.payload is None else _loads(self.payload.decode())
            except (ValueError, RecursionError) as error:
                raise BadEnvelopeError("a payload that cannot be read") from error
        return self._value

    @property
    def is_structured(self) -> bool:
        """Whether the payload is an object or an array."""
        return self.payload is not None and self.payload[:1] in (b"{", b"[")

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
    name, payload = _read_usual(message) or _read_any(message)
    event = Event(name, payload)
    # False is equal to 0, here as in JavaScript.
    if not event.is_structured and (event.value is None or event.value in ("", 0)):
        if name != FILTERS_CHANGED:
            raise BadEnvelopeError("no payload")
        return Event(name, None)
    return event


def parse_system_event(message: bytes) -> str:
    """
    Read one message of a system channel, which says nothing but its name.

    :raises BadEnvelopeError: as `parse_event` does.
    """
    return _read_any(message)[0]


class _Envelope(Struct):
    event: str
    payload: Raw


_USUAL = Decoder(_Envelope)


def _read_usual(message: bytes) -> tuple[str, bytes] | None:
    """Take the payload out of an envelope as Rails writes it, unread but valid."""
    try:
        envelope = _USUAL.decode(message)
        payload = bytes(envelope.payload)
        payload.decode()
    except (ValueError, RecursionError):
        return None
    return (envelope.event, payload) if _SENDABLE.fullmatch(envelope.event) else None


def _read_any(message: bytes) -> tuple[str, bytes]:
    """Walk through an envelope member by member; the last of equal names counts, as in JSON."""
    try:
        spans = _members(message.decode())
        name = json.loads(spans.get("event", "null"))
        payload = spans.get("payload", "null")
        _loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadEnvelopeError("not a JSON object") from error
    if not isinstance(name, str) or not name or _UNSENDABLE.search(name):
        raise BadEnvelopeError("no event")
    return name, payload.encode()


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
