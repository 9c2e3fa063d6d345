"""Who is looking."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.viewer import Viewer


def viewer(permissions: int = 0) -> Viewer:
    """Make a viewer whose ids can be told apart."""
    return Viewer(
        token_id=1001,
        account_id=7,
        scopes=frozenset({"read"}),
        languages=None,
        permissions=permissions,
    )


class ViewerTests(SynchronousTestCase):
    """What follows from what PostgreSQL knows of a viewer."""

    def test_closed_feeds(self) -> None:
        """Feeds that are off are open to administrators and to those who may view feeds."""
        for expected, permissions in (
            (False, 0),
            (True, 1),
            (True, 1 << 20),
            (True, 1 << 40 | 1 << 20),
            (False, (1 << 40) - 1 & ~(1 << 20) & ~1),
        ):
            self.assertEqual(expected, viewer(permissions).sees_closed_feeds, msg=hex(permissions))

    def test_system_channels(self) -> None:
        """Mastodon speaks of a token by the token's id, and of an account by the account's."""
        self.assertEqual(
            ("timeline:access_token:1001", "timeline:system:7"), viewer().system_channels
        )
