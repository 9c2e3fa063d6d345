"""
Who reads what: half over WebSocket, half over server-sent events, everybody as somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from flodgatt_tx.hashtags import normalize_hashtag

FIRST_ACCOUNT = 110_000_000_000_000_000
TAGS = ("cats", "dogs", "owls", "bees", "हिन्दी")
SQL = """
INSERT INTO accounts (id, username)
    SELECT {first} + n, 'reader' || n FROM generate_series(0, {people} - 1) n;
INSERT INTO users (id, account_id, email)
    SELECT n, {first} + n, n || '@chaos.example' FROM generate_series(0, {people} - 1) n;
INSERT INTO oauth_access_tokens (token, resource_owner_id, scopes)
    SELECT 'chaos-secret-' || n, n, 'read' FROM generate_series(0, {people} - 1) n;
INSERT INTO lists (id, account_id)
    SELECT n, {first} + n FROM generate_series(0, {people} - 1) n;
INSERT INTO account_domain_blocks (account_id, domain)
    SELECT {first} + n, 'blocked.example' FROM generate_series(0, {people} - 1, 7) n;
INSERT INTO custom_filters (id, account_id, phrase, context)
    SELECT n, {first} + n, 'no spoilers', '{{public}}' FROM generate_series(0, {people} - 1, 5) n;
INSERT INTO custom_filter_keywords (custom_filter_id, keyword)
    SELECT n, 'spoiler' || n FROM generate_series(0, {people} - 1, 5) n;
ANALYZE;
"""


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream as clients ask for it, and the channels that it shows."""

    kind: str
    parameters: Mapping[str, str]
    channels: tuple[str, ...]

    @property
    def path(self) -> str:
        """Where it is over HTTP, behind the prefix."""
        query = f"?{urlencode(self.parameters)}" if self.parameters else ""
        return self.kind.replace(":", "/") + query


@dataclass(frozen=True, slots=True)
class Seat:
    """A reader: *number* is the person, too."""

    number: int
    websocket: bool
    streams: tuple[Stream, ...]

    @property
    def channels(self) -> list[str]:
        """All that this reader hears."""
        return [channel for stream in self.streams for channel in stream.channels]


def filling(people: int) -> str:
    """Write the SQL that lets *people* sign up, with their tokens and lists."""
    return SQL.format(first=FIRST_ACCOUNT, people=people)


def token(number: int) -> str:
    """The token of a person."""
    return f"chaos-secret-{number}"


def home(number: int) -> Stream:
    """The home stream of a person."""
    channel = f"timeline:{FIRST_ACCOUNT + number}"
    return Stream("user", {}, (channel, f"{channel}:notifications"))


def seats(count: int) -> list[Seat]:
    """Seat *count* readers."""
    return [Seat(number, number % 2 == 0, _streams(number)) for number in range(count)]


def _streams(number: int) -> tuple[Stream, ...]:
    tag = TAGS[number % len(TAGS)]
    public = Stream("public", {}, ("timeline:public",))
    local = Stream("public:local", {}, ("timeline:public:local",))
    hashtag = Stream("hashtag", {"tag": tag}, (f"timeline:hashtag:{normalize_hashtag(tag)}",))
    mine = Stream("list", {"list": str(number)}, (f"timeline:list:{number}",))
    direct = Stream("direct", {}, (f"timeline:direct:{FIRST_ACCOUNT + number}",))
    place = number // 2 % 10
    alone = {4: public, 5: public, 6: mine, 7: hashtag, 8: local}
    if place == 9:
        # Over server-sent events there is one stream for each connection.
        return (home(number), public, mine, hashtag) if number % 2 == 0 else (direct,)
    return (alone.get(place, home(number)),)
