"""Each thing in its turn."""

from __future__ import annotations

from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.wheel import Wheel
from tests.properties import STORIES

SLOTS = 3
ITEMS = some.sampled_from("abcd")


class Story(RuleBasedStateMachine):
    """Each item has a clock of its own in place of the wheel."""

    def __init__(self) -> None:
        super().__init__()
        self.wheel: Wheel[str] = Wheel(SLOTS)
        self.ages: dict[str, int] = {}

    @rule(item=ITEMS)
    def add(self, item: str) -> None:
        """Its clock starts, unless it is running."""
        self.wheel.add(item)
        self.ages.setdefault(item, 0)

    @rule(item=ITEMS)
    def discard(self, item: str) -> None:
        """Its clock is taken away."""
        self.wheel.discard(item)
        self.ages.pop(item, None)

    @rule()
    def turn(self) -> None:
        """It comes up whenever its clock shows a full revolution."""
        self.ages = {item: age + 1 for item, age in self.ages.items()}
        expected = [item for item, age in self.ages.items() if age % SLOTS == 0]
        assert sorted(expected) == sorted(self.wheel.turn())

    @invariant()
    def same(self) -> None:
        """The same items are on the wheel."""
        assert list(self.ages) == list(self.wheel)
        assert len(self.ages) == len(self.wheel)


class WheelTests(SynchronousTestCase):
    """One timer serves for many things."""

    def test_stories(self) -> None:
        """Whatever happens, it is as if each item had a timer of its own."""
        run_state_machine_as_test(Story, settings=STORIES)

    def test_revolution(self) -> None:
        """An item comes up after a full revolution, and again after each further one."""
        wheel: Wheel[str] = Wheel(3)
        wheel.turn()
        wheel.add("a")
        expected = [[], [], ["a"], [], [], ["a"]]
        self.assertEqual(expected, [wheel.turn() for _ in range(6)])

    def test_change_while_it_is_walked(self) -> None:
        """What is on the wheel, or came up, may be taken off while it is gone through."""
        wheel: Wheel[int] = Wheel(1)
        for item in range(4):
            wheel.add(item)
        for item in wheel:
            wheel.discard(item + 1)
        for item in wheel.turn():
            wheel.discard(item)
        self.assertEqual([], list(wheel))
