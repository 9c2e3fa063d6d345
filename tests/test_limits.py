"""
How much clients may ask for.
"""

from __future__ import annotations

from dataclasses import astuple

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.limits import Limits
from flodgatt_tx.settings import VARIABLES, Layer, SettingsError, load

NAMES = [
    each.name
    for each in VARIABLES
    if each.name.startswith("FLODGATT_MAX") or each.name == "FLODGATT_HANDSHAKE_TIMEOUT"
]


def given(**values: str) -> Limits:
    """The limits of an environment in which these variables are set."""
    return load([Layer("environment", values)]).limits


class ReadTests(SynchronousTestCase):
    """From variables to limits."""

    def test_standard(self) -> None:
        """What is not set, or empty, is as documented."""
        self.assertEqual(Limits(), given())
        self.assertEqual(Limits(), given(**dict.fromkeys(NAMES, "")))
        self.assertIsNone(given().connections)

    def test_each(self) -> None:
        """Each variable has its place, and each may be 0."""
        self.assertEqual(len(astuple(Limits())), len(NAMES))
        for place, name in enumerate(NAMES):
            for number in (0, 7):
                self.assertEqual(number, astuple(given(**{name: str(number)}))[place], name)

    def test_mistakes(self) -> None:
        """What is no number is a mistake."""
        for name in NAMES:
            for value in ("many", "-1", "1e3", "9" * 19):
                error = self.assertRaises(SettingsError, given, **{name: value})
                self.assertTrue(error.problems[0].startswith(f"{name} (environment): "))


class FilesTests(SynchronousTestCase):
    """How many may connect follows from how many files may be open."""

    def test_derived(self) -> None:
        """Some files are left for the server itself; where there are few, half of them."""
        for files, expected in ((20_000, 19_734), (1024, 758), (256, 128), (1, 1)):
            self.assertEqual(expected, Limits().within(files, 10).connections, files)

    def test_given(self) -> None:
        """What is set is lowered to what can be; nothing is derived from no limit."""
        for number in (0, 5):
            limits = Limits(connections=number)
            self.assertEqual(limits, limits.within(1024, 10))
        self.assertEqual(758, Limits(connections=100_000).within(1024, 10).connections)
        self.assertIsNone(Limits().within(-1, 10).connections)

    def test_anteroom(self) -> None:
        """Those who are let in beyond the limit find files, too."""
        for files in (128, 256, 1024, 20_000):
            limits = Limits().within(files, 10)
            assert limits.connections
            self.assertLess(limits.connections + limits.anteroom + 10, files)
        self.assertEqual(128, Limits(connections=0).anteroom)
