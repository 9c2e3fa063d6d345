"""
Whatever comes from outside, it is understood, or refused, and harms nobody.
"""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.streams import KINDS
from tests import hostile, oracles, visits
from tests.properties import FEW

MAYBE_TEXT = some.one_of(
    some.none(), hostile.TORN_TEXTS, hostile.TORN_TEXTS.map("Bearer {}".format)
)
KEYWORDS = some.lists(some.tuples(hostile.TORN_TEXTS.map(lambda t: t[:5]), some.booleans()))
MORE = settings(FEW, max_examples=2 * FEW.max_examples)
# What is not as a reply to SUBSCRIBE or a message has to be, and what is no reply at all.
NO_REPLIES = (
    b"*3\r\n$7\r\nmessage\r\n$10\r\ntimeline:2\r\n:1\r\n",
    b"*3\r\n$7\r\nmessage\r\n$-1\r\n$1\r\nx\r\n",
    b"*3\r\n$9\r\nsubscribe\r\n$-1\r\n:1\r\n",
    b"x",
    b"*1\r\n" * 12 + b":1\r\n",
    b"*-2\r\n",
)


class ValueTests(SynchronousTestCase):
    """What comes from outside, and what is made of it."""

    @given(hostile.envelopes())
    @MORE
    def test_envelopes(self, message: bytes) -> None:
        """What is published is framed so that it can be read, or is dropped."""
        oracles.envelope(message)

    @given(hostile.commands())
    @MORE
    def test_commands(self, message: bytes) -> None:
        """What clients say leads to a stream, a refusal or nothing."""
        oracles.command(message)

    @given(some.one_of(some.sampled_from(KINDS), hostile.TEXTS), hostile.PARAMETERS)
    @MORE
    def test_streams(self, kind: str, parameters: Mapping[str, object]) -> None:
        """Whatever the parameters are, a stream is one of the viewer's or of everybody's."""
        oracles.stream(kind, parameters)

    @given(hostile.targets())
    @MORE
    def test_targets(self, target: bytes) -> None:
        """Targets are read whatever they are."""
        oracles.target(target)

    @given(MAYBE_TEXT, MAYBE_TEXT, MAYBE_TEXT)
    @MORE
    def test_tokens(
        self, authorization: str | None, parameter: str | None, protocols: str | None
    ) -> None:
        """What is taken for a token can be asked for together with others."""
        oracles.token(authorization, parameter, protocols)

    @given(hostile.TORN_TEXTS)
    @MORE
    def test_hashtags(self, name: str) -> None:
        """A hashtag never leads out of the channels of hashtags."""
        oracles.hashtag(name)

    @given(KEYWORDS, some.lists(hostile.TORN_TEXTS, max_size=4).map("".join))
    @MORE
    def test_filters(self, keywords: list[tuple[str, bool]], text: str) -> None:
        """Keywords are found in a text where trying all places finds them."""
        oracles.filters(keywords[:6], text[:100])

    @given(
        some.one_of(
            hostile.TORN_TEXTS,
            some.lists(
                some.sampled_from(
                    [
                        "<p>",
                        "</p>",
                        "<br",
                        ">",
                        "<script>",
                        "<!--",
                        "&amp",
                        "&#0;",
                        "x",
                        "<b " * 300,
                    ]
                )
            ).map("".join),
        )
    )
    @MORE
    def test_html(self, html: str) -> None:
        """HTML may be as broken as it likes."""
        oracles.status_text(html)


class VisitTests(SynchronousTestCase):
    """Guests who bring whatever they like, while others listen."""

    def setUp(self) -> None:
        """Leave accidents to the visits: they look for them, where there may be none."""
        self.addCleanup(self.flushLoggedErrors)

    @given(hostile.SAID, hostile.SEGMENTS, some.booleans())
    @FEW
    def test_frames(self, said: bytes, segment: int, impatient: bool) -> None:
        """Frames, right and wrong, cut anywhere."""
        visits.websocket(said, segment, impatient)

    @given(some.binary(max_size=60), hostile.SEGMENTS, some.booleans())
    @FEW
    def test_bytes(self, said: bytes, segment: int, impatient: bool) -> None:
        """Bytes that need not be frames."""
        visits.websocket(said, segment, impatient)

    @given(hostile.requests(), hostile.SEGMENTS)
    @FEW
    def test_requests(self, said: bytes, segment: int) -> None:
        """Requests, one behind the other, damaged anywhere."""
        visits.connection(said, max(segment, len(said) // 500))

    @given(some.lists(some.tuples(hostile.CHANNELS, hostile.envelopes()), max_size=4))
    @FEW
    def test_messages(self, said: list[tuple[str, bytes]]) -> None:
        """Messages on channels that somebody hears: none harms the next."""
        visits.messages(said)

    @given(
        some.one_of(hostile.REPLIES, some.binary(max_size=9)), some.integers(0, 1), hostile.SEGMENTS
    )
    @FEW
    def test_replies(self, data: bytes, connection: int, segment: int) -> None:
        """Replies that Redis never gives, and what is none, over either connection."""
        visits.replies(data, connection, segment)

    def test_replies_without_accidents(self) -> None:
        """What no Redis says is told as such, and not as a mistake of the server's."""
        for data in NO_REPLIES:
            for connection in (0, 1):
                visits.replies(data, connection, accidents_count=True)
