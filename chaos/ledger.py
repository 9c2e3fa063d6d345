"""
What was published and who heard it: losses, duplicates and order, from outside.

Every event has a number, counted by channel. Times are those of one monotonic clock, in seconds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from flodgatt_tx.streams import is_filtered


@dataclass(slots=True, eq=False)
class Event:
    """One event; *answered* is None unless Redis has said that it published it."""

    channel: str
    number: int
    phase: str
    sent: float
    answered: float | None = None


@dataclass(slots=True, eq=False)
class Window:
    """A time in which events may be lost; with *filtered*, only where statuses are judged."""

    start: float
    filtered: bool = False
    end: float = math.inf

    def excuses(self, event: Event) -> bool:
        """Tell whether the loss of *event* is allowed."""
        if self.filtered and not is_filtered(event.channel):
            return False
        return event.answered is not None and self.start <= event.answered and event.sent < self.end


@dataclass(slots=True)
class Tally:
    """What became of the events of one phase; *published* counts events, the others deliveries."""

    published: int = 0
    unanswered: int = 0
    delivered: int = 0
    lost_in_window: int = 0
    lost_otherwise: int = 0
    duplicates: int = 0
    disorders: int = 0


class Reading:
    """What one reader has heard on one channel, from event number *first* on."""

    __slots__ = ("first", "heard", "last", "left")

    def __init__(self, first: int) -> None:
        self.first = first
        self.left: float | None = None
        self.last = -1
        self.heard = bytearray()

    def note(self, number: int) -> str:
        """Take note of an event; say what it is: `delivered`, `duplicates` or `disorders`."""
        if number >= len(self.heard):
            self.heard.extend(bytes(number + 1 - len(self.heard)))
        if self.heard[number]:
            return "duplicates"
        self.heard[number] = 1
        late = number < self.last
        self.last = max(self.last, number)
        return "disorders" if late else "delivered"

    def missed(self, events: list[Event]) -> Iterable[Event]:
        """Name those of *events* that should have been heard and were not."""
        for event in events[self.first :]:
            if self.left is not None and event.sent >= self.left:
                return
            if event.number >= len(self.heard) or not self.heard[event.number]:
                yield event


@dataclass(slots=True)
class Ledger:
    """The books of one run; *phase* is what goes on now."""

    phase: str = "calm"
    windows: list[Window] = field(default_factory=list)
    _events: dict[str, list[Event]] = field(default_factory=dict)
    _readings: dict[tuple[int, str], Reading] = field(default_factory=dict)
    _heard: Counter[tuple[str, str]] = field(default_factory=Counter)
    _asked: float = math.inf
    _first: float | None = None

    def publish(self, channel: str, now: float) -> Event:
        """Enter an event that is about to be published."""
        events = self._events.setdefault(channel, [])
        events.append(Event(channel, len(events), self.phase, now))
        return events[-1]

    def join(self, reader: int, channels: Iterable[str]) -> None:
        """Hold whoever serves *reader* to all that comes on *channels* from now on."""
        for channel in channels:
            self._readings[reader, channel] = Reading(len(self._events.get(channel, ())))

    def leave(self, reader: int, now: float) -> None:
        """Expect nothing more for *reader*, who has lost the connection."""
        for (number, _), reading in self._readings.items():
            if number == reader:
                reading.left = now

    def hear(self, reader: int, channel: str, number: int, now: float) -> None:
        """Enter a delivery."""
        event = self._events[channel][number]
        what = self._readings[reader, channel].note(number)
        self._heard[event.phase, what] += 1
        if event.sent >= self._asked and self._first is None:
            self._first = now

    def silent(self) -> list[tuple[int, str]]:
        """Name the readers who have heard nothing yet, and on which channels."""
        return [place for place, reading in self._readings.items() if reading.last < 0]

    def ask_for_first(self, moment: float) -> None:
        """Watch for the first delivery of something that was sent after *moment*."""
        self._asked, self._first = moment, None

    @property
    def first(self) -> float | None:
        """When that was; None if it has not been yet."""
        return self._first

    def tallies(self) -> dict[str, Tally]:
        """Balance the books, by phase."""
        tallies: dict[str, Tally] = {}
        for events in self._events.values():
            for event in events:
                tally = tallies.setdefault(event.phase, Tally())
                if event.answered is None:
                    tally.unanswered += 1
                else:
                    tally.published += 1
        for (phase, what), count in self._heard.items():
            setattr(tallies[phase], what, count)
        for (_, channel), reading in self._readings.items():
            for event in reading.missed(self._events.get(channel, [])):
                self._miss(tallies[event.phase], event)
        return tallies

    def _miss(self, tally: Tally, event: Event) -> None:
        if event.answered is None:
            return  # Redis has not said that it published it
        if any(window.excuses(event) for window in self.windows):
            tally.lost_in_window += 1
        else:
            tally.lost_otherwise += 1
