"""
How parent and worker talk.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, TimeoutError, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.workers.channel import PATIENCE, Channel


class End:
    """One end of a channel, on a wire that the test carries from."""

    def __init__(self, clock: Clock) -> None:
        self.messages: list[dict[str, Any]] = []
        self.lost = 0
        self.answer: Deferred[Any] = succeed({"a": 1})
        self.channel = Channel(clock, self.messages.append, lambda question: self.answer, self.lose)
        self.wire = StringTransport()
        self.channel.makeConnection(self.wire)

    def lose(self) -> None:
        """Notice that the other end is gone."""
        self.lost += 1


class ChannelTests(SynchronousTestCase):
    """Messages, questions and answers."""

    def setUp(self) -> None:
        """Connect two ends."""
        self.clock = Clock()
        self.here, self.there = End(self.clock), End(self.clock)
        self.addCleanup(lambda: self.assertEqual([], self.clock.getDelayedCalls()))

    def carry(self) -> None:
        """Carry what either has said, byte by byte, until there is nothing more."""
        ends = ((self.here, self.there), (self.there, self.here))
        while any(each.wire.value() for each, _ in ends):
            for speaker, listener in ends:
                said = speaker.wire.value()
                speaker.wire.clear()
                for at in range(len(said)):
                    listener.channel.dataReceived(said[at : at + 1])

    def test_messages(self) -> None:
        """They come as they were sent."""
        self.here.channel.tell("drain", why="tired")
        self.carry()
        self.assertEqual([{"kind": "drain", "why": "tired"}], self.there.messages)

    def test_questions(self) -> None:
        """Each gets its own answer, also if a later one comes first."""
        late: Deferred[Any] = Deferred()
        self.there.answer = late
        first = self.here.channel.ask("x")
        self.carry()
        self.there.answer = succeed("quick")
        second = self.here.channel.ask("y")
        self.carry()
        self.assertEqual("quick", self.successResultOf(second))
        late.callback("slow")
        self.carry()
        self.assertEqual("slow", self.successResultOf(first))

    def test_no_answer(self) -> None:
        """Nobody waits for ever, and an answer that comes too late is nobody's."""
        late: Deferred[Any] = Deferred()
        self.there.answer = late
        asked = self.here.channel.ask("x")
        self.carry()
        self.clock.advance(PATIENCE)
        self.failureResultOf(asked, TimeoutError)
        late.callback(1)
        self.carry()
        self.assertEqual([], self.here.messages)

    def test_trouble(self) -> None:
        """Who cannot answer says so in the log."""
        self.there.answer = fail(ValueError("oh"))
        asked = self.here.channel.ask("x")
        self.carry()
        self.assertEqual(1, len(self.flushLoggedErrors(ValueError)))
        self.clock.advance(PATIENCE)
        self.failureResultOf(asked, TimeoutError)

    def test_loss(self) -> None:
        """With the other end questions are lost, and nothing can be said any more."""
        asked = self.here.channel.ask("x")
        self.here.wire.clear()
        self.here.channel.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(asked, ConnectionDone)
        self.assertEqual(1, self.here.lost)
        self.failureResultOf(self.here.channel.ask("y"), ConnectionDone)
        self.here.channel.tell("drain")
        self.assertEqual(b"", self.here.wire.value())
