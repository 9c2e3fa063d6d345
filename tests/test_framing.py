"""Events as the bytes that clients read."""

from __future__ import annotations

import json
import re
import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.envelope import BadEnvelopeError, Event, parse_event
from flodgatt_tx.framing import (
    PING,
    SSE_HEARTBEAT,
    SSE_HELLO,
    encode_stream,
    frame_error,
    frame_sse,
    frame_text,
    frame_websocket,
    with_filtered,
)
from tests.properties import FEW, JSON_TEXTS, SPACES, STRING_TEXTS, object_texts

USER = encode_stream(("user",))
LINE_BREAK = re.compile("\r\n|\r|\n")


def read_sse(stream: bytes) -> list[tuple[str, str]]:
    """Read events as https://html.spec.whatwg.org/multipage/server-sent-events.html says."""
    events, name, data = [], "", ""
    *lines, rest = LINE_BREAK.split(stream.decode())
    assert not rest, "the last line does not end"
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                events.append((name, data.removesuffix("\n")))
            name, data = "", ""
        elif field == "event":
            name = value
        elif field == "data":
            data += value + "\n"
    return events


def read_frame(frame: bytes) -> str:
    """Read the one unmasked text frame that there must be (RFC 6455, section 5.2)."""
    assert frame[0] == 0x81, "not a whole text message"
    size, start = frame[1], 2
    if size == 126:
        (size,), start = struct.unpack_from("!H", frame, 2), 4
        assert size >= 126, "the length is longer than needed"
    elif size == 127:
        (size,), start = struct.unpack_from("!Q", frame, 2), 10
        assert size >= 1 << 16, "the length is longer than needed"
    assert len(frame) == start + size, "the length is not that of the text"
    return frame[start:].decode()


def read_message(frame: bytes) -> Any:
    """Read the JSON in a frame."""
    return json.loads(read_frame(frame))


