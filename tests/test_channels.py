"""What Redis was asked to send, and what it has confirmed."""

from __future__ import annotations

from collections import deque

from hypothesis import settings
from hypothesis import strategies as some
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.channels import Channels
from tests.properties import STORIES

NAMES = ("a", "b")
SOME_NAMES = some.lists(some.sampled_from(NAMES), min_size=1, max_size=3)
COUNTS = some.integers(1, 4)
ALL = 1000


class Story(RuleBasedStateMachine):
    """Channels are wanted and dropped while a server obeys, command by command, and answers."""

    def __init__(self) -> None:
        super().__init__()
        self.channels = Channels()
        self.wanted: set[str] = set()
        self.commands: deque[tuple[str, str]] = deque()
        self.answers: deque[str] = deque()
        self.served: set[str] = set()

    @rule(names=SOME_NAMES)
    def want(self, names: list[str]) -> None:
        """Somebody listens."""
        self.channels.want(names)
        self.wanted.update(names)

    @rule(names=SOME_NAMES)
    def drop(self, names: list[str]) -> None:
        """Nobody listens any more."""
        self.channels.drop(names)
        self.wanted.difference_update(names)

    @rule()
    def take(self) -> None:
        """What differs between what is wanted and what was asked is asked."""
        subscribe, unsubscribe = self.channels.take_changes()
        assert self.wanted - self.asked() == set(subscribe)
        assert self.asked() - self.wanted == set(unsubscribe)
        self.commands += [("subscribe", name) for name in subscribe]
        self.commands += [("unsubscribe", name) for name in unsubscribe]
        nothing: tuple[list[str], list[str]] = ([], [])
        assert nothing == self.channels.take_changes()

    @rule(count=COUNTS)
    def serve(self, count: int) -> None:
        """The server obeys some commands; it may be a while before the answers are read."""
        for _ in range(min(count, len(self.commands))):
            command, name = self.commands.popleft()
            if command == "subscribe":
                self.served.add(name)
                self.answers.append(name)
            else:
                self.served.discard(name)

    @rule(count=COUNTS)
    def read(self, count: int) -> None:
        """Some answers are read."""
        for _ in range(min(count, len(self.answers))):
            name = self.answers.popleft()
            confirmed = self.channels.answered(name)
            assert self.confirmed(name) == confirmed

    @rule()
    def settle(self) -> None:
        """Nothing happens until everything is asked, served and read."""
        self.take()
        self.serve(ALL)
        self.read(ALL)

    @precondition(lambda self: self.commands or self.answers or self.served)
    @rule()
    def lose(self) -> None:
        """The connection is lost, and all that was under way."""
        self.channels.forget()
        self.commands.clear()
        self.answers.clear()
        self.served.clear()

    def asked(self) -> set[str]:
        """What will be served once the server has obeyed."""
        served = set(self.served)
        for command, name in self.commands:
            if command == "subscribe":
                served.add(name)
            else:
                served.discard(name)
        return served

    def confirmed(self, name: str) -> bool:
        """Whether a channel is wanted, served for good, and nothing more is to be read of it."""
        under_way = {*self.answers, *(each for _, each in self.commands)}
        return name in self.wanted & self.served - under_way

    @invariant()
    def same(self) -> None:
        """What is confirmed is what a patient observer of the server would confirm."""
        assert len(self.wanted) == len(self.channels)
        assert self.wanted == set(self.channels)
        for name in NAMES:
            assert self.confirmed(name) == self.channels.is_confirmed(name)


class ChannelsTests(SynchronousTestCase):
    """A channel is confirmed when the answer to the last question is in."""

    def test_stories(self) -> None:
        """Whatever happens in whatever order, nothing is confirmed that is not served."""
        run_state_machine_as_test(Story, settings=settings(STORIES, max_examples=25))

    def test_once(self) -> None:
        """What is wanted is asked for once, and confirmed by the answer."""
        channels = Channels()
        channels.want(["a", "b", "a"])
        self.assertEqual((["a", "b"], []), channels.take_changes())
        self.assertEqual(([], []), channels.take_changes())
        self.assertFalse(channels.is_confirmed("a"))
        self.assertTrue(channels.answered("a"))
        self.assertEqual([True, False], [channels.is_confirmed(each) for each in "ab"])

    def test_second_thoughts(self) -> None:
        """Who wants a channel again waits for the second answer, not the first."""
        channels = Channels()
        channels.want(["a"])
        channels.take_changes()
        channels.drop(["a"])
        self.assertEqual(([], ["a"]), channels.take_changes())
        channels.want(["a"])
        self.assertEqual((["a"], []), channels.take_changes())
        self.assertEqual([False, True], [channels.answered("a"), channels.answered("a")])

    def test_changed_mind(self) -> None:
        """Who comes and goes between two questions costs nothing."""
        channels = Channels()
        channels.want(["a"])
        channels.drop(["a", "never wanted"])
        self.assertEqual(([], []), channels.take_changes())
        self.assertEqual(0, len(channels))

    def test_lost_connection(self) -> None:
        """After a loss everything wanted is asked for again, in the same order."""
        channels = Channels()
        channels.want(["b", "a"])
        channels.take_changes()
        channels.answered("b")
        channels.forget()
        self.assertFalse(channels.is_confirmed("b"))
        self.assertEqual((["b", "a"], []), channels.take_changes())
        self.assertEqual([True, True], [channels.answered(each) for each in "ba"])

    def test_dropped(self) -> None:
        """What nobody wants is not confirmed, be it served or not; wanted again, it is at once."""
        channels = Channels()
        channels.want(["a"])
        channels.take_changes()
        channels.answered("a")
        channels.drop(["a"])
        self.assertFalse(channels.is_confirmed("a"))
        channels.want(["a"])
        self.assertTrue(channels.is_confirmed("a"))

    def test_unasked_answer(self) -> None:
        """An answer to what was never asked confirms nothing."""
        channels = Channels()
        self.assertFalse(channels.answered("a"))
        channels.want(["a"])
        self.assertFalse(channels.answered("a"))
