"""
The connected clients, whichever way they came in.
"""

from __future__ import annotations

from typing import Protocol

from flodgatt_tx.edge.accounts import Account
from flodgatt_tx.envelope import Event
from flodgatt_tx.framing import (
    CHUNKED,
    PLAIN,
    encode_stream,
    frame_chunk,
    frame_sse,
    frame_websocket,
)
from flodgatt_tx.streams import Stream
from flodgatt_tx.viewer import Viewer

WEBSOCKET = "websocket"
EVENTSOURCE = "eventsource"


class Connection(Protocol):
    """What a transport does for its reader."""

    def kill(self) -> None:
        """End because the viewer may not listen any more."""
        ...

    def go_away(self) -> None:
        """End because the server goes down; the client shall come back."""
        ...


class Sink(Protocol):
    """What takes a reader's frames; *unsent* of what it took waits with it, in bytes."""

    unsent: int

    def send(self, frame: bytes) -> None:
        """Send bytes that are framed for the reader's transport."""
        ...


class Reader:
    """
    One client that is logged in.

    It is *ready* while events may be sent to its *outlet*, and *entered* while it is registered.
    *framing* is how SSE is framed for it, and empty for a WebSocket. It has come at a time,
    *since*, by a request that is called *request_id*. So far it was sent so many *events* in so
    many *bytes*; *end* is why it ends, once the server knows.
    """

    __slots__ = (
        "bytes",
        "connection",
        "end",
        "entered",
        "events",
        "framing",
        "outlet",
        "ready",
        "request_id",
        "since",
        "subscriptions",
        "transport",
        "viewer",
    )

    def __init__(
        self,
        transport: str,
        viewer: Viewer,
        connection: Connection,
        framing: bytes = b"",
        request_id: str = "",
        since: float = 0.0,
    ) -> None:
        self.transport = transport
        self.framing = framing
        self.viewer = viewer
        self.connection = connection
        self.outlet: Sink | None = None
        self.ready = False
        self.entered = False
        self.request_id = request_id
        self.since = since
        self.events = self.bytes = 0
        self.end = ""
        self.subscriptions: dict[tuple[str | int, ...], Subscription] = {}


class Subscription:
    """
    One reader's interest in one stream.

    Subscriptions of the same *kind* are served the same bytes. *account* is there where the
    stream is filtered; *listening* tells that the channels know of it, *takes_all* that whatever
    comes on them is for the stream.
    """

    __slots__ = ("account", "kind", "listening", "reader", "stream", "takes_all")

    def __init__(self, reader: Reader, stream: Stream) -> None:
        self.reader = reader
        self.stream = stream
        self.kind = reader.framing or encode_stream(stream.name)
        self.account: Account | None = None
        self.listening = False
        self.takes_all = stream.home_notifications is None


def transport_of(kind: bytes) -> str:
    """The transport that a kind of subscription is served over."""
    return EVENTSOURCE if kind in (CHUNKED, PLAIN) else WEBSOCKET


def frame_for(kind: bytes, event: Event) -> bytes:
    """Write an event for a kind of subscription: a framing of SSE, or a WebSocket stream's name."""
    if kind == CHUNKED:
        return frame_chunk(frame_sse(event))
    return frame_sse(event) if kind == PLAIN else frame_websocket(event, kind)
