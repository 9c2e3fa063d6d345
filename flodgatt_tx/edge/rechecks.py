"""
Whether those who listen still may.

Mastodon announces that a token is revoked or an account suspended, but an announcement can be
lost: it may come between the login and the subscription to it, or while Redis is away; and some
ends, such as the nightly removal of old tokens, are not announced at all. So tokens are asked
again: just after their channels are subscribed, after every gap, and every five minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from typing_extensions import override

from flodgatt_tx.edge.batching import Batch
from flodgatt_tx.edge.mastodon import Mastodon
from flodgatt_tx.edge.metrics import REVOKED, Metrics
from flodgatt_tx.edge.readers import Reader
from flodgatt_tx.edge.rounds import Rounds
from flodgatt_tx.errors import RefusalError
from flodgatt_tx.viewer import Viewer

PERIOD = 300  # seconds


class Rechecks(Rounds[Reader]):
    """
    Asks again about the tokens of its readers, many together.

    *refresh* is told of accounts whose preferences shall be asked for again as well.
    """

    _log = Logger()

    def __init__(
        self,
        mastodon: Mastodon,
        refresh: Callable[[int], object],
        clock: IReactorTime,
        metrics: Metrics,
    ) -> None:
        super().__init__(clock, PERIOD, PERIOD)
        self._mastodon = mastodon
        self._refresh = refresh
        self._dropped = metrics.readers_dropped.counts
        self._lookups: Batch[int, Viewer] = Batch(self._look_up)

    def __len__(self) -> int:
        return len(self.items)

    def add(self, reader: Reader) -> None:
        """Ask about a reader from now on, every five minutes."""
        self.items.add(reader)

    def discard(self, reader: Reader) -> None:
        """Ask about a reader no more."""
        self.items.discard(reader)

    def recheck(self, reader: Reader) -> None:
        """Ask about a reader now; who cannot be asked about stays as they are."""
        if not reader.entered:
            return  # gone before it could be asked about
        asked = self._lookups.ask(reader.viewer.token_id)
        asked.addCallback(self._settle, reader)
        asked.addErrback(lambda failure: failure.trap(RefusalError))
        asked.addErrback(lambda failure: self._log.failure("rechecking", failure))

    async def _look_up(self, token_ids: Sequence[int]) -> Mapping[int, Viewer]:
        return await self._mastodon.viewers_again(token_ids)

    def _settle(self, viewer: Viewer | None, reader: Reader) -> None:
        if not reader.entered:
            return
        before = reader.viewer
        if viewer is None or (viewer.account_id, viewer.scopes) != (
            before.account_id,
            before.scopes,
        ):
            if reader.ready:
                self._dropped[reader.transport, REVOKED] += 1
            reader.ready = False
            reader.connection.kill()
        else:
            reader.viewer = viewer
            self._refresh(viewer.account_id)

    @override
    def visit(self, items: Sequence[Reader]) -> None:
        """Ask about a slice of the readers."""
        for reader in items:
            self.recheck(reader)
