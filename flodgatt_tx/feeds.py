"""
Which of the site's live and topic feeds are switched off.

Since 4.5 Mastodon keeps four settings for that, as YAML; a setting without a row has its default,
and no default switches anything off. `public` and `authenticated` are the same here, where
everybody has a token.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum

# Rails writes `--- disabled\n`; other YAML writers quote it, or end the document after it.
_DISABLED = re.compile(r"""\s*(?:---\s+)?(["']?)disabled\1\s*(?:\.\.\.\s*)?""")


class Feed(Enum):
    """Which of the settings a stream obeys."""

    LIVE = "live"
    TOPIC = "topic"


# Pairs of a feed and whether it is the part of it that comes from this site.
Closed = frozenset[tuple[Feed, bool]]

ALL_OPEN: Closed = frozenset()
_PARTS = {
    f"{'local' if local else 'remote'}_{feed.value}_feed_access": (feed, local)
    for feed in Feed
    for local in (True, False)
}
SETTINGS = tuple(_PARTS)


def closed_feeds(rows: Iterable[tuple[str, str | None]]) -> Closed:
    """Read rows of the settings: variable and YAML value."""
    return frozenset(
        _PARTS[variable]
        for variable, value in rows
        if variable in _PARTS and value is not None and _DISABLED.fullmatch(value)
    )
