"""
The library Mastodon.py, unchanged, as bots use it: its streams are server-sent events.

It is strict: a block without an event, a line without a space after the colon, or data that is no
JSON end its stream with an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Queue
from typing import Any

from mastodon import Mastodon, StreamListener
from mastodon.errors import MastodonNetworkError
from typing_extensions import override

from tests.integration.site import (
    PATIENCE,
    Daemon,
    Person,
    VisitTestCase,
    eventually,
)
from tests.stage import status

Heard = tuple[str, Any]


class Listener(StreamListener):
    """Collects the events that the library recognises, as the library has read them."""

    def __init__(self) -> None:
        self.heard: Queue[Heard] = Queue()
        self.errors: list[Exception] = []
        self.beats = 0

    @override
    def on_abort(self, err: Exception) -> None:
        self.errors.append(err)

    @override
    def handle_heartbeat(self) -> None:
        self.beats += 1

    @override
    def on_update(self, status: Any) -> None:
        self.heard.put(("update", int(status["id"])))

    @override
    def on_status_update(self, status: Any) -> None:
        self.heard.put(("status_update", int(status["id"])))

    @override
    def on_delete(self, status_id: Any) -> None:
        self.heard.put(("delete", int(status_id)))

    @override
    def on_notification(self, notification: Any) -> None:
        self.heard.put(("notification", notification["type"]))

    @override
    def on_notifications_merged(self) -> None:
        self.heard.put(("notifications_merged", None))

    @override
    def on_filters_changed(self) -> None:
        self.heard.put(("filters_changed", None))

    @override
    def on_conversation(self, conversation: Any) -> None:
        self.heard.put(("conversation", conversation["unread"]))

    @override
    def on_announcement(self, annoucement: Any) -> None:
        self.heard.put(("announcement", annoucement["content"]))

    @override
    def on_announcement_reaction(self, reaction: Any) -> None:
        self.heard.put(("announcement_reaction", reaction["name"]))

    @override
    def on_announcement_delete(self, annoucement_id: Any) -> None:
        self.heard.put(("announcement_delete", annoucement_id))

    @override
    def on_unknown_event(self, name: str, unknown_event: Any = None) -> None:
        self.heard.put((f"unknown: {name}", unknown_event))


class MastodonPyTests(VisitTestCase):
    """Each of its streams, with the events that come there."""

    def setUp(self) -> None:
        """Sign up."""
        super().setUp()
        self.person = self.rails.person()
        self.api = self.sign_in(self.person)

    def sign_in(self, person: Person) -> Any:
        """Make a client."""
        return client(self.daemon, person.token)

    def listen(self, stream: Callable[..., Any], *arguments: object, **options: object) -> Listener:
        """Open a stream for as long as the test lasts, and wait until it is open."""
        listener = Listener()
        handle = stream(*arguments, listener, run_async=True, **options)
        self.addCleanup(handle.join, PATIENCE)
        # The library would notice its own closing only with the next byte.
        self.addCleanup(self.rails.publish, self.person.system, "kill")
        eventually(lambda: listener.beats, "the greeting")
        return listener

    def assert_hears(self, listener: Listener, *events: Heard) -> None:
        """Fail unless *events* come next, in this order."""
        heard = [listener.heard.get(timeout=PATIENCE) for _ in events]
        self.assertEqual(list(events), heard)
        self.assertEqual([], listener.errors)

    def test_healthy(self) -> None:
        """`stream_healthy` finds that all is well."""
        self.assertTrue(self.api.stream_healthy())

    def test_user(self) -> None:
        """`stream_user` brings everything that happens at home, in order."""
        listener = self.listen(self.api.stream_user)
        home = self.person.home
        self.rails.push(home, "update", {**status("1"), "filtered": []})
        self.rails.push(home, "status.update", {**status("1"), "filtered": []})
        self.rails.publish(home, "delete", "1")
        self.rails.push(home, "announcement", {"id": "8", "content": "<p>Soup!</p>"})
        reaction = {"name": "🦊", "count": 1, "announcement_id": "8"}
        self.rails.push(home, "announcement.reaction", reaction)
        self.rails.push(home, "announcement.delete", "8")
        self.rails.notify(self.person, "notification", {"id": "3", "type": "follow"})
        self.rails.notify(self.person, "notifications_merged", "1")
        self.assert_hears(
            listener,
            ("update", 1),
            ("status_update", 1),
            ("delete", 1),
            ("announcement", "<p>Soup!</p>"),
            ("announcement_reaction", "🦊"),
            ("announcement_delete", 8),
            ("notification", "follow"),
            ("notifications_merged", None),
        )

    def test_filters_changed(self) -> None:
        """`filters_changed`, which has no payload, arrives and breaks nothing."""
        listener = self.listen(self.api.stream_user)
        self.rails.publish(self.person.home, "filters_changed")
        self.rails.publish(self.person.home, "delete", "2")
        self.assert_hears(listener, ("filters_changed", None), ("delete", 2))

    def test_unknown_event(self) -> None:
        """Events that neither side knows pass through."""
        listener = self.listen(self.api.stream_user)
        self.rails.publish(self.person.home, "emoji_reaction", {"name": "owl"})
        self.assert_hears(listener, ("unknown: emoji_reaction", {"name": "owl"}))

    def test_heartbeat(self) -> None:
        """`:thump` reaches the library as a heartbeat, between events, and is no event."""
        listener = self.listen(self.api.stream_user)
        eventually(lambda: listener.beats > 1, "a heartbeat", within=20)
        self.rails.publish(self.person.home, "delete", "2")
        self.assert_hears(listener, ("delete", 2))

    def test_user_notifications(self) -> None:
        """`stream_user_notifications` brings notifications, and nothing else from home."""
        listener = self.listen(self.api.stream_user_notifications)
        self.rails.publish(self.person.home, "delete", "1")
        self.rails.notify(self.person, "notification", {"id": "3", "type": "poll"})
        self.assert_hears(listener, ("notification", "poll"))

    def test_public(self) -> None:
        """`stream_public` brings what is public, all of it, from here, or from elsewhere."""
        everything = self.listen(self.api.stream_public)
        local = self.listen(self.api.stream_public, local=True)
        remote = self.listen(self.api.stream_public, remote=True)
        self.rails.post(status("1", acct="ann"))
        self.rails.post(status("2", acct="far@remote.example"))
        self.rails.post(status("2", acct="far@remote.example"), "status.update")
        self.assert_hears(everything, ("update", 1), ("update", 2), ("status_update", 2))
        self.assert_hears(local, ("update", 1))
        self.assert_hears(remote, ("update", 2), ("status_update", 2))

    def test_public_media(self) -> None:
        """`only_media` brings what has pictures."""
        listener = self.listen(self.api.stream_public, local=True, only_media=True)
        self.rails.post(status("1", acct="ann"))
        self.rails.publish("timeline:public:local:media", "update", status("2", acct="ann"))
        self.assert_hears(listener, ("update", 2))

    def test_hashtag(self) -> None:
        """`stream_hashtag` finds its tag whatever the capitals, and in any script."""
        listener = self.listen(self.api.stream_hashtag, "WildLife")
        local = self.listen(self.api.stream_hashtag, "हिन्दी", local=True)
        self.rails.publish("timeline:hashtag:wildlife", "update", status("1"))
        self.rails.publish("timeline:hashtag:हिनदी:local", "update", status("2", acct="ann"))
        self.assert_hears(listener, ("update", 1))
        self.assert_hears(local, ("update", 2))

    def test_list(self) -> None:
        """`stream_list` brings what is on one's own list; a list of others is refused."""
        mine = self.rails.keep_list(self.person)
        listener = self.listen(self.api.stream_list, mine)
        self.rails.push(f"timeline:list:{mine}", "update", {**status("1"), "filtered": []})
        self.rails.publish(f"timeline:list:{mine}", "delete", "1")
        self.assert_hears(listener, ("update", 1), ("delete", 1))
        other = self.sign_in(self.rails.person())
        with self.assertRaises(MastodonNetworkError) as caught:
            other.stream_list(mine, Listener())
        self.assertIn("Unauthorized", str(caught.exception))

    def test_direct(self) -> None:
        """`stream_direct` brings conversations."""
        listener = self.listen(self.api.stream_direct)
        conversation = {"id": "4", "unread": True, "accounts": [], "last_status": None}
        self.rails.push(f"timeline:direct:{self.person.account}", "conversation", conversation)
        self.assert_hears(listener, ("conversation", True))

    def test_refused(self) -> None:
        """A token that is not good raises what a bot can handle."""
        with self.assertRaises(MastodonNetworkError):
            client(self.daemon, "wrong").stream_user(Listener())


def client(daemon: Daemon, token: str) -> Any:
    """Make a client of the library; it reads nothing from the environment."""
    api = Mastodon(
        access_token=token,
        api_base_url=f"http://127.0.0.1:{daemon.port}",
        version_check_mode="none",
        ratelimit_method="throw",
        request_timeout=PATIENCE,
    )
    api.session.trust_env = False
    return api
