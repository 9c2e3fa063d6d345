"""The streams that a client can ask for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.errors import (
    FOREIGN_LIST,
    MISSING_LIST,
    MISSING_SCOPES,
    MISSING_TAG,
    TAG_TOO_LONG,
    UNKNOWN_STREAM,
    BadRequestError,
    RefusalError,
    UnauthorizedError,
)
from flodgatt_tx.feeds import Feed
from flodgatt_tx.scopes import parse_scopes
from flodgatt_tx.streams import (
    KINDS,
    LONGEST_TAG,
    check_scopes,
    is_filtered,
    kind_of_path,
    open_stream,
    presence_keys,
)
from flodgatt_tx.viewer import Viewer
from tests.properties import FEW

PARAMETERS: dict[str, object] = {"tag": "Cats", "list": "501"}


def viewer(scopes: str = "read", before_4: bool = False) -> Viewer:
    """Make the viewer with account 1."""
    return Viewer(1001, 1, parse_scopes(scopes), None, 0, before_4)


class OpenStreamTests(SynchronousTestCase):
    """A kind of stream, opened for a viewer, is channels and a name."""

    def test_channels(self) -> None:
        """Each kind listens where Rails publishes, and is named as it was asked for."""
        for channels, name, kind in (
            (["timeline:1", "timeline:1:notifications"], ("user",), "user"),
            (["timeline:1:notifications"], ("user:notification",), "user:notification"),
            (["timeline:direct:1"], ("direct",), "direct"),
            (["timeline:list:501"], ("list", "501"), "list"),
            (["timeline:hashtag:cats"], ("hashtag", "Cats"), "hashtag"),
            (["timeline:hashtag:cats:local"], ("hashtag:local", "Cats"), "hashtag:local"),
            (["timeline:public"], ("public",), "public"),
            (["timeline:public:media"], ("public:media",), "public:media"),
            (["timeline:public:local"], ("public:local",), "public:local"),
            (["timeline:public:local:media"], ("public:local:media",), "public:local:media"),
            (["timeline:public:remote"], ("public:remote",), "public:remote"),
            (["timeline:public:remote:media"], ("public:remote:media",), "public:remote:media"),
            (["timeline:public"], ("public:allow_local_only",), "public:allow_local_only"),
            (
                ["timeline:public:media"],
                ("public:allow_local_only:media",),
                "public:allow_local_only:media",
            ),
        ):
            stream = open_stream(kind, PARAMETERS, viewer())
            self.assertEqual((tuple(channels), name), (stream.channels, stream.name), msg=kind)
            self.assertEqual(kind, stream.kind)

    def test_home_without_notifications(self) -> None:
        """Who may not read notifications hears the home timeline alone."""
        stream = open_stream("user", {}, viewer("read:statuses"))
        self.assertEqual(("timeline:1",), stream.channels)
        stream = open_stream("user", {}, viewer("read:statuses read:notifications"))
        self.assertEqual(("timeline:1", "timeline:1:notifications"), stream.channels)

    def test_filtering(self) -> None:
        """Public and hashtag streams are filtered, and obey their own feed-access settings."""
        for kind in KINDS:
            feed = {"public": Feed.LIVE, "hashtag": Feed.TOPIC}.get(kind.split(":")[0])
            stream = open_stream(kind, PARAMETERS, viewer())
            self.assertEqual((feed, feed is not None), (stream.feed, stream.filtered), msg=kind)
            for channel in stream.channels:
                self.assertEqual(stream.filtered, is_filtered(channel), msg=channel)

    def test_local_only(self) -> None:
        """Local-only statuses stay off the public streams that did not ask for them."""
        for expected, kind, asked in (
            *((True, kind, None) for kind in ("user", "user:notification", "direct", "list")),
            *((True, kind, None) for kind in ("hashtag", "hashtag:local", "public:local")),
            (False, "public", None),
            (False, "public:media", None),
            (False, "public", "false"),
            (True, "public", "true"),
            (True, "public:media", "1"),
            (True, "public:local:media", "0"),
            (False, "public:remote", "true"),
            (False, "public:remote:media", "true"),
            (True, "public:allow_local_only", None),
            (True, "public:allow_local_only:media", "false"),
        ):
            parameters = {**PARAMETERS, "allow_local_only": asked}
            stream = open_stream(kind, parameters, viewer())
            self.assertEqual(expected, stream.allow_local_only, msg=repr((kind, asked)))

    def test_lists(self) -> None:
        """A list is known by its number, and named as the client wrote it."""
        for asked in ("501", 501, "0501"):
            stream = open_stream("list", {"list": asked}, viewer())
            self.assertEqual(501, stream.list_id, msg=repr(asked))
            self.assertEqual(("list", asked), stream.name)
            self.assertEqual(("timeline:list:501",), stream.channels)
        self.assertEqual(None, open_stream("user", {}, viewer()).list_id)

    def test_refusals(self) -> None:
        """What cannot be opened is refused in Mastodon's words."""
        for status, message, kind, parameters in (
            (400, UNKNOWN_STREAM, "nope", {}),
            (400, UNKNOWN_STREAM, "", {}),
            (400, UNKNOWN_STREAM, "User", {}),
            (400, UNKNOWN_STREAM, "public:media:local", {}),
            (400, MISSING_TAG, "hashtag", {}),
            (400, MISSING_TAG, "hashtag:local", {"tag": ""}),
            (400, MISSING_TAG, "hashtag", {"tag": 5}),
            (400, MISSING_TAG, "hashtag", {"tag": ["cats"]}),
            (400, TAG_TOO_LONG, "hashtag", {"tag": "x" * (LONGEST_TAG + 1)}),
            (400, TAG_TOO_LONG, "hashtag", {"tag": "é" * (LONGEST_TAG // 2 + 1)}),
            (400, TAG_TOO_LONG, "hashtag", {"tag": "\ud800" * LONGEST_TAG}),
            (400, MISSING_LIST, "list", {}),
            (400, MISSING_LIST, "list", {"list": ""}),
            (401, FOREIGN_LIST, "list", {"list": "mine"}),
            (401, FOREIGN_LIST, "list", {"list": "-1"}),
            (401, FOREIGN_LIST, "list", {"list": "9" * 30}),
            (401, FOREIGN_LIST, "list", {"list": True}),
            (401, FOREIGN_LIST, "list", {"list": ["501"]}),
            (401, FOREIGN_LIST, "list", {"list": 501.0}),
        ):
            opening = repr((kind, parameters))[:60]
            refusal = self.assertRaises(RefusalError, open_stream, kind, parameters, viewer("read"))
            self.assertEqual((status, message), (refusal.status, refusal.message), msg=opening)

    def test_longest_tag(self) -> None:
        """A tag may have as many bytes as allowed."""
        stream = open_stream("hashtag", {"tag": "x" * LONGEST_TAG}, viewer())
        self.assertEqual((f"timeline:hashtag:{'x' * LONGEST_TAG}",), stream.channels)

    @given(
        some.sampled_from([*KINDS, "nope"]),
        some.dictionaries(
            some.sampled_from(["tag", "list", "allow_local_only", "other"]),
            some.one_of(some.text(), some.integers(), some.none(), some.lists(some.text())),
        ),
    )
    @FEW
    def test_anything(self, kind: str, parameters: dict[str, object]) -> None:
        """Whatever a client asks for is a stream or a refusal."""
        try:
            stream = open_stream(kind, parameters, viewer())
        except (BadRequestError, UnauthorizedError):
            return
        self.assertEqual(kind, stream.name[0])
        self.assertTrue(all(channel.startswith("timeline:") for channel in stream.channels))


class BeforeMastodon4Tests(SynchronousTestCase):
    """Older releases publish some things elsewhere."""

    def test_hashtags(self) -> None:
        """Hashtags keep all their letters, and those only become small."""
        for channel, kind, tag in (
            ("timeline:hashtag:café", "hashtag", "CAFÉ"),
            ("timeline:hashtag:ﬁsh:local", "hashtag:local", "ﬁSH"),
            ("timeline:hashtag:οδοσ", "hashtag", "ΟΔΟΣ"),
        ):
            stream = open_stream(kind, {"tag": tag}, viewer(before_4=True))
            self.assertEqual(((channel,), (kind, tag)), (stream.channels, stream.name))

    def test_notifications(self) -> None:
        """Notifications come on either channel, and of the home timeline nothing else."""
        stream = open_stream("user:notification", {}, viewer("read:notifications", True))
        self.assertEqual(("timeline:1:notifications", "timeline:1"), stream.channels)
        self.assertEqual(["subscribed:timeline:1:notifications"], presence_keys(stream))
        for expected, event, channel in (
            (True, "notification", "timeline:1"),
            (False, "update", "timeline:1"),
            (False, "delete", "timeline:1"),
            (False, "filters_changed", "timeline:1"),
            (True, "notification", "timeline:1:notifications"),
            (True, "status.update", "timeline:1:notifications"),
        ):
            self.assertEqual(expected, stream.takes(event, channel), msg=(event, channel))

    def test_home(self) -> None:
        """Who may not read notifications gets none, even if one comes with the home timeline."""
        for scopes, before_4, expected in (
            ("read:statuses", True, False),
            ("read:statuses", False, False),
            ("read", True, True),
            ("read:statuses read:notifications", True, True),
        ):
            stream = open_stream("user", {}, viewer(scopes, before_4))
            self.assertEqual(expected, stream.takes("notification", "timeline:1"), msg=scopes)
            self.assertEqual(True, stream.takes("update", "timeline:1"), msg=scopes)
            self.assertEqual("subscribed:timeline:1", presence_keys(stream)[0])

    def test_others(self) -> None:
        """All other streams are as they are today, and take whatever comes."""
        for kind in set(KINDS) - {"user:notification"}:
            today = open_stream(kind, PARAMETERS, viewer())
            self.assertEqual(today, open_stream(kind, PARAMETERS, viewer(before_4=True)), msg=kind)
            for event in ("notification", "update", "delete", "whatever"):
                self.assertTrue(today.takes(event, today.channels[0]), msg=kind)


class CheckScopesTests(SynchronousTestCase):
    """A token must be good for the kind of stream."""

    def test_scopes(self) -> None:
        """Notifications need their own scope, all other streams that for statuses, or `read`."""
        for kind in KINDS:
            own = "read:notifications" if kind == "user:notification" else "read:statuses"
            for scopes in ("read", own, f"profile {own}"):
                check_scopes(kind, viewer(scopes))
            others = {"read:statuses", "read:notifications"} - {own}
            for scopes in ("", "profile", "write", "read:accounts", *others):
                refusal = self.assertRaises(UnauthorizedError, check_scopes, kind, viewer(scopes))
                self.assertEqual(MISSING_SCOPES, refusal.message, msg=repr((kind, scopes)))


class KindOfPathTests(SynchronousTestCase):
    """Over HTTP a kind is a path."""

    def test_paths(self) -> None:
        """Slashes stand for colons, one may end the path, and `only_media` adds a word."""
        for kind, media_kind, words in (
            ("user", "user", "user"),
            ("user", "user", "user/"),
            ("user:notification", "user:notification", "user/notification"),
            ("public", "public:media", "public"),
            ("public:local", "public:local:media", "public/local"),
            ("public:remote", "public:remote:media", "public/remote/"),
            ("public:media", "public:media", "public/media"),
            ("public:local:media", "public:local:media", "public/local/media"),
            ("public:remote:media", "public:remote:media", "public/remote/media/"),
            ("hashtag", "hashtag", "hashtag"),
            ("hashtag:local", "hashtag:local", "hashtag/local"),
            ("list", "list", "list"),
            ("direct", "direct", "direct"),
        ):
            path = f"/api/v1/streaming/{words}"
            kinds = (kind_of_path(path, False), kind_of_path(path, True))
            self.assertEqual((kind, media_kind), kinds, msg=path)

    def test_no_paths(self) -> None:
        """There is nothing behind any other path."""
        for path in (
            *(
                "",
                "/",
                "/user",
                "/api/v1/streaming",
                "/api/v1/streaming/",
                "/api/v2/streaming/user",
            ),
            *("/api/v1/streaming/nope", "/api/v1/streaming//user", "/api/v1/streaming/user//"),
            *("/api/v1/streaming/user:notification", "/api/v1/streaming/public:local/media"),
            *("/api/v1/streaming/User", "/api/v1/streaming/public/allow_local_only"),
            *("/x/api/v1/streaming/user", "/api/v1/streaming/health", "/api/v1/streaming/media"),
        ):
            self.assertEqual(None, kind_of_path(path, False), msg=path)
            self.assertEqual(None, kind_of_path(path, True), msg=path)


class PresenceTests(SynchronousTestCase):
    """Rails asks who listens before it publishes to one account or list."""

    def test_keys(self) -> None:
        """There is a key for every channel that Rails asks about, and for no other."""
        for kind in KINDS:
            stream = open_stream(kind, PARAMETERS, viewer())
            expected = [] if stream.filtered else [f"subscribed:{c}" for c in stream.channels]
            self.assertEqual(expected, presence_keys(stream), msg=kind)
