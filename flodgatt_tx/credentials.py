"""
Where a token may hide: the Authorization header, else the query, else the WebSocket subprotocol.
"""

from __future__ import annotations

import re

from flodgatt_tx.errors import INVALID_TOKEN, MISSING_TOKEN, UnauthorizedError

# Doorkeeper's tokens are URL-safe base64; what falls outside printable ASCII is no token, and
# would fail a query that asks for the tokens of many clients at once.
_TOKEN = re.compile(r"[\x21-\x7e]{1,255}")


def subprotocols(header: str | None) -> list[str]:
    """Split a Sec-WebSocket-Protocol header into the subprotocols it offers."""
    return [word for word in map(str.strip, (header or "").split(",")) if word]


def find_token(
    authorization: str | None, parameter: str | None, protocol_header: str | None
) -> str:
    """
    Choose the access token of a request from its three possible places.

    A leading `Bearer`, with its space, is taken off, case-sensitively; a bare token in the header
    counts too.

    :raises UnauthorizedError: if there is none, or it cannot be one.
    """
    if authorization:
        token = authorization.removeprefix("Bearer ")
    elif parameter:
        token = parameter
    elif offered := subprotocols(protocol_header):
        token = offered[0]
    else:
        raise UnauthorizedError(MISSING_TOKEN)
    if not _TOKEN.fullmatch(token):
        raise UnauthorizedError(INVALID_TOKEN)
    return token
