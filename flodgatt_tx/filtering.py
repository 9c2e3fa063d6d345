"""
Who must not see a status on a public or hashtag stream.

A status is judged in two steps: `misfit` needs nothing but the status, the stream and the viewer;
`Relations.hidden_from` needs what PostgreSQL knows of blocks and mutes, asked once for a status
however many readers there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import idna

from flodgatt_tx.feeds import ALL_OPEN, Closed
from flodgatt_tx.ids import parse_id
from flodgatt_tx.streams import Stream
from flodgatt_tx.viewer import Viewer

NOBODY: frozenset[int] = frozenset()
# Why a status does not suit a reader.
LOCAL_ONLY, CLOSED_FEED, LANGUAGE = "local_only", "closed_feed", "language"


@dataclass(frozen=True, slots=True)
class Status:
    """
    What filtering looks at in a status.

    *domain* is the author's, normalised, and None for a local author. *judged* tells that Rails
    has applied the keyword filters already.
    """

    author: int
    mentions: frozenset[int]
    domain: str | None
    local: bool
    language: str | None
    local_only: bool
    judged: bool


def read_status(payload: object) -> Status | None:
    """
    Read a status that was published.

    :return: None if its author or the people it mentions cannot be read: then nobody can tell
        who must not see it.
    """
    match payload:
        case {"account": {"id": id_, "acct": str(acct), "username": str(username)}, **rest}:
            author, mentions = parse_id(id_), _read_mentions(rest.get("mentions"))
        case _:
            return None
    if author is None or mentions is None:
        return None
    language = rest.get("language")
    return Status(
        author=author,
        mentions=mentions,
        domain=normalize_domain(acct.split("@")[1]) if "@" in acct else None,
        local=acct == username,
        language=language if isinstance(language, str) else None,
        local_only=bool(rest.get("local_only")),
        judged="filtered" in rest,
    )


def _read_mentions(mentions: object) -> frozenset[int] | None:
    if not isinstance(mentions, list):
        return None
    ids = [parse_id(each.get("id")) if isinstance(each, dict) else None for each in mentions]
    return None if None in ids else frozenset(each for each in ids if each is not None)


def misfit(status: Status, stream: Stream, viewer: Viewer, closed: Closed = ALL_OPEN) -> str:
    """
    Why a status does not suit a stream and its viewer, by all that needs no database, if so.

    *closed* are the feeds that the site has switched off.
    """
    if status.local_only and not stream.allow_local_only:
        return LOCAL_ONLY
    if (stream.feed, status.local) in closed and not viewer.sees_closed_feeds:
        return CLOSED_FEED
    suits = viewer.languages is None or status.language in viewer.languages
    return "" if suits else LANGUAGE


@dataclass(frozen=True, slots=True)
class Relations:
    """
    What PostgreSQL knows of the people in some statuses.

    *averse* maps a person to those who block or mute them; *shunned* an author to those whom the
    author blocks.
    """

    averse: Mapping[int, frozenset[int]] = field(default_factory=dict)
    shunned: Mapping[int, frozenset[int]] = field(default_factory=dict)

    def hidden_from(self, status: Status) -> frozenset[int]:
        """The accounts that must not see a status."""
        hidden = [self.shunned.get(status.author, NOBODY)]
        hidden += [self.averse.get(each, NOBODY) for each in {status.author, *status.mentions}]
        return NOBODY.union(*hidden)


def relations_from_rows(rows: Iterable[tuple[int, int, bool]]) -> Relations:
    """
    Gather rows of (person, account, whether the person blocks the account).

    In the other rows the account blocks or mutes the person.
    """
    averse: dict[int, set[int]] = {}
    shunned: dict[int, set[int]] = {}
    for person, account, is_author in rows:
        (shunned if is_author else averse).setdefault(person, set()).add(account)
    return Relations(
        {person: frozenset(them) for person, them in averse.items()},
        {person: frozenset(them) for person, them in shunned.items()},
    )


@lru_cache(maxsize=4096)
def normalize_domain(domain: str) -> str:
    """
    Bring a domain into the form in which domains are compared: lower case, IDNs in ASCII.

    Payloads have IDNs in Unicode, PostgreSQL has them in ASCII, and either may have capitals.
    """
    domain = domain.lower()
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        # No name that DNS could hold; equal spellings shall still compare equal.
        return domain
