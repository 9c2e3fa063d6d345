"""
The names under which events are counted.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.events import EXPECTED, OTHER, channel_label, event_label
from flodgatt_tx.streams import KINDS, open_stream
from tests.stage import viewer


class LabelTests(SynchronousTestCase):
    """Few names, whatever comes."""

    def test_channels(self) -> None:
        """The channels of every stream are known by its kind, whoever it is for."""
        for kind in KINDS:
            stream = open_stream(kind, {"tag": "cats", "list": "12"}, viewer(7))
            expected = kind.replace(":allow_local_only", "")
            self.assertEqual(expected, channel_label(stream.channels[0]), msg=kind)
        self.assertEqual("user:notification", channel_label("timeline:7:notifications"))

    def test_other_channels(self) -> None:
        """All others are the system's."""
        for channel in ("timeline:system:1", "timeline:access_token:1", "timeline:publicity", "x"):
            self.assertEqual("system", channel_label(channel))

    def test_events(self) -> None:
        """What Mastodon does not publish is other."""
        self.assertEqual("status.update", event_label("status.update"))
        for name in ("emoji_reaction", "Update", "", "x" * 10000):
            self.assertEqual(OTHER, event_label(name))

    def test_expected(self) -> None:
        """Whatever is to be expected is named as it is labelled."""
        for kind, name in EXPECTED:
            self.assertEqual(name, event_label(name))
            self.assertIn(kind, ("system", *KINDS))
        self.assertEqual(len(EXPECTED), len(set(EXPECTED)))
        for pair in (("hashtag", "update"), ("user", "notification"), ("list", "other")):
            self.assertIn(pair, EXPECTED)
