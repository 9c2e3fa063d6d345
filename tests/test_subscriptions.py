"""Who hears which channel."""

from __future__ import annotations

from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.subscriptions import Subscriptions
from tests.properties import STORIES

CHANNELS = some.sampled_from(["a", "b", "c"])
LISTENERS = some.sampled_from([1, 2, 3])


class Story(RuleBasedStateMachine):
    """Listeners come and go; a plain list of pairs says who must hear what."""

    def __init__(self) -> None:
        super().__init__()
        self.subscriptions: Subscriptions[int] = Subscriptions()
        self.pairs: list[tuple[str, int]] = []

    def open(self) -> list[str]:
        """The channels that are open, in the order in which they opened."""
        return list(dict.fromkeys(channel for channel, _ in self.pairs))

    @rule(listener=LISTENERS, channels=some.lists(CHANNELS))
    def add(self, listener: int, channels: list[str]) -> None:
        """Whoever comes opens the channels that nobody heard."""
        expected = [each for each in dict.fromkeys(channels) if each not in self.open()]
        assert expected == self.subscriptions.add(listener, channels)
        self.pairs += [
            (c, listener) for c in dict.fromkeys(channels) if (c, listener) not in self.pairs
        ]

    @rule(listener=LISTENERS, channels=some.lists(CHANNELS))
    def remove(self, listener: int, channels: list[str]) -> None:
        """Whoever goes closes the channels that nobody else hears."""
        before = self.open()
        self.pairs = [pair for pair in self.pairs if pair[1] != listener or pair[0] not in channels]
        closed = set(before) - set(self.open())
        expected = [each for each in dict.fromkeys(channels) if each in closed]
        assert expected == self.subscriptions.remove(listener, channels)

    @invariant()
    def same(self) -> None:
        """Everybody hears what they must, in the order in which they came."""
        assert set(self.open()) == set(self.subscriptions.channels())
        for channel in ("a", "b", "c", "d"):
            expected = [listener for each, listener in self.pairs if each == channel]
            assert expected == list(self.subscriptions.hearing(channel))


class SubscriptionsTests(SynchronousTestCase):
    """A channel is open while it has a listener."""

    def test_stories(self) -> None:
        """Whatever happens, it is as a list of pairs says."""
        run_state_machine_as_test(Story, settings=STORIES)

    def test_open_and_close(self) -> None:
        """The first listener opens a channel, and the last one closes it."""
        subscriptions: Subscriptions[str] = Subscriptions()
        self.assertEqual(["x", "y"], subscriptions.add("ann", ["x", "y", "x"]))
        self.assertEqual(["z"], subscriptions.add("bob", ["y", "z"]))
        self.assertEqual([], subscriptions.add("ann", ["x"]))
        self.assertEqual(["ann", "bob"], list(subscriptions.hearing("y")))
        self.assertEqual(["x"], subscriptions.remove("ann", ["x", "y", "x", "unheard"]))
        self.assertEqual([], subscriptions.remove("ann", ["y"]))
        self.assertEqual(["y", "z"], list(subscriptions.channels()))
