"""
One target for each way in: it makes of any bytes what the way in takes, and lets them in.

A target raises if something got further than it may. The forms are such that the files of a corpus
can be read and written by hand: what has several parts has them in lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import orjson

from flodgatt_tx.envelope import Event
from tests import oracles, visits
from tests.wire import BINARY, CLOSE, CONT, PING, PONG, TEXT, frame

Target = Callable[[bytes], None]

_SIZES = (1, 3, 64, 1 << 20)
_CHANNELS = (
    *("timeline:2", "timeline:public", "timeline:1", "timeline:direct:1"),
    *("timeline:system:1", "timeline:access_token:1001", "timeline:system:3", "timeline:x"),
)
_OPCODES = {
    ord("t"): TEXT,
    ord("b"): BINARY,
    ord("c"): CONT,
    ord("i"): PING,
    ord("o"): PONG,
    ord("x"): CLOSE,
}
# Trying all places takes long for long texts.
_LONGEST_TEXT = 200
_MOST_KEYWORDS = 6


def framing(data: bytes) -> None:
    """The first line is an event's name, the rest its payload, a string."""
    name, _, payload = _text(data).partition("\n")
    name = re.sub("[\r\0]", "", name)
    if name and payload:
        oracles.framed(Event(name, orjson.dumps(payload), payload))


def token(data: bytes) -> None:
    """Three lines: the header, the parameter and the subprotocols; empty ones are not there."""
    places = [line or None for line in data.decode("latin-1").split("\n", 2)]
    oracles.token(*[*places, None, None][:3])


def hashtag(data: bytes) -> None:
    """A hashtag."""
    oracles.hashtag(_text(data))


def filters(data: bytes) -> None:
    """The text in the first line, then keywords, those for whole words with `=` before them."""
    text, *keywords = _text(data).split("\n")
    asking = [(each.removeprefix("="), each.startswith("=")) for each in keywords]
    oracles.filters(asking[:_MOST_KEYWORDS], text[:_LONGEST_TEXT])


def status(data: bytes) -> None:
    """The content of a status."""
    oracles.status_text(_text(data))


def connection(data: bytes) -> None:
    """A byte that chooses the segments' size, then what a new client says."""
    visits.connection(data[1:], _size(data))


def websocket(data: bytes) -> None:
    """A byte that chooses how it is said, then what a client says behind its handshake."""
    visits.websocket(data[1:], _size(data), _chosen(data, 2) == 1)


def frames(data: bytes) -> None:
    """
    A byte that chooses how it is said, then a line for each frame.

    A line begins with a letter for what it is, a capital if it is to be continued: text, binary,
    continuation, pIng, pOng, eXit. What is no such letter gives first byte and mask as they come.
    """
    said = b"".join(map(_frame, filter(None, data[1:].split(b"\n"))))
    visits.websocket(said, _size(data), _chosen(data, 2) == 1)


def _frame(line: bytes) -> bytes:
    letter, payload = line[0], line[1:]
    opcode = _OPCODES.get(letter | 32)
    if opcode is None:
        return frame(letter & 15, payload, not letter & 128, letter >> 4 & 1, form=letter & 127)
    return frame(opcode, payload, fin=bool(letter & 32))


def messages(data: bytes) -> None:
    """A line for each message, which begins with a digit for its channel."""
    lines = filter(None, data.split(b"\n"))
    visits.messages([(_CHANNELS[line[0] % len(_CHANNELS)], line[1:]) for line in lines])


def replies(data: bytes) -> None:
    """A byte that chooses connection and segments, then what Redis says."""
    visits.replies(data[1:], _chosen(data, 2), _size(data))


def _chosen(data: bytes, shift: int) -> int:
    return data[0] >> shift & 1 if data else 0


def _size(data: bytes) -> int:
    return _SIZES[data[0] & 3] if data else 1


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


TARGETS: dict[str, Target] = {
    "envelope": oracles.envelope,
    "framing": framing,
    "command": oracles.command,
    "query": oracles.target,
    "token": token,
    "hashtag": hashtag,
    "filters": filters,
    "status": status,
    "connection": connection,
    "websocket": websocket,
    "frames": frames,
    "messages": messages,
    "replies": replies,
}
