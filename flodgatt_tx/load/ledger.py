"""
What readers notice, added up.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from flodgatt_tx.load.latencies import Latencies


class Account:
    """
    One reader's part of the ledger.

    It is owed the messages from number *first*, up to *last* if it has gone since, and has *heard*
    so many of them; *newest* is the number of the last one.
    """

    __slots__ = ("first", "heard", "last", "newest")

    def __init__(self, first: int) -> None:
        self.first = first
        self.last: int | None = None
        self.heard = 0
        self.newest = first - 1


class Ledger:
    """
    Counts connects, deliveries and ends, and finds what was lost.

    Messages are numbered from 0 as they are *published*. Times are in seconds since the start.
    """

    def __init__(self) -> None:
        self.published = 0
        self.deliveries = 0
        self.bytes = 0
        self.repeated = 0
        self.connects = Latencies()
        self.latencies = Latencies()
        self.refused: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.seconds: defaultdict[int, Latencies] = defaultdict(Latencies)
        self.delivered_in: Counter[int] = Counter()
        self._accounts: list[Account] = []

    @property
    def connected(self) -> int:
        """How many readers listen now."""
        return len(self._accounts) - self.ended.total()

    def open(self, seconds: float) -> Account:
        """Begin the account of a reader, for whom connecting took so long."""
        self.connects.add(seconds)
        account = Account(self.published)
        self._accounts.append(account)
        return account

    def refuse(self, cause: str) -> None:
        """Count one who could not connect."""
        self.refused[cause] += 1

    def hear(self, now: float, size: int) -> None:
        """Count an event, whatever it is, in so many bytes."""
        self.deliveries += 1
        self.bytes += size
        self.delivered_in[int(now)] += 1

    def hear_ours(self, account: Account, number: int, now: float, latency: float) -> None:
        """Count a message of ours that a reader has heard."""
        if number <= account.newest:
            self.repeated += 1
            return
        account.newest = number
        account.heard += 1
        self.latencies.add(latency)
        self.seconds[int(now)].add(latency)

    def end(self, account: Account, cause: str) -> None:
        """Count the end of a connection that should not have ended."""
        account.last = self.published
        self.ended[cause] += 1

    @property
    def owed(self) -> int:
        """How many deliveries of our messages there should have been, to those who were there."""
        return sum(
            (self.published if each.last is None else each.last) - each.first
            for each in self._accounts
        )

    @property
    def lost(self) -> int:
        """How many of them there were not."""
        return self.owed - sum(each.heard for each in self._accounts)
