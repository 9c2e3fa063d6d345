"""
The streams that a client can ask for, and the Redis channels behind each.

A stream has a *kind* (`public:local`, `hashtag`), the name Mastodon's API gives it over
WebSocket; over HTTP the same kinds are paths under `/api/v1/streaming/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flodgatt_tx.errors import (
    FOREIGN_LIST,
    MISSING_LIST,
    MISSING_SCOPES,
    MISSING_TAG,
    TAG_TOO_LONG,
    UNKNOWN_STREAM,
    BadRequestError,
    UnauthorizedError,
)
from flodgatt_tx.feeds import Feed
from flodgatt_tx.hashtags import lower_hashtag, normalize_hashtag
from flodgatt_tx.ids import parse_id
from flodgatt_tx.query import is_truthy
from flodgatt_tx.scopes import FOR_NOTIFICATIONS, FOR_STATUSES, permits
from flodgatt_tx.viewer import Viewer

PREFIX = "/api/v1/streaming/"
LONGEST_TAG = 1024  # bytes; Rails' tags are far shorter
NOTIFICATION = "notification"

Parameters = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Stream:
    """
    One stream, opened for one viewer.

    *name* is what clients see in a frame's `stream`: the kind, then the tag or list exactly as
    the client wrote it. *feed* is set on the streams whose statuses are filtered for each reader;
    *list_id* on those that only the owner of the list may hear. *home_notifications* tells of the
    notifications that come on the channel of a home timeline, as before Mastodon 3.5, that the
    stream is made of them (True), or of all but them (False); None takes whatever comes.
    """

    kind: str
    name: tuple[str | int, ...]
    channels: tuple[str, ...]
    feed: Feed | None = None
    allow_local_only: bool = True
    list_id: int | None = None
    home_notifications: bool | None = None

    @property
    def filtered(self) -> bool:
        """Whether statuses on this stream are judged for each reader."""
        return self.feed is not None

    def takes(self, event: str, channel: str) -> bool:
        """Whether what is called *event* belongs to this stream if it comes on *channel*."""
        if self.home_notifications is None or _is_for_notifications(channel):
            return True
        return (event == NOTIFICATION) is self.home_notifications


def check_scopes(kind: str, viewer: Viewer) -> None:
    """
    Make sure that the viewer's token is good for a *kind* of stream.

    :raises UnauthorizedError: if it is not.
    """
    sufficient = FOR_NOTIFICATIONS if kind == "user:notification" else FOR_STATUSES
    if not permits(viewer.scopes, sufficient):
        raise UnauthorizedError(MISSING_SCOPES)


def open_stream(kind: str, parameters: Parameters, viewer: Viewer) -> Stream:
    """
    Make the stream of this *kind* for this *viewer*.

    Whether a list is the viewer's own only the database can tell.

    :raises BadRequestError: if there is no such stream, or its tag or list is missing.
    :raises UnauthorizedError: if its list cannot be the viewer's.
    """
    if kind not in _OPENERS:
        raise BadRequestError(UNKNOWN_STREAM)
    return _OPENERS[kind](kind, parameters, viewer)


def kind_of_path(path: str, only_media: bool) -> str | None:
    """Find the kind of stream behind an HTTP path, None if there is none; `/` may end it."""
    if not path.startswith(PREFIX):
        return None
    words = path.removeprefix(PREFIX).removesuffix("/")
    kind = words.replace("/", ":")
    if kind not in _HTTP_KINDS or ":" in words:
        return None
    return f"{kind}:media" if only_media and f"{kind}:media" in _HTTP_KINDS else kind


def _user(kind: str, parameters: Parameters, viewer: Viewer) -> Stream:
    home = f"timeline:{viewer.account_id}"
    if permits(viewer.scopes, FOR_NOTIFICATIONS):
        return Stream(kind, (kind,), (home, f"{home}:notifications"))
    return Stream(kind, (kind,), (home,), home_notifications=False)


def _notification(kind: str, parameters: Parameters, viewer: Viewer) -> Stream:
    home = f"timeline:{viewer.account_id}"
    if viewer.before_4:
        # Mastodon 3.5 uses the one channel, older ones the other, and none uses both.
        return Stream(kind, (kind,), (f"{home}:notifications", home), home_notifications=True)
    return Stream(kind, (kind,), (f"{home}:notifications",))


def _direct(kind: str, parameters: Parameters, viewer: Viewer) -> Stream:
    return Stream(kind, (kind,), (f"timeline:direct:{viewer.account_id}",))


def _public(kind: str, parameters: Parameters, viewer: Viewer) -> Stream:
    # Rails publishes local-only statuses (glitch-soc's) on the common channels as well.
    words = kind.split(":")
    allowed = "allow_local_only" in words or is_truthy(parameters.get("allow_local_only"))
    channel = ":".join(word for word in words if word != "allow_local_only")
    return Stream(
        kind,
        (kind,),
        (f"timeline:{channel}",),
        Feed.LIVE,
        "local" in words or (allowed and "remote" not in words),
    )


def _hashtag(kind: str, parameters: Parameters, viewer: Viewer) -> Stream:
    tag = parameters.get("tag")
    if not tag or not isinstance(tag, str):
        raise BadRequestError(MISSING_TAG)
    if len(tag.encode("utf-8", "surrogatepass")) > LONGEST_TAG:
        raise BadRequestError(TAG_TOO_LONG)
    suffix = ":local" if kind == "hashtag:local" else ""
    name = lower_hashtag(tag) if viewer.before_4 else normalize_hashtag(tag)
    channel = f"timeline:hashtag:{name}{suffix}"
    return Stream(kind, (kind, tag), (channel,), Feed.TOPIC)


def _list(kind: str, parameters: Parameters, viewer: Viewer) -> Stream:
    asked = parameters.get("list")
    if not asked:
        raise BadRequestError(MISSING_LIST)
    list_id = parse_id(asked)
    if list_id is None or not isinstance(asked, str | int):
        raise UnauthorizedError(FOREIGN_LIST)
    return Stream(kind, (kind, asked), (f"timeline:list:{list_id}",), list_id=list_id)


_PUBLIC_KINDS = (
    "public",
    "public:media",
    "public:local",
    "public:local:media",
    "public:remote",
    "public:remote:media",
)
_OPENERS: dict[str, Callable[[str, Parameters, Viewer], Stream]] = {
    "user": _user,
    "user:notification": _notification,
    "direct": _direct,
    "list": _list,
    "hashtag": _hashtag,
    "hashtag:local": _hashtag,
    **dict.fromkeys(_PUBLIC_KINDS, _public),
    "public:allow_local_only": _public,
    "public:allow_local_only:media": _public,
}
KINDS = tuple(_OPENERS)
_HTTP_KINDS = frozenset(kind for kind in KINDS if "allow_local_only" not in kind)


def is_filtered(channel: str) -> bool:
    """Whether the streams behind a Redis channel are those whose statuses are judged."""
    return channel.startswith(("timeline:public", "timeline:hashtag:"))


def presence_keys(stream: Stream) -> list[str]:
    """The keys by which Rails knows that a stream is heard; it asks for no others."""
    return [
        f"subscribed:{channel}"
        for channel in stream.channels
        # For the sake of notifications alone Rails shall not make ready a home timeline.
        if not stream.filtered and (not stream.home_notifications or _is_for_notifications(channel))
    ]


def _is_for_notifications(channel: str) -> bool:
    return channel.endswith(":notifications")
