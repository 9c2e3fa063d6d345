"""
Questions that are asked together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.batching import Batch
from flodgatt_tx.errors import UNAVAILABLE, UnavailableError


class BatchTests(SynchronousTestCase):
    """Who is asked together with whom."""

    def setUp(self) -> None:
        """Make an oracle that answers when it is told to."""
        self.asked: list[list[int]] = []
        self.pending: list[Deferred[None]] = []
        self.poison = 0
        self.batch = Batch(self.look_up, most=3)

    async def look_up(self, questions: Sequence[int]) -> Mapping[int, str]:
        """Answer, but not for negative numbers."""
        self.asked.append(list(questions))
        pending: Deferred[None] = Deferred()
        self.pending.append(pending)
        await pending
        if self.poison in questions:
            raise ZeroDivisionError
        return {each: str(each) for each in questions if each > 0}

    def answer(self) -> None:
        """Let the question that is under way be answered."""
        self.pending.pop(0).callback(None)

    def answer_all(self) -> None:
        """Let all questions be answered."""
        while self.pending:
            self.answer()

    def test_alone(self) -> None:
        """Who asks while nobody does is asked for at once."""
        asked = self.batch.ask(1)
        self.assertEqual([[1]], self.asked)
        self.answer()
        self.assertEqual("1", self.successResultOf(asked))

    def test_together(self) -> None:
        """Who asks meanwhile shares the next question."""
        answers = [self.batch.ask(number) for number in (1, 2, 3, 2)]
        self.assertEqual([[1]], self.asked)
        self.answer()
        self.assertEqual([[1], [2, 3]], self.asked)
        self.answer()
        self.assertEqual(["1", "2", "3", "2"], [*map(self.successResultOf, answers)])

    def test_same(self) -> None:
        """Who asks what is being asked has it asked again: the answer may be old."""
        self.batch.ask(1)
        self.batch.ask(1)
        self.answer_all()
        self.assertEqual([[1], [1]], self.asked)

    def test_most(self) -> None:
        """Not more go together than may."""
        for number in range(1, 9):
            self.batch.ask(number)
        self.answer_all()
        self.assertEqual([[1], [2, 3, 4], [5, 6, 7], [8]], self.asked)

    def test_no_answer(self) -> None:
        """What the lookup leaves out has no answer."""
        asked = self.batch.ask(-1)
        self.answer()
        self.assertIsNone(self.successResultOf(asked))

    def test_given_up(self) -> None:
        """Who gives up harms nobody who asked the same."""
        self.batch.ask(9)
        first, second = self.batch.ask(1), self.batch.ask(1)
        first.addErrback(lambda failure: None)
        first.cancel()
        self.answer_all()
        self.assertEqual("1", self.successResultOf(second))

    def test_given_up_meanwhile(self) -> None:
        """Who gives up while it is asked does no harm either."""
        asked = self.batch.ask(1)
        asked.addErrback(lambda failure: None)
        asked.cancel()
        self.answer_all()
        again = self.batch.ask(1)
        self.answer_all()
        self.assertEqual("1", self.successResultOf(again))

    def test_poison(self) -> None:
        """A question that spoils the lookup fails alone."""
        self.poison = 2
        first = self.batch.ask(9)
        answers = [self.batch.ask(number) for number in (1, 2, 3)]
        self.answer_all()
        self.successResultOf(first)
        self.assertEqual("1", self.successResultOf(answers[0]))
        self.failureResultOf(answers[1], ZeroDivisionError)
        self.assertEqual("3", self.successResultOf(answers[2]))
        self.assertEqual([[9], [1, 2, 3], [1], [2], [3]], self.asked)

    def test_unavailable(self) -> None:
        """If nobody answers, nobody is asked one by one."""
        calls = []

        async def fail(questions: Sequence[int]) -> Mapping[int, str]:
            calls.append(list(questions))
            raise UnavailableError(UNAVAILABLE)

        batch = Batch(fail)
        for _ in range(2):
            self.failureResultOf(batch.ask(1), UnavailableError)
        self.assertEqual([[1], [1]], calls)

    def test_unavailable_together(self) -> None:
        """All who asked together are told at once."""
        self.poison = 0
        pending: list[Deferred[None]] = []

        async def fail(questions: Sequence[int]) -> Mapping[int, str]:
            wait: Deferred[None] = Deferred()
            pending.append(wait)
            await wait
            raise UnavailableError(UNAVAILABLE)

        batch = Batch(fail)
        answers = [batch.ask(number) for number in (1, 2, 3)]
        while pending:
            pending.pop().callback(None)
        for answer in answers:
            self.failureResultOf(answer, UnavailableError)

    def test_asking_from_an_answer(self) -> None:
        """Who asks again from the answer is answered, too."""
        again: list[Deferred[str | None]] = []
        self.batch.ask(1).addCallback(lambda _: again.append(self.batch.ask(2)))
        self.answer_all()
        self.assertEqual("2", self.successResultOf(again[0]))
