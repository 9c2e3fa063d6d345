"""
How parent and worker talk: JSON, one message after the other, over a pair of sockets.

Either may ask the other; the answer carries the question's number.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import orjson
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import Int32StringReceiver
from twisted.python.failure import Failure
from typing_extensions import override

_MOST_BYTES = 256 * 1024 * 1024
PATIENCE = 5.0  # seconds for an answer


class Channel(Int32StringReceiver):
    """
    One end.

    *on_message* is called with each message that is neither question nor answer, *on_question*
    with each question and has to give a Deferred of the answer, *on_loss* when the other end is
    gone.
    """

    MAX_LENGTH = _MOST_BYTES
    _log = Logger()

    def __init__(
        self,
        clock: Any,
        on_message: Callable[[dict[str, Any]], object],
        on_question: Callable[[str], Deferred[Any]],
        on_loss: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._on_message = on_message
        self._on_question = on_question
        self._on_loss = on_loss
        self._numbers = itertools.count()
        self._waiting: dict[int, Deferred[Any]] = {}
        self._lost = False

    def tell(self, kind: str, **more: Any) -> None:
        """Send a message; it is lost if the other end is."""
        if not self._lost:
            self.sendString(orjson.dumps({"kind": kind, **more}))  # type: ignore[no-untyped-call]

    def ask(self, question: str) -> Deferred[Any]:
        """
        Ask the other end.

        Fails with Twisted's TimeoutError after `PATIENCE` seconds, or with ConnectionDone if that
        end is gone.
        """
        number = next(self._numbers)
        answer: Deferred[Any] = Deferred()
        if self._lost:
            answer.errback(ConnectionDone())
            return answer
        self._waiting[number] = answer
        answer.addTimeout(PATIENCE, self._clock)
        answer.addBoth(self._settled, number)
        self.tell("ask", number=number, question=question)
        return answer

    @override
    def stringReceived(self, string: bytes) -> None:
        message = orjson.loads(string)
        kind, number = message["kind"], message.get("number")
        if kind == "ask":
            answer = self._on_question(message["question"])
            answer.addCallback(lambda given: self.tell("answer", number=number, answer=given))
            answer.addErrback(lambda failure: self._log.failure("an answer", failure))
        elif kind != "answer":
            self._on_message(message)
        elif waiting := self._waiting.pop(number, None):
            waiting.callback(message["answer"])

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = True
        for waiting in list(self._waiting.values()):
            waiting.errback(reason)
        self._on_loss()

    def _settled(self, result: Any, number: int) -> Any:
        self._waiting.pop(number, None)
        return result
