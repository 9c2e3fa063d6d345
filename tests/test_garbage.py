"""
When Python looks for garbage.
"""

from __future__ import annotations

import gc

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.garbage import MANY_READERS, PERIOD, Garbage


class GarbageTests(SynchronousTestCase):
    """How often everything is looked at."""

    def setUp(self) -> None:
        """Begin, and leave no traces in this process."""
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        self.addCleanup(gc.unfreeze)
        self.clock = MemoryReactorClock()
        self.readers: list[int] = []
        self.collected = 0
        self.garbage = Garbage(self.clock, self.readers, self._collect)
        self.garbage.startService()
        for start, arguments, keywords in self.clock.whenRunningHooks:
            start(*arguments, **keywords)

    def _collect(self) -> int:
        self.collected += 1
        return 0

    def test_start(self) -> None:
        """What is there at the start is looked at once, and by no later collection."""
        self.assertEqual(1, self.collected)
        self.assertGreater(gc.get_freeze_count(), 0)
        self.assertGreater(gc.get_threshold()[2], 1000)

    def test_few(self) -> None:
        """While few listen, everything is looked at once an hour."""
        self.clock.pump([PERIOD] * 3)
        self.assertEqual(1 + 3, self.collected)

    def test_many(self) -> None:
        """While many do, it is once a day."""
        self.readers += range(MANY_READERS)
        self.clock.pump([PERIOD] * 23)
        self.assertEqual(1, self.collected)
        self.clock.advance(PERIOD)
        self.assertEqual(2, self.collected)
        self.clock.pump([PERIOD] * 24)
        self.assertEqual(3, self.collected)

    def test_stop(self) -> None:
        """It ends with the server."""
        self.garbage.stopService()
        self.assertEqual([], self.clock.getDelayedCalls())
