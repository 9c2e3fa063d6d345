"""
The sixteen things that Mastodon's own specs assert about its streaming server.

They are `spec/system/streaming/streaming_spec.rb` and `channel_subscriptions_spec.rb`. There is no
answer to a subscription, and like the specs these tests wait for none: Rails posts at once, which
takes it the few statements that it takes here.
"""

from __future__ import annotations

import json
from typing import Any

from websockets.exceptions import InvalidStatus

from tests.integration.site import Person, Socket, VisitTestCase
from tests.stage import status

FORBIDDEN = "Access token does not have the required scopes"


class ConnectionSpecs(VisitTestCase):
    """`streaming_spec.rb`: who is let in, and who is sent away; no scopes are needed for that."""

    def guest(self) -> Person:
        """Sign up with a token of no scopes."""
        return self.rails.person("")

    def assert_open(self, socket: Socket) -> None:
        """Fail unless the handshake succeeded and the connection is there."""
        self.addCleanup(socket.close)
        response = socket.connection.response
        self.assertEqual(101, response and response.status_code)
        self.assertTrue(socket.connection.ping().wait(10))

    def assert_refused(self, person: Person) -> None:
        """Fail unless the handshake is refused with status 401."""
        refused = self.assertRaises(InvalidStatus, self.daemon.websocket, person.token)
        self.assertEqual(401, refused.response.status_code)

    def assert_closed(self, socket: Socket) -> None:
        """Fail unless the server closes without a code, which the specs' driver reads as 1000."""
        self.assertEqual(1005, socket.close_code())

    def test_accepts_token_as_subprotocol(self) -> None:
        """The token may come as a subprotocol, which is echoed."""
        guest = self.guest()
        socket = self.websocket(guest)
        self.assert_open(socket)
        self.assertEqual(guest.token, socket.connection.subprotocol)

    def test_accepts_token_in_authorization_header(self) -> None:
        """The token may come in the Authorization header."""
        headers = {"Authorization": f"Bearer {self.guest().token}"}
        self.assert_open(Socket(self.daemon.port, headers=headers))

    def test_accepts_token_in_query(self) -> None:
        """The token may come in the query."""
        self.assert_open(self.daemon.websocket(access_token=self.guest().token))

    def test_refuses_revoked_token(self) -> None:
        """A token that was revoked is refused."""
        guest = self.guest()
        self.rails.revoke(guest)
        self.assert_refused(guest)

    def test_closes_when_token_is_revoked(self) -> None:
        """A token that is revoked ends its connection."""
        guest = self.guest()
        socket = self.websocket(guest)
        self.rails.hears_of(f"timeline:access_token:{guest.token_id}")
        self.rails.revoke(guest)
        self.assert_closed(socket)

    def test_closes_when_session_is_destroyed(self) -> None:
        """Logging out destroys the session and with it the token, which ends its connection."""
        guest = self.guest()
        socket = self.websocket(guest)
        self.assert_open(socket)
        self.rails.hears_of(f"timeline:access_token:{guest.token_id}")
        self.rails.sql("DELETE FROM oauth_access_tokens WHERE id = %s", guest.token_id)
        self.rails.publish(f"timeline:access_token:{guest.token_id}", "kill")
        self.assert_closed(socket)

    def test_refuses_disabled_user(self) -> None:
        """A user who was disabled is refused."""
        guest = self.guest()
        self.rails.disable(guest)
        self.assert_refused(guest)

    def test_closes_when_user_is_disabled(self) -> None:
        """A user who is disabled loses the connection."""
        guest = self.guest()
        socket = self.websocket(guest)
        self.rails.hears_of(guest.system)
        self.rails.disable(guest)
        self.assert_closed(socket)

    def test_refuses_suspended_account(self) -> None:
        """An account that was suspended is refused."""
        guest = self.guest()
        self.rails.suspend(guest)
        self.assert_refused(guest)

    def test_closes_when_account_is_suspended(self) -> None:
        """An account that is suspended loses the connection."""
        guest = self.guest()
        socket = self.websocket(guest)
        self.rails.hears_of(guest.system)
        self.rails.suspend(guest)
        self.assert_closed(socket)


class SubscriptionSpecs(VisitTestCase):
    """`channel_subscriptions_spec.rb`: which scopes are good for which stream."""

    def subscribed(self, scopes: str, stream: str) -> tuple[Person, Socket]:
        """Sign up, connect, and subscribe."""
        person = self.rails.person(scopes)
        socket = self.websocket(person)
        socket.subscribe(stream)
        return person, socket

    def assert_forbidden(self, socket: Socket) -> None:
        """Fail unless the client is told that the scopes are wrong."""
        self.assertEqual({"error": FORBIDDEN, "status": 401}, socket.hears())

    def assert_hears_post(self, socket: Socket) -> None:
        """Post, and fail unless that is heard on the local timeline."""
        author = self.rails.person()
        post = status("112233", str(author.account), "author")
        self.rails.post(post)
        message = socket.hears()
        self.assertEqual(["public:local"], message["stream"])
        self.assertEqual("update", message["event"])
        self.assertEqual("112233", json.loads(message["payload"])["id"])

    def assert_hears_boost(self, person: Person, socket: Socket) -> None:
        """Let somebody boost, and fail unless that is notified."""
        booster = self.rails.person()
        account = {"id": str(booster.account), "username": "booster", "acct": "booster"}
        boost: dict[str, Any] = {"id": "7", "type": "reblog", "account": account}
        self.rails.notify(person, "notification", boost)
        message = socket.hears()
        self.assertEqual(["user:notification"], message["stream"])
        self.assertEqual("notification", message["event"])

    def test_profile_is_not_enough_for_public(self) -> None:
        """The scope `profile` connects, but opens no stream."""
        _, socket = self.subscribed("profile", "public:local")
        self.assert_forbidden(socket)

    def test_read_is_enough_for_public(self) -> None:
        """The scope `read` opens a public stream."""
        _, socket = self.subscribed("read", "public:local")
        self.assert_hears_post(socket)

    def test_read_is_enough_for_notifications(self) -> None:
        """The scope `read` opens the notifications."""
        person, socket = self.subscribed("read", "user:notification")
        self.assert_hears_boost(person, socket)

    def test_read_statuses_is_enough_for_public(self) -> None:
        """The scope `read:statuses` opens a public stream."""
        _, socket = self.subscribed("read:statuses", "public:local")
        self.assert_hears_post(socket)

    def test_read_statuses_is_not_enough_for_notifications(self) -> None:
        """The scope `read:statuses` does not open the notifications."""
        _, socket = self.subscribed("read:statuses", "user:notification")
        self.assert_forbidden(socket)

    def test_read_notifications_is_enough_for_notifications(self) -> None:
        """The scope `read:notifications` opens the notifications."""
        person, socket = self.subscribed("read:notifications", "user:notification")
        self.assert_hears_boost(person, socket)
