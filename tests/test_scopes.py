"""OAuth scopes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.scopes import FOR_NOTIFICATIONS, FOR_STATUSES, parse_scopes, permits


class ParseScopesTests(SynchronousTestCase):
    """Scopes are words between single spaces."""

    def test_words(self) -> None:
        """Each word is a scope; NULL and superfluous spaces are none."""
        for expected, text in (
            (set(), None),
            (set(), ""),
            (set(), " "),
            ({"read"}, "read"),
            ({"read", "write", "follow"}, "read write follow"),
            ({"read", "write"}, " read  write "),
            ({"read\twrite"}, "read\twrite"),
        ):
            self.assertEqual(expected, parse_scopes(text), msg=repr(text))


class PermitsTests(SynchronousTestCase):
    """One sufficient scope is enough, and it must be there to the letter."""

    def test_permits(self) -> None:
        """`read` is good for everything, and a narrower scope for its own part only."""
        for statuses, notifications, granted in (
            (True, True, "read"),
            (True, True, "profile read write"),
            (True, False, "read:statuses"),
            (False, True, "read:notifications"),
            (True, True, "read:statuses read:notifications"),
            (False, False, "read:status"),
            (False, False, "READ"),
            (False, False, "write"),
            (False, False, ""),
        ):
            scopes = parse_scopes(granted)
            self.assertEqual(statuses, permits(scopes, FOR_STATUSES), msg=granted)
            self.assertEqual(notifications, permits(scopes, FOR_NOTIFICATIONS), msg=granted)
