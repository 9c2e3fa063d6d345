"""
Which feeds the site has switched off, as fresh as half a minute.
"""

from __future__ import annotations

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from typing_extensions import override

from flodgatt_tx.edge.mastodon import Mastodon
from flodgatt_tx.errors import RefusalError
from flodgatt_tx.feeds import ALL_OPEN, Closed

REFRESH = 30  # seconds


class FeedAccess(Service):
    """Mastodon tells nobody when these settings change, so they are read again and again."""

    def __init__(self, mastodon: Mastodon, clock: IReactorTime) -> None:
        self._mastodon = mastodon
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

    async def load(self) -> None:
        """
        Read the settings now, and again and again from now on.

        :raises UnavailableError: if the database does not answer.
        """
        self._wanted = True
        self.closed = await self._mastodon.closed_feeds()

    def _refresh(self) -> None:
        """Read them again, once somebody has asked; what cannot be read stays as it was."""
        if self._wanted:
            loading = Deferred.fromCoroutine(self.load())
            loading.addErrback(lambda failure: failure.trap(RefusalError))
