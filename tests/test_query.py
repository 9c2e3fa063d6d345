"""The query of a request."""

from __future__ import annotations

from urllib.parse import urlencode

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.query import is_truthy, split_target
from tests.properties import FEW

CLEAN_TEXT = some.text(some.characters(exclude_categories=["Cs"]), max_size=6)


class SplitTargetTests(SynchronousTestCase):
    """A target is a path and parameters."""

    def test_targets(self) -> None:
        """Names and values are decoded, the first of equal names counts, fragments do not."""
        for path, parameters, target in (
            ("/", {}, b"/"),
            ("", {}, b""),
            ("/a", {}, b"/a?"),
            ("/a", {"tag": "cats"}, b"/a?tag=cats"),
            ("/a", {"tag": "Café"}, b"/a?tag=Caf%C3%A9"),
            ("/a", {"tag": "Café"}, "/a?tag=Café".encode()),
            ("/a", {"tag": "a b c"}, b"/a?tag=a+b%20c"),
            ("/a", {"tag": ""}, b"/a?tag="),
            ("/a", {"tag": ""}, b"/a?tag"),
            ("/a", {"tag": "1"}, b"/a?tag=1&tag=2"),
            ("/a", {"tag": "b?c=d"}, b"/a?tag=b?c=d"),
            ("/a", {"b": "1", "c": "2"}, b"/a?&b=1&&c=2&"),
            ("/a", {"b;c": "1;d=2"}, b"/a?b;c=1;d=2"),
            ("/a", {"b": "1"}, b"/a?b=1#?b=2"),
            ("/a", {}, b"/a#?b=2"),
            ("/a", {"b": "\ufffd"}, b"/a?b=%ff"),
            ("/a", {"b": "\ufffd"}, b"/a?b=\xff"),
            ("/a", {"b": "%zz"}, b"/a?b=%zz"),
            ("/\ufffd%20", {}, b"/\xff%20"),
        ):
            self.assertEqual((path, parameters), split_target(target), msg=repr(target))

    def test_many(self) -> None:
        """A hundred parameters are read; more are not."""
        for count, expected in ((100, 100), (101, 0)):
            target = b"/?" + b"&".join(b"n%d=v" % n for n in range(count))
            self.assertEqual(expected, len(split_target(target)[1]), msg=str(count))

    @given(some.dictionaries(CLEAN_TEXT, CLEAN_TEXT, max_size=4))
    @FEW
    def test_round_trip(self, parameters: dict[str, str]) -> None:
        """What a client encodes is read as it was meant."""
        target = f"/path?{urlencode(parameters)}".encode()
        self.assertEqual(("/path", parameters), split_target(target))

    @given(some.binary(max_size=40))
    @FEW
    def test_anything(self, target: bytes) -> None:
        """No bytes are too strange to be read, and what is read can be written as UTF-8."""
        path, parameters = split_target(target)
        for text in (path, *parameters, *parameters.values()):
            text.encode()


class IsTruthyTests(SynchronousTestCase):
    """A parameter is on unless Mastodon counts it as off."""

    def test_values(self) -> None:
        """Mastodon's noes are exact; everything else that is there is a yes."""
        for expected, values in (
            (False, (None, False, 0, "", "0", "f", "F", "false", "FALSE", "off", "OFF")),
            (True, (True, 1, "1", "t", "true", "no", "False", "Off", " ", "00", ["f"])),
        ):
            for value in values:
                self.assertEqual(expected, is_truthy(value), msg=repr(value))

    def test_nested(self) -> None:
        """What is nested deeper than Python could print is a yes like any other."""
        value: list[object] = []
        for _ in range(100_000):
            value = [value]
        self.assertTrue(is_truthy(value))
