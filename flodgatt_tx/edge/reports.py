"""
What the processes of one server say about themselves.

One process alone asks nobody. Among workers each can be asked for all, so that whichever answers
a client tells of the whole server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, succeed

ALONE = ""


class Reports:
    """
    Questions by name, what this process answers, and a way to those of the others.

    Answers are JSON: they may cross from one process to another.
    """

    def __init__(self) -> None:
        self._answers: dict[str, Callable[[], Any]] = {}
        self.ask_all: Callable[[str], Deferred[Mapping[str, Any]]] | None = None

    def add(self, question: str, answer: Callable[[], Any]) -> None:
        """Let *answer* be called when somebody asks *question*."""
        self._answers[question] = answer

    def own(self, question: str) -> Any:
        """Answer for this process; None to what it does not know."""
        answer = self._answers.get(question)
        return answer() if answer else None

    def collect(self, question: str) -> Deferred[Mapping[str, Any]]:
        """Ask all processes; give their answers by their names, and just one's by `ALONE`."""
        if self.ask_all:
            return self.ask_all(question)
        return succeed({ALONE: self.own(question)})
