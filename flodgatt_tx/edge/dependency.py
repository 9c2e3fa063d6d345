"""
What is known of a server that this one cannot do without.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger

ANSWERS = "answers"
COMMANDS = "commands"
SUBSCRIPTIONS = "subscriptions"


class Dependency:
    """
    Redis or PostgreSQL: *up* while none of its *parts* is missing, which at first all are.

    *since* when it has been so is in seconds, as *clock* has them, and so is when it was last
    *heard*. The log is told of every change, once; *losses* counts those for the worse.
    """

    _log = Logger()

    def __init__(self, name: str, clock: Any, *parts: str) -> None:
        self.name = name
        self.since: float = clock.seconds()
        self.heard: float | None = None
        self.losses = 0
        self._clock = clock
        self._missing = list(parts)
        self._told = False

    @property
    def up(self) -> bool:
        """Whether it can be used."""
        return not self._missing

    @property
    def missing(self) -> tuple[str, ...]:
        """What is missing of it."""
        return tuple(self._missing)

    def gain(self, part: str) -> None:
        """Take note of a sign that a part of it is there."""
        self.heard = self._clock.seconds()
        if part not in self._missing:
            return
        self._missing.remove(part)
        if self.up:
            self._changed()

    def doubt(self) -> None:
        """Take note of a reason to ask it whether it is there."""
        self.heard = None

    def lose(self, part: str, reason: str) -> None:
        """Take note that a part of it is not there; *reason* is for the log."""
        if self.up:
            self.losses += 1
            self._changed()
        if part not in self._missing:
            self._missing.append(part)
        self.complain(reason)

    def complain(self, reason: str) -> None:
        """Tell the log that it is not there, unless that is known."""
        if not (self.up or self._told):
            self._told = True
            self._log.error("{name} does not answer: {reason}", name=self.name, reason=reason)

    def _changed(self) -> None:
        now = self._clock.seconds()
        if self._told:
            away = now - self.since
            self._log.info("{name} answers again, after {away:.1f} s", name=self.name, away=away)
        self._told = False
        self.since = now
