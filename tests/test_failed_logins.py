"""
Who tries tokens that are none.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx import failed_logins
from flodgatt_tx.failed_logins import FailedLogins


class FailedLoginsTests(SynchronousTestCase):
    """Failures of an address in a minute."""

    def test_limit(self) -> None:
        """So many may fail; then the address waits for the end of the minute."""
        failures = FailedLogins(2)
        failures.add(b"a", 100)
        self.assertEqual(0, failures.wait(b"a", 100))
        failures.add(b"a", 130)
        self.assertEqual(25, failures.wait(b"a", 135))
        self.assertEqual(0, failures.wait(b"b", 135))
        self.assertEqual(0, failures.wait(b"a", 160))
        failures.add(b"a", 161)
        self.assertEqual(0, failures.wait(b"a", 161))
        failures.add(b"a", 162)
        self.assertEqual(59, failures.wait(b"a", 162))

    def test_off(self) -> None:
        """0 is no limit, and nothing is kept."""
        failures = FailedLogins(0)
        for _ in range(100):
            failures.add(b"a", 0)
        self.assertEqual((0, 0), (failures.wait(b"a", 0), len(failures)))

    def test_forgets(self) -> None:
        """A minute that is over is forgotten."""
        failures = FailedLogins(2)
        for number in range(100):
            failures.add(bytes([number]), number)
        self.assertEqual(60, len(failures))

    def test_bounded(self) -> None:
        """However many addresses try, only some are remembered: those that began last."""
        self.patch(failed_logins, "MOST_ADDRESSES", 10)
        failures = FailedLogins(1)
        for number in range(100):
            failures.add(bytes([number]), 5)
        self.assertEqual(10, len(failures))
        self.assertEqual((0, 60), (failures.wait(b"\0", 5), failures.wait(bytes([99]), 5)))