def without_surrogates(text: str) -> str:
    """Put U+FFFD where UTF-8 cannot express what JSON can."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


@some.composite
def events(draw: some.DrawFn) -> Event:
    """Draw any event that can be published."""
    name, payload = draw(STRING_TEXTS), draw(JSON_TEXTS)
    try:
        return parse_event(f'{{"event":{name},"payload":{payload}}}'.encode())
    except BadEnvelopeError:
        return Event("filters_changed", None, None)


class SseTests(SynchronousTestCase):
    """An EventSource reads what was published."""

    def test_bytes(self) -> None:
        """An event is its name, its data and an empty line."""
        for expected, event in (
            (b"event: delete\ndata: 109\n\n", Event("delete", b'"109"', "109")),
            (b'event: update\ndata: {"id": 1}\n\n', Event("update", b'{"id": 1}', {"id": 1})),
            (b"event: number\ndata: 5\n\n", Event("number", b"5", 5)),
            (b"event: filters_changed\ndata: null\n\n", Event("filters_changed", None, None)),
            (b"event: text\ndata: a\ndata: b\n\n", Event("text", rb'"a\nb"', "a\nb")),
            (b"event: text\ndata: \xef\xbf\xbd\n\n", Event("text", rb'"\ud800"', "\ud800")),
        ):
            self.assertEqual(expected, frame_sse(event), msg=repr(event))

    def test_line_breaks(self) -> None:
        """Every kind of line break in a payload is a line break to the reader, and just one."""
        for expected, text in (
            ("a\nb", "a\nb"),
            ("a\nb", "a\rb"),
            ("a\nb", "a\r\nb"),
            ("a\n\nb", "a\n\rb"),
            ("\n", "\n"),
            ("\na\n", "\ra\r\n"),
            ("x\nevent: y\nid: 1\n\nz", "x\nevent: y\nid: 1\n\nz"),
        ):
            frame = frame_sse(Event("text", json.dumps(text).encode(), text))
            self.assertEqual([("text", expected)], read_sse(frame), msg=repr(text))

    def test_quiet(self) -> None:
        """Greeting and heartbeat are comments, and say nothing between two events."""
        frame = frame_sse(Event("delete", b'"1"', "1"))
        read = read_sse(SSE_HELLO + SSE_HEARTBEAT + frame + SSE_HEARTBEAT + frame)
        self.assertEqual([("delete", "1")] * 2, read)

    @given(some.lists(events(), min_size=1, max_size=3))
    @FEW
    def test_round_trip(self, published: list[Event]) -> None:
        """Whatever is published is what an EventSource hears, event by event."""
        heard = read_sse(SSE_HELLO + b"".join(map(frame_sse, published)))
        self.assertEqual(
            [without_surrogates(each.name) for each in published], [n for n, _ in heard]
        )
        for event, (_, data) in zip(published, heard, strict=True):
            if isinstance(event.value, str):
                text = LINE_BREAK.sub("\n", without_surrogates(event.value))
                self.assertEqual(text, data)
            else:
                self.assertEqual(json.loads(event.payload or b"null"), json.loads(data))


class WebSocketTests(SynchronousTestCase):
    """A WebSocket client reads what was published."""

    def test_messages(self) -> None:
        """A payload that is an object or a list is a string of JSON; others are themselves."""
        for expected, event in (
            (
                '{"stream":["user"],"event":"delete","payload":"109"}',
                Event("delete", b'"109"', "109"),
            ),
            (
                r'{"stream":["user"],"event":"update","payload":"{\"id\": 1}"}',
                Event("update", b'{"id": 1}', {"id": 1}),
            ),
            ('{"stream":["user"],"event":"list","payload":"[1]"}', Event("list", b"[1]", [1])),
            ('{"stream":["user"],"event":"number","payload":5}', Event("number", b"5", 5)),
            ('{"stream":["user"],"event":"filters_changed"}', Event("filters_changed", None, None)),
        ):
            self.assertEqual(expected, read_frame(frame_websocket(event, USER)), msg=repr(event))

    @given(events())
    @FEW
    def test_round_trip(self, event: Event) -> None:
        """Whatever is published is what a WebSocket client reads."""
        message = read_message(frame_websocket(event, USER))
        self.assertEqual(["user"], message["stream"])
        self.assertEqual(without_surrogates(event.name), message["event"])
        if event.payload is None:
            self.assertNotIn("payload", message)
        elif isinstance(event.value, dict | list):
            self.assertEqual(json.loads(event.payload), json.loads(message["payload"]))
        else:
            self.assertEqual(json.loads(event.payload), message["payload"])

    def test_lengths(self) -> None:
        """Each length of a text is written in as few bytes as there may be."""
        for header, size in (
            (2, 0),
            (2, 1),
            (2, 125),
            (4, 126),
            (4, 127),
            (4, 65535),
            (10, 65536),
            (10, 70000),
        ):
            frame = frame_text(b"x" * size)
            self.assertEqual(header + size, len(frame), msg=str(size))
            self.assertEqual("x" * size, read_frame(frame), msg=str(size))

    def test_errors(self) -> None:
        """An error has its text, and a status where there is one."""
        for expected, status in (
            ({"error": "no “entry”", "status": 401}, 401),
            ({"error": "no “entry”"}, None),
        ):
            message = read_message(frame_error("no “entry”", status))
            self.assertEqual(expected, message, msg=repr(status))

    def test_ping(self) -> None:
        """A ping is a whole control frame without anything in it."""
        self.assertEqual((0x80 | 0x9, 0), tuple(PING))

    def test_streams(self) -> None:
        """A stream's name is there as the client wrote it; half a surrogate pair is U+FFFD."""
        for expected, name in (
            (["user"], ("user",)),
            (["hashtag", "Café ✓"], ("hashtag", "Café ✓")),
            (["list", 2**63 - 1], ("list", 2**63 - 1)),
            (["hashtag", "\ufffdx"], ("hashtag", "\ud800x")),
        ):
            self.assertEqual(expected, json.loads(encode_stream(name)), msg=repr(name))


class WithFilteredTests(SynchronousTestCase):
    """The results of keyword filters go into the status."""

    def test_bytes(self) -> None:
        """They come last, and every other byte stays as it is."""
        for expected, status in (
            (b'{"filtered":[]}', b"{}"),
            (b'{"filtered":[]}', b"{ \n}"),
            (b'{"id": "1","filtered":[]}', b'{"id": "1"}'),
            (b'{"n":1e400,"filtered":[]}', b'{"n":1e400 }'),
        ):
            event = with_filtered(Event("update", status, {}), b"[]")
            self.assertEqual(Event("update", expected, {}), event, msg=repr(status))

    @given(object_texts(JSON_TEXTS), SPACES)
    @FEW
    def test_any_status(self, status: str, space: str) -> None:
        """Whatever the status, all of it is there, and the results."""
        message = f'{{"event":"update","payload":{status}{space}}}'.encode()
        event = with_filtered(parse_event(message), b'[{"a":1}]')
        expected = {**json.loads(status), "filtered": [{"a": 1}]}
        self.assertEqual(expected, json.loads(event.payload or b""))
        self.assertEqual("update", event.name)
