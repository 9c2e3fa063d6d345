"""
What a WebSocket client says: `{"type": "subscribe", "stream": "hashtag", "tag": "cats"}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson


@dataclass(frozen=True, slots=True)
class Subscribe:
    """The client wants to hear a stream."""

    kind: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """The client has heard enough of a stream."""

    kind: str
    parameters: Mapping[str, object]


_COMMANDS: dict[str, type[Subscribe] | type[Unsubscribe]] = {
    "subscribe": Subscribe,
    "unsubscribe": Unsubscribe,
}


def parse_command(message: bytes) -> Subscribe | Unsubscribe | None:
    """
    Read one message of a client.

    :return: None for whatever is not a command; clients may send what they like, and Mastodon's
        server ignores it too.
    """
    try:
        said = orjson.loads(message)
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    command = said.pop("type", None)
    kind = said.pop("stream", None)
    if isinstance(kind, list):
        kind = next(iter(kind), None)
    if not isinstance(command, str) or command not in _COMMANDS:
        return None
    return _COMMANDS[command](kind if isinstance(kind, str) else "", said)
