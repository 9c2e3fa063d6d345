"""Where a token may hide."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.credentials import find_token, subprotocols
from flodgatt_tx.errors import INVALID_TOKEN, MISSING_TOKEN, UnauthorizedError
from tests.properties import FEW

MAYBE_TEXT = some.one_of(some.none(), some.text(max_size=12))


class SubprotocolsTests(SynchronousTestCase):
    """A Sec-WebSocket-Protocol header is a list."""

    def test_list(self) -> None:
        """Words are separated by commas and spaces around them; empty ones are left out."""
        for expected, header in (
            ([], None),
            ([], ""),
            ([], " , ,"),
            (["token"], "token"),
            (["token", "mastodon"], "token,mastodon"),
            (["token", "mastodon"], " token ,\tmastodon, "),
        ):
            self.assertEqual(expected, subprotocols(header), msg=repr(header))


class FindTokenTests(SynchronousTestCase):
    """The header wins over the query, and the query over the subprotocol."""

    def test_places(self) -> None:
        """A token is found wherever it hides, in this order."""
        for expected, places in (
            ("header", ("Bearer header", "query", "protocol")),
            ("header", ("header", None, None)),
            ("query", (None, "query", "protocol")),
            ("query", ("", "query", None)),
            ("protocol", (None, None, "protocol")),
            ("protocol", (None, "", "protocol, mastodon")),
            ("protocol", ("", "", ", protocol")),
        ):
            self.assertEqual(expected, find_token(*places), msg=repr(places))

    def test_characters(self) -> None:
        """Every printable ASCII character may be in a token, and 255 of them."""
        for token in ("".join(map(chr, range(0x21, 0x7F))), "x" * 255):
            self.assertEqual(token, find_token(None, token, None), msg=token)

    def test_missing(self) -> None:
        """Where there is none, the client is told so."""
        for places in ((None, None, None), ("", "", ""), (None, None, " , ")):
            refusal = self.assertRaises(UnauthorizedError, find_token, *places)
            self.assertEqual(MISSING_TOKEN, refusal.message, msg=repr(places))

    def test_invalid(self) -> None:
        """What no token can look like is invalid, wherever a valid one may be as well."""
        for authorization in (
            *("Bearer ", "Bearer  token", "bearer token", "Basic dTpw", "Bearer to ken"),
            *("Bearer tok\0en", "Bearer tök", "Bearer \ud800", "token\n", "x" * 256, "Bearer a\n"),
        ):
            refusal = self.assertRaises(
                UnauthorizedError, find_token, authorization, "token", "token"
            )
            self.assertEqual(INVALID_TOKEN, refusal.message, msg=repr(authorization))

    @given(MAYBE_TEXT, MAYBE_TEXT, MAYBE_TEXT)
    @FEW
    def test_anything(
        self, authorization: str | None, parameter: str | None, protocols: str | None
    ) -> None:
        """Whatever a client sends is refused, or is something PostgreSQL can be asked for."""
        try:
            token = find_token(authorization, parameter, protocols)
        except UnauthorizedError:
            return
        self.assertTrue(token.isascii() and token.isprintable() and " " not in token, repr(token))
