"""
Which readers get a status, and with which of their filters named in it.

PostgreSQL is asked one question for each status, whatever the number of readers, and statuses
that come while it answers go into the next question together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Sized

import orjson
from twisted.internet.defer import gatherResults
from twisted.internet.interfaces import IReactorTime

from flodgatt_tx.edge.accounts import Account
from flodgatt_tx.edge.batching import Batch
from flodgatt_tx.edge.feed_access import FeedAccess
from flodgatt_tx.edge.mastodon import Mastodon
from flodgatt_tx.edge.metrics import BLOCK, DOMAIN_BLOCK, UNKNOWN, Metrics
from flodgatt_tx.edge.readers import Subscription
from flodgatt_tx.envelope import Event
from flodgatt_tx.filtering import LANGUAGE, Relations, Status, misfit
from flodgatt_tx.framing import with_filtered
from flodgatt_tx.plaintext import searchable_text

# One form of an event, and who gets it.
Parcel = tuple[Event, list[Subscription]]

_NO_RESULTS = b"[]"


class Judge:
    """Judges statuses on filtered streams."""

    def __init__(
        self, mastodon: Mastodon, feed_access: FeedAccess, clock: IReactorTime, metrics: Metrics
    ) -> None:
        self._mastodon = mastodon
        self._feed_access = feed_access
        self._clock = clock
        self._withheld = metrics.filtered.counts
        self._questions: Batch[Status, Relations] = Batch(self._ask)

    def suited(self, status: Status, recipients: Sequence[Subscription]) -> list[Subscription]:
        """Those of the *recipients* whom a status suits, as far as can be told without asking."""
        if status.local_only or self._feed_access.closed:
            return self._picked(status, recipients)
        # What that comes to for most statuses; there may be very many recipients.
        suited = [
            each
            for each in recipients
            if (known := each.reader.viewer.languages) is None or status.language in known
        ]
        self._withhold(LANGUAGE, recipients, suited)
        return suited

    def _picked(self, status: Status, recipients: Iterable[Subscription]) -> list[Subscription]:
        picked, closed = [], self._feed_access.closed
        for each in recipients:
            if reason := misfit(status, each.stream, each.reader.viewer, closed):
                self._withheld[(reason,)] += 1
            else:
                picked.append(each)
        return picked

    async def parcels(
        self, event: Event, status: Status, recipients: Sequence[Subscription]
    ) -> list[Parcel]:
        """
        Make the forms of a status event that its *recipients* shall see.

        :raises RefusalError: if the database does not tell what has to be known.
        """
        relations = await self._questions.ask(status)
        # Filters that have been said to change are waited for, also if that was said just now.
        while accounts := _reloading(recipients):
            await gatherResults([each.when_reloaded() for each in accounts])
        hidden_from = relations.hidden_from(status) if relations else frozenset()
        return self._filter(event, status, self._allowed(status, recipients, hidden_from))

    def _allowed(
        self, status: Status, recipients: Sequence[Subscription], hidden_from: frozenset[int]
    ) -> list[Subscription]:
        allowed = [
            each
            for each in recipients
            if each.account
            and each.account.loaded
            and each.account.id not in hidden_from
            and status.domain not in each.account.blocked_domains
        ]
        if len(allowed) < len(recipients):
            # Why somebody misses it is looked at only if somebody does.
            loaded = [each.account for each in recipients if each.account and each.account.loaded]
            near = [each for each in loaded if each.id not in hidden_from]
            self._withhold(UNKNOWN, recipients, loaded)
            self._withhold(BLOCK, loaded, near)
            self._withhold(DOMAIN_BLOCK, near, allowed)
        return allowed

    def _withhold(self, reason: str, before: Sized, after: Sized) -> None:
        """Count those who are left out."""
        self._withheld[(reason,)] += len(before) - len(after)

    def _filter(
        self, event: Event, status: Status, recipients: Iterable[Subscription]
    ) -> list[Parcel]:
        """Sort *recipients* by what their filters say; all that say the same share a form."""
        say = _Filtering(event, status, self._clock.seconds())
        forms: dict[bytes, list[Subscription]] = {}
        for each in recipients:
            if each.account:
                forms.setdefault(say.results(each.account), []).append(each)
        return [
            (with_filtered(event, results) if results else event, them)
            for results, them in forms.items()
        ]

    async def _ask(self, statuses: Sequence[Status]) -> Mapping[Status, Relations]:
        authors = {status.author for status in statuses}
        people = authors.union(*(status.mentions for status in statuses))
        relations = await self._mastodon.relations(people, authors)
        return dict.fromkeys(statuses, relations)


def _reloading(recipients: Iterable[Subscription]) -> set[Account]:
    return {each.account for each in recipients if each.account and each.account.reloads}


class _Filtering:
    """The filters of many accounts on one status, whose text is made if one has filters."""

    def __init__(self, event: Event, status: Status, now: float) -> None:
        self._event = event
        self._status = status
        self._now = now
        self._text: str | None = None
        self._known: dict[Account, bytes] = {}

    def results(self, account: Account) -> bytes:
        """The FilterResults as JSON; nothing at all where none are to be added."""
        known = self._known.get(account)
        if known is None:
            known = self._known[account] = self._find(account)
        return known

    def _find(self, account: Account) -> bytes:
        if self._status.judged or account.unfiltered:
            return b""
        if account.matcher is None:
            return _NO_RESULTS
        if self._text is None:
            value = self._event.value
            self._text = searchable_text(value if isinstance(value, dict) else {})
        return orjson.dumps(account.matcher.results(self._text, self._now))
