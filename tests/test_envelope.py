"""What Redis says."""

from __future__ import annotations

import json
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.envelope import BadEnvelopeError, Event, parse_event, parse_system_event
from tests.properties import FEW, JSON_TEXTS, SPACES, STRING_TEXTS

NAMES = some.sampled_from(["update", "status.update", "délete", "a b", "filters_changed"])
OTHER_NAMES = STRING_TEXTS.filter(lambda text: json.loads(text) not in ("event", "payload"))


@some.composite
def envelopes(draw: some.DrawFn) -> tuple[str, str, str]:
    """Draw an event's name, the text of its payload, and an envelope that holds them somehow."""
    name, payload = draw(NAMES), draw(JSON_TEXTS)
    # The last of equal names counts, so what is overruled comes first.
    overruled = draw(some.lists(JSON_TEXTS.map(lambda text: ('"payload"', text)), max_size=1))
    others = draw(some.lists(some.tuples(OTHER_NAMES, JSON_TEXTS), max_size=2))
    written = json.dumps(name, ensure_ascii=draw(some.booleans()))
    last = draw(
        some.permutations(
            [
                ('"event"', written),
                (draw(some.sampled_from(['"payload"', r'"\u0070ayload"'])), payload),
            ]
        )
    )
    return name, payload, _joined(draw, [*overruled, *others, *last])


def _joined(draw: some.DrawFn, members: Iterable[tuple[str, str]]) -> str:
    written = [
        f"{draw(SPACES)}{name}{draw(SPACES)}:{draw(SPACES)}{text}{draw(SPACES)}"
        for name, text in members
    ]
    return f"{draw(SPACES)}{{{','.join(written)}}}{draw(SPACES)}"


def falsy(value: object) -> bool:
    """Whether JavaScript takes a JSON value for false."""
    return value is None or value is False or value in ("", 0)


