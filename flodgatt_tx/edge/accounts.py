"""
What is kept in memory of the accounts that listen to filtered streams.

Blocks and mutes are asked for with every status, so they are never old. Which domains an account
blocks cannot be asked that way, for Mastodon has no index by domain: it is loaded when the
account subscribes, and again every 30 seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from typing_extensions import override

from flodgatt_tx.edge.batching import Batch
from flodgatt_tx.edge.mastodon import Mastodon
from flodgatt_tx.errors import RefusalError
from flodgatt_tx.wheel import Wheel

REFRESH = 30  # seconds
_NONE: frozenset[str] = frozenset()


class Account:
    """One account's preferences, shared by its connections."""

    __slots__ = ("blocked_domains", "holders", "id")

    def __init__(self, id_: int) -> None:
        self.id = id_
        self.holders = 0
        self.blocked_domains = _NONE


class Accounts(Service):
    """The accounts that somebody here listens for, kept fresh."""

    _log = Logger()

    def __init__(self, mastodon: Mastodon, clock: IReactorTime) -> None:
        self._mastodon = mastodon
        self._held: dict[int, Account] = {}
        self._loading = Batch(self._load)
        self._wheel: Wheel[int] = Wheel(REFRESH)
        self._refreshing = LoopingCall(self._refresh)
        self._refreshing.clock = clock

    def __len__(self) -> int:
        return len(self._held)

    @override
    def startService(self) -> None:
        Service.startService(self)
        self._refreshing.start(1, now=False)

    @override
    def stopService(self) -> None:
        Service.stopService(self)
        if self._refreshing.running:
            self._refreshing.stop()

    async def hold(self, id_: int) -> Account:
        """
        Load an account, and keep it fresh until it is released as often as it was held.

        :raises UnavailableError: if the database does not answer; it is not held then.
        """
        account = self._held.setdefault(id_, Account(id_))
        account.holders += 1
        try:
            # Each new subscription sees what is true now, also where others hold the account.
            await self._loading.ask(id_)
        except BaseException:
            self.release(account)
            raise
        self._wheel.add(id_)
        return account

    def release(self, account: Account) -> None:
        """Let go of an account."""
        account.holders -= 1
        if not account.holders:
            self._wheel.discard(account.id)
            self._held.pop(account.id, None)

    async def _load(self, ids: Sequence[int]) -> Mapping[int, None]:
        domains = await self._mastodon.domain_blocks(ids)
        for id_ in ids:
            if id_ in self._held:
                self._held[id_].blocked_domains = domains.get(id_, _NONE)
        return {}

    def _refresh(self) -> None:
        """Load one slice again; what cannot be loaded stays as it was."""
        for id_ in self._wheel.turn():
            # Whoever asks the database logs that it does not answer.
            self._loading.ask(id_).addErrback(lambda failure: failure.trap(RefusalError))
