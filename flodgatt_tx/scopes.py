"""
OAuth scopes, as Mastodon stores them with a token: words between single spaces.
"""

READ = "read"
READ_STATUSES = "read:statuses"
READ_NOTIFICATIONS = "read:notifications"

FOR_STATUSES = frozenset({READ, READ_STATUSES})
FOR_NOTIFICATIONS = frozenset({READ, READ_NOTIFICATIONS})


def parse_scopes(text: str | None) -> frozenset[str]:
    """Read a token's scopes; a token without any (NULL) grants none."""
    return frozenset(text.split(" ")) - {""} if text else frozenset()


def permits(granted: frozenset[str], sufficient: frozenset[str]) -> bool:
    """Whether one of the *sufficient* scopes was *granted*; matching is exact, as in Mastodon."""
    return not granted.isdisjoint(sufficient)
