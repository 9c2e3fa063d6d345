"""
Who is looking: what an access token says of its owner.
"""

from __future__ import annotations

from dataclasses import dataclass

ADMINISTRATOR = 1 << 0
VIEW_FEEDS = 1 << 20


@dataclass(frozen=True, slots=True)
class Viewer:
    """
    The owner of an access token, as PostgreSQL knew it when it was asked.

    *account_id* is `accounts.id`, the identity in every channel name. *languages* are the ones
    the viewer chose to see in public timelines, None for all. *permissions* are the bits of the
    viewer's role. *before_4* tells that this Mastodon is older than 4.0, and publishes elsewhere.
    """

    token_id: int
    account_id: int
    scopes: frozenset[str]
    languages: frozenset[str] | None
    permissions: int
    before_4: bool = False

    @property
    def sees_closed_feeds(self) -> bool:
        """Whether feeds that the site has switched off are open to this viewer."""
        return bool(self.permissions & (ADMINISTRATOR | VIEW_FEEDS))

    @property
    def system_channels(self) -> tuple[str, str]:
        """Where Mastodon tells of this token and this account: `kill` and `filters_changed`."""
        return (f"timeline:access_token:{self.token_id}", f"timeline:system:{self.account_id}")