class ParseEventTests(SynchronousTestCase):
    """A published message becomes an event, or is refused."""

    def test_events(self) -> None:
        """The payload is kept as published, wherever it stands; other members are ignored."""
        for expected, message in (
            (Event("delete", b'"109"', "109"), '{"event":"delete","payload":"109"}'),
            (
                Event("update", b'{"id": "1"}', {"id": "1"}),
                '{"event":"update","payload":{"id": "1"}}',
            ),
            (
                Event("update", b'{"id":1}', {"id": 1}),
                ' { "queued_at" : 5, "payload" : {"id":1} , "event" : "update" } ',
            ),
            (
                Event("update", b"{}", {}),
                '{"event":"update","payload":{},"queued_at":1700000000000}',
            ),
            (
                Event("update", b'{"a":1,"queued_at":2}', {"a": 1, "queued_at": 2}),
                '{"event":"update","payload":{"a":1,"queued_at":2}}',
            ),
            (
                Event("update", b'{"queued_at":1}', {"queued_at": 1}),
                '{"event":"update","payload":{"queued_at":1} ,"queued_at":2}\n',
            ),
            (Event("update", b'"}"', "}"), '{"event":"update","payload":"}","x":{}}'),
            (Event("number", b"5", 5), '{"event":"number","payload":5}'),
            (Event("truth", b"true", True), '{"event":"truth","payload":true}'),
            (Event("list", b"[]", []), '{"event":"list","payload":[]}'),
            (Event("delete", b'"2"', "2"), '{"event":"x","payload":"2","event":"delete"}'),
            (Event("delete", b'"2"', "2"), '{"event":"delete","payload":"1","payload":"2"}'),
            (Event("été ✓", b"1", 1), '{"event":"\\u00e9t\u00e9 \u2713","payload":1}'),
            (Event("filters_changed", None, None), '{"event":"filters_changed"}'),
            (Event("filters_changed", None, None), '{"event":"filters_changed","payload":""}'),
            (Event("filters_changed", b"1", 1), '{"event":"filters_changed","payload":1}'),
        ):
            event = parse_event(message.encode())
            self.assertEqual(expected, event, msg=message)
            self.assertEqual(expected.value, event.value, msg=message)
            self.assertEqual(hash(expected), hash(event))
            self.assertIn(expected.name, repr(event))

    def test_no_payload(self) -> None:
        """What JavaScript takes for false is no payload, and then there is nothing to be sent."""
        for payload in ("null", "false", '""', "0", "-0", "0.0", "0e9", "1e-400"):
            message = f'{{"event":"update","payload":{payload}}}'.encode()
            self.assertRaises(BadEnvelopeError, parse_event, message)
        self.assertRaises(BadEnvelopeError, parse_event, b'{"event":"kill"}')

    def test_no_event(self) -> None:
        """An event has a name, and one that SSE can hold."""
        for name in ("null", '""', "5", '["update"]', r'"a\nb"', r'"a\rb"', r'"a\u0000b"', "{}"):
            message = f'{{"event":{name},"payload":"1"}}'.encode()
            self.assertRaises(BadEnvelopeError, parse_event, message)
        self.assertRaises(BadEnvelopeError, parse_event, b'{"payload":"1"}')

    def test_no_json(self) -> None:
        """What JSON does not know is no envelope, though parsers may let it through."""
        for message in (
            *(
                b"",
                b"not json",
                b"5",
                b"null",
                b"[]",
                b'"text"',
                b"{",
                b"{}",
                b'{"event"',
                b"{1:2}",
            ),
            b'\xef\xbb\xbf{"event":"update","payload":"1"}',
            b'\x0b{"event":"update","payload":"1"}',
            b'{"event":"update","payload":"\xff"}',
            b'{"event":"update","payload":NaN}',
            b'{"event":"update","payload":-Infinity}',
            b'{"event":"update","payload":"1","x":NaN}',
            b'{"event":"update","payload":"1","x":"\n"}',
            b'{"event":"update","payload":"1",}',
            b'{"event":"update" "payload":"1"}',
            b'{"event" "update","payload":"1"}',
            b'{"event":"update","payload":"1"',
            b'{"event":"update","payload":"1"}}',
            b'{"event":"update","payload":"1"} x',
            b'{"event":"update","payload":}',
            b"{'event':'update','payload':'1'}",
            b'{"event":"update","payload":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            # Python refuses to read such numbers; nobody publishes them.
            b'{"event":"update","payload":' + b"1" * 5000 + b"}",
        ):
            self.assertRaises(BadEnvelopeError, parse_event, message)

    def test_statuses(self) -> None:
        """New and edited statuses are statuses, and nothing else is."""
        for expected, name in (
            (True, "update"),
            (True, "status.update"),
            (False, "delete"),
            (False, "notification"),
            (False, "Update"),
        ):
            self.assertEqual(expected, Event(name, b"{}", {}).is_status, msg=name)

    @given(envelopes())
    @FEW
    def test_payload_is_kept(self, drawn: tuple[str, str, str]) -> None:
        """In any order, with any spaces, whatever numbers and strings: the payload is kept."""
        name, payload, message = drawn
        meant = json.loads(payload)
        if falsy(meant) and name != "filters_changed":
            self.assertRaises(BadEnvelopeError, parse_event, message.encode())
            return
        event = parse_event(message.encode())
        self.assertEqual(name, event.name)
        if falsy(meant):
            self.assertEqual((None, None), (event.payload, event.value))
            return
        self.assertEqual(payload.encode(), event.payload)
        self.assertEqual(meant, event.value)
        for kind in (str, dict, list):
            self.assertEqual(isinstance(meant, kind), isinstance(event.value, kind))

    @given(
        some.one_of(
            some.binary(),
            JSON_TEXTS.map(str.encode),
            some.builds(lambda rest: b'{"event":"update","payload":' + rest, some.binary()),
            some.builds(
                lambda drawn, at, put: drawn[2].encode()[:at] + put + drawn[2].encode()[at:],
                envelopes(),
                some.integers(0, 40),
                some.binary(max_size=2),
            ),
        )
    )
    @FEW
    def test_anything(self, message: bytes) -> None:
        """Whatever is published is an event or a `BadEnvelopeError`."""
        for parse in (parse_event, parse_system_event):
            try:
                parse(message)
            except BadEnvelopeError:
                continue
            self.assertIsInstance(json.loads(message), dict)


class ParseSystemEventTests(SynchronousTestCase):
    """A system channel says a name."""

    def test_names(self) -> None:
        """The name is what is said; a payload is of no interest."""
        for expected, message in (
            ("kill", b'{"event":"kill"}'),
            ("filters_changed", b' {"payload": null, "event": "filters_changed"}'),
            ("kill", b'{"event":"kill","payload":{"a":1}}'),
        ):
            self.assertEqual(expected, parse_system_event(message), msg=repr(message))

    def test_nonsense(self) -> None:
        """What has no name is refused."""
        for message in (b"", b"kill", b'"kill"', b"{}", b'{"event":null}', b'{"event":""}'):
            self.assertRaises(BadEnvelopeError, parse_system_event, message)


class ValueTests(SynchronousTestCase):
    """What a payload means is found out when it is asked for."""

    def test_unreadable(self) -> None:
        """A payload that Python cannot hold is passed on where nobody has to read it."""
        digits = "9" * 5000
        event = parse_event(b'{"event":"update","payload":{"id":%b}}' % digits.encode())
        self.assertEqual(b'{"id":%b}' % digits.encode(), event.payload)
        with self.assertRaises(BadEnvelopeError):
            _ = event.value
