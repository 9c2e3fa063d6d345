"""
What is kept in memory of the accounts that listen to filtered streams.

Blocks and mutes are asked for with every status, so they are never old. Keyword filters are kept
until Mastodon says that they have changed. Which domains an account blocks can be neither asked
for with a status, for Mastodon has no index by domain, nor does Mastodon tell of changes: that is
loaded again and again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from typing_extensions import override

from flodgatt_tx.edge.batching import Batch
from flodgatt_tx.edge.feed_access import FeedAccess
from flodgatt_tx.edge.mastodon import Mastodon
from flodgatt_tx.edge.rounds import Rounds
from flodgatt_tx.errors import RefusalError
from flodgatt_tx.keywords import Matcher

_NONE: frozenset[str] = frozenset()


class Account:
    """
    One account's preferences, shared by its connections.

    *matcher* is None if the account has no keyword filters; *unfiltered* tells that this Mastodon
    leaves filtering to its clients. While *loaded* is false, nothing can be filtered for it.
    """

    __slots__ = (
        "blocked_domains",
        "holders",
        "id",
        "loaded",
        "matcher",
        "reloads",
        "unfiltered",
        "waiting",
    )

    def __init__(self, id_: int) -> None:
        self.id = id_
        self.holders = 0
        self.blocked_domains = _NONE
        self.matcher: Matcher | None = None
        self.unfiltered = False
        self.loaded = False
        self.reloads = 0
        self.waiting: list[Deferred[None]] = []

    def when_reloaded(self) -> Deferred[None]:
        """Fire when it is loaded, or cannot be, while somebody is loading it again."""
        reloaded: Deferred[None] = Deferred()
        self.waiting.append(reloaded)
        return reloaded


class Accounts(Rounds[int]):
    """
    The accounts that somebody here listens for, kept fresh.

    The domains that they block are never older than *domain_blocks_age*, in seconds.
    """

    def __init__(
        self,
        mastodon: Mastodon,
        feed_access: FeedAccess,
        clock: IReactorTime,
        domain_blocks_age: int = 30,
    ) -> None:
        super().__init__(clock, domain_blocks_age, domain_blocks_age)
        self._mastodon = mastodon
        self._feed_access = feed_access
        self._held: dict[int, Account] = {}
        self._loads = Batch(self._load)
        self._refreshes = Batch(self._load_domains)

    def __len__(self) -> int:
        return len(self._held)

    async def hold(self, id_: int) -> Account:
        """
        Load an account, and keep it fresh until it is released as often as it was held.

        :raises UnavailableError: if the database does not answer; it is not held then.
        """
        account = self._held.setdefault(id_, Account(id_))
        account.holders += 1
        try:
            # Each new subscription sees what is true now, also where others hold the account.
            await self._loads.ask(id_)
        except BaseException:
            self.release(account)
            raise
        self.items.add(id_)
        return account

    def release(self, account: Account) -> None:
        """Let go of an account."""
        account.holders -= 1
        if not account.holders:
            self.items.discard(account.id)
            self._held.pop(account.id, None)

    def reload(self, id_: int) -> None:
        """
        Load an account again, if somebody holds it: its filters have changed.

        Until that is done it counts as not loaded, so that nothing is filtered by what is old.
        """
        account = self._held.get(id_)
        if account is not None:
            account.loaded = False
            account.reloads += 1
            self._loads.ask(id_).addBoth(self._reloaded, account)

    def _reloaded(self, outcome: object, account: Account) -> None:
        account.reloads -= 1
        if isinstance(outcome, Failure):
            account.loaded = False
        if not account.reloads:
            waiting, account.waiting = account.waiting, []
            for each in waiting:
                each.callback(None)

    def refresh(self, id_: int) -> None:
        """Load an account again, if somebody holds it; if that fails it stays as it was."""
        if id_ in self._held:
            self._loads.ask(id_).addErrback(_logged_elsewhere)

    async def _load(self, ids: Sequence[int]) -> Mapping[int, None]:
        # Not an account's own, but needed by the same streams, and as fresh.
        await self._feed_access.load()
        await self._load_domains(ids)
        filters = await self._mastodon.filters(ids)
        for account in filter(None, map(self._held.get, ids)):
            theirs = (filters or {}).get(account.id)
            account.matcher = Matcher(theirs) if theirs else None
            account.unfiltered = filters is None
            account.loaded = True
        return {}

    async def _load_domains(self, ids: Sequence[int]) -> Mapping[int, None]:
        domains = await self._mastodon.domain_blocks(ids)
        for account in filter(None, map(self._held.get, ids)):
            account.blocked_domains = domains.get(account.id, _NONE)
        return {}

    @override
    def visit(self, items: Sequence[int]) -> None:
        """Read the domains of a slice again; where filters could not be loaded, those too."""
        for id_ in items:
            loads = self._refreshes if self._held[id_].loaded else self._loads
            loads.ask(id_).addErrback(_logged_elsewhere)


def _logged_elsewhere(failure: Failure) -> None:
    # Whoever asks the database logs that it does not answer.
    failure.trap(RefusalError)
