"""What a WebSocket client says."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.commands import Subscribe, Unsubscribe, parse_command
from tests.properties import FEW, JSON_TEXTS


class ParseCommandTests(SynchronousTestCase):
    """A message is a command or nothing."""

    def test_commands(self) -> None:
        """Type and stream are taken out; the rest are the stream's parameters."""
        for expected, said in (
            (Subscribe("user", {}), {"type": "subscribe", "stream": "user"}),
            (Unsubscribe("user", {}), {"type": "unsubscribe", "stream": "user"}),
            (
                Subscribe("hashtag", {"tag": "Cats", "more": [1]}),
                {"tag": "Cats", "stream": "hashtag", "more": [1], "type": "subscribe"},
            ),
            (
                Subscribe("hashtag", {"tag": "t"}),
                {"type": "subscribe", "stream": ["hashtag", "cats"], "tag": "t"},
            ),
            (Subscribe("", {}), {"type": "subscribe"}),
            (Subscribe("", {}), {"type": "subscribe", "stream": []}),
            (Subscribe("", {}), {"type": "subscribe", "stream": 5}),
            (Unsubscribe("", {}), {"type": "unsubscribe", "stream": [["user"]]}),
            (Unsubscribe("", {}), {"type": "unsubscribe", "stream": None}),
        ):
            self.assertEqual(expected, parse_command(json.dumps(said).encode()), msg=repr(said))

    def test_no_commands(self) -> None:
        """Clients may send whatever they like; it is ignored."""
        for message in (
            *(b"", b"not json", b"5", b"null", b"[]", b'"subscribe"', b"\xff", b"{", b"{}"),
            *(b'{"stream":"user"}', b'{"type":"sing","stream":"user"}', b'{"type":["subscribe"]}'),
            *(b'{"type":{}}', b'{"type":null}', b'{"type":"Subscribe"}', b"[" * 100_000),
        ):
            self.assertEqual(None, parse_command(message), msg=repr(message)[:40])

    @given(some.one_of(some.binary(), JSON_TEXTS.map(str.encode)))
    @FEW
    def test_anything(self, message: bytes) -> None:
        """Only what says so is a command, and nothing raises."""
        self.assertEqual(None, parse_command(message))
        parse_command(b'{"type":"subscribe","stream":%b}' % message)
        parse_command(b'{"type":"unsubscribe","tag":%b}' % message)
