"""
Questions that are asked together.

A query that answers for a hundred costs little more than one that answers for one. Who asks while
the database is free is asked for at once and alone; who asks while it is busy shares the next
query with everybody else who does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from flodgatt_tx.errors import UnavailableError

Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer")
_Waiting = dict[Question, list[Deferred[Answer | None]]]


class Batch(Generic[Question, Answer]):
    """
    Collects questions for *lookup*, which takes many and maps those it can answer to answers.

    *most* bounds how many go together. At most one lookup is under way at a time.
    """

    def __init__(
        self,
        lookup: Callable[[Sequence[Question]], Awaitable[Mapping[Question, Answer]]],
        most: int = 500,
    ) -> None:
        self._lookup = lookup
        self._most = most
        self._waiting: _Waiting[Question, Answer] = {}
        self._busy = False

    def ask(self, question: Question) -> Deferred[Answer | None]:
        """
        Ask one question.

        :return: the answer, or None if the lookup had none. Fails as the lookup failed. It may
            be cancelled without harm to who else asked the same.
        """
        asked: Deferred[Answer | None] = Deferred()
        self._waiting.setdefault(question, []).append(asked)
        if not self._busy:
            self._busy = True
            Deferred.fromCoroutine(self._work())
        return asked

    async def _work(self) -> None:
        while self._waiting:
            questions = list(islice(self._waiting, self._most))
            batch = {question: self._waiting.pop(question) for question in questions}
            await self._settle(batch)
        self._busy = False

    async def _settle(self, batch: _Waiting[Question, Answer]) -> None:
        try:
            answers = await self._lookup(list(batch))
        except Exception as error:
            if isinstance(error, UnavailableError) or len(batch) == 1:
                failure = Failure()
                _fire(batch, lambda question: failure)
            else:
                # One question may have spoilt the query for all: ask one by one, once.
                for question, waiting in batch.items():
                    await self._settle({question: waiting})
        else:
            _fire(batch, answers.get)


def _fire(
    batch: _Waiting[Question, Answer],
    outcome: Callable[[Question], Answer | Failure | None],
) -> None:
    for question, waiting in batch.items():
        for asked in waiting:
            if not asked.called:
                asked.callback(outcome(question))
