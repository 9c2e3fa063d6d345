"""
Which feeds the site has switched off, as fresh as half a minute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from typing_extensions import override

from flodgatt_tx.edge.batching import Batch
from flodgatt_tx.edge.mastodon import Mastodon
from flodgatt_tx.errors import RefusalError
from flodgatt_tx.feeds import ALL_OPEN, Closed

REFRESH = 30  # seconds


class FeedAccess(Service):
    """Mastodon tells nobody when these settings change, so they are read again and again."""

    def __init__(self, mastodon: Mastodon, clock: IReactorTime) -> None:
        self._mastodon = mastodon
        self._lookups = Batch(self._load)
        self._wanted = False
        self._refreshing = LoopingCall(self._refresh)
        self._refreshing.clock = clock
        self.closed: Closed = ALL_OPEN

    @override
    def startService(self) -> None:
        Service.startService(self)
        self._refreshing.start(REFRESH, now=False)

    @override
    def stopService(self) -> None:
        Service.stopService(self)
        if self._refreshing.running:
            self._refreshing.stop()

    def load(self) -> Deferred[None]:
        """Read the settings now; fails with UnavailableError if the database does not answer."""
        self._wanted = True
        return self._lookups.ask(None)

    async def _load(self, _: Sequence[None]) -> Mapping[None, None]:
        self.closed = await self._mastodon.closed_feeds()
        return {}

    def _refresh(self) -> None:
        """Read them again, once somebody has asked; what cannot be read stays as it was."""
        if self._wanted:
            self.load().addErrback(lambda failure: failure.trap(RefusalError))
