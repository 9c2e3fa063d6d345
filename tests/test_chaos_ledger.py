"""
The books of a chaos run: what counts as lost, and whether that was allowed.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chaos.ledger import Event, Ledger, Tally, Window

HOME, PUBLIC = "timeline:1", "timeline:public"


class LedgerTests(SynchronousTestCase):
    """One reader, number 7, of a home and of the public timeline."""

    def setUp(self) -> None:
        """Let the reader come when one event has been published already."""
        self.ledger = Ledger()
        self.publish(0.0)
        self.ledger.join(7, (HOME, PUBLIC))

    def publish(self, now: float, channel: str = HOME, answered: bool = True) -> Event:
        """Publish an event; Redis takes a tenth of a second to say so."""
        event = self.ledger.publish(channel, now)
        if answered:
            event.answered = now + 0.1
        return event

    def hear(self, *events: Event, now: float = 9.0) -> None:
        """Let the reader hear events."""
        for event in events:
            self.ledger.hear(7, event.channel, event.number, now)

    @property
    def tally(self) -> Tally:
        """What has become of everything."""
        (tally,) = self.ledger.tallies().values()
        return tally

    def test_delivered(self) -> None:
        """What comes before a reader is not expected, all that comes after is."""
        self.hear(self.publish(1.0), self.publish(2.0))
        self.assertEqual(Tally(published=3, delivered=2), self.tally)

    def test_lost(self) -> None:
        """What is not heard is lost, between others and at the end."""
        self.publish(1.0)
        self.hear(self.publish(2.0))
        self.publish(3.0)
        self.assertEqual(Tally(published=4, delivered=1, lost_otherwise=2), self.tally)

    def test_window(self) -> None:
        """A loss is allowed from the moment of the fault until all is as before."""
        self.ledger.windows.append(Window(1.0, end=2.0))
        for moment in (0.8, 0.95, 1.5, 1.99, 2.0):
            self.publish(moment)
        self.assertEqual((3, 2), (self.tally.lost_in_window, self.tally.lost_otherwise))

    def test_open_window(self) -> None:
        """An outage lasts until it is known to have ended."""
        self.ledger.windows.append(Window(1.0))
        self.publish(1000.0)
        self.assertEqual((1, 0), (self.tally.lost_in_window, self.tally.lost_otherwise))

    def test_filtered_window(self) -> None:
        """Without PostgreSQL only what is judged may be lost."""
        self.ledger.windows.append(Window(1.0, filtered=True))
        self.publish(2.0)
        self.publish(2.0, PUBLIC)
        self.assertEqual((1, 1), (self.tally.lost_in_window, self.tally.lost_otherwise))

    def test_unanswered(self) -> None:
        """What Redis has not confirmed may have been published, or not; it may be heard."""
        self.hear(self.publish(1.0, answered=False))
        self.publish(2.0, answered=False)
        self.assertEqual(Tally(published=1, unanswered=2, delivered=1), self.tally)

    def test_twice(self) -> None:
        """What is heard again is no delivery."""
        event = self.publish(1.0)
        self.hear(event, event)
        self.assertEqual(Tally(published=2, delivered=1, duplicates=1), self.tally)

    def test_order(self) -> None:
        """What is overtaken is told; channels do not overtake each other."""
        first, second, other = self.publish(1.0), self.publish(2.0), self.publish(3.0, PUBLIC)
        self.hear(other, second, first)
        self.assertEqual((2, 1), (self.tally.delivered, self.tally.disorders))

    def test_left(self) -> None:
        """Who has lost the connection misses no more than was published before."""
        self.publish(1.0)
        self.ledger.leave(7, 2.0)
        self.publish(3.0)
        self.assertEqual(1, self.tally.lost_otherwise)

    def test_phases(self) -> None:
        """Events belong to the phase in which they were published."""
        self.ledger.phase = "Redis restarted"
        self.publish(1.0)
        event = self.publish(2.0)
        self.ledger.phase = "calm"
        self.hear(event)
        expected = Tally(published=2, delivered=1, lost_otherwise=1)
        self.assertEqual(expected, self.ledger.tallies()["Redis restarted"])

    def test_silent(self) -> None:
        """Readers who have heard nothing yet are named."""
        self.hear(self.publish(1.0))
        self.assertEqual([(7, PUBLIC)], self.ledger.silent())

    def test_first(self) -> None:
        """The first delivery after a moment is one of what was sent after it."""
        early = self.publish(1.0)
        self.ledger.ask_for_first(2.0)
        self.hear(early, now=3.0)
        self.assertIsNone(self.ledger.first)
        self.hear(self.publish(2.5), now=4.0)
        self.hear(self.publish(2.6), now=5.0)
        self.assertEqual(4.0, self.ledger.first)
