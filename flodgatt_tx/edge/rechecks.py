"""
Whether those who listen still may.

Mastodon announces that a token is revoked or an account suspended, but an announcement can be
lost: it may come between the login and the subscription to it, or while Redis is away; and some
ends, such as the nightly removal of old tokens, are not announced at all. So tokens are asked
again: just after their channels are subscribed, after every gap, and every five minutes.
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
from flodgatt_tx.edge.readers import Reader
from flodgatt_tx.errors import RefusalError
from flodgatt_tx.viewer import Viewer
from flodgatt_tx.wheel import Wheel

PERIOD = 300  # seconds


class Rechecks(Service):
    """Asks again about the tokens of its readers, many together."""

    _log = Logger()

    def __init__(self, mastodon: Mastodon, clock: IReactorTime) -> None:
        self._mastodon = mastodon
        self._lookups: Batch[int, Viewer] = Batch(self._look_up)
        self._wheel: Wheel[Reader] = Wheel(PERIOD)
        self._turning = LoopingCall(self._turn)
        self._turning.clock = clock

    def __len__(self) -> int:
        return len(self._wheel)

    @override
    def startService(self) -> None:
        Service.startService(self)
        self._turning.start(1, now=False)

    @override
    def stopService(self) -> None:
        Service.stopService(self)
        if self._turning.running:
            self._turning.stop()

    def add(self, reader: Reader) -> None:
        """Ask about a reader from now on, every five minutes."""
        self._wheel.add(reader)

    def discard(self, reader: Reader) -> None:
        """Ask about a reader no more."""
        self._wheel.discard(reader)

    def recheck(self, reader: Reader) -> None:
        """Ask about a reader now; who cannot be asked about stays as they are."""
        asked = self._lookups.ask(reader.viewer.token_id)
        asked.addCallback(self._settle, reader)
        asked.addErrback(lambda failure: failure.trap(RefusalError))
        asked.addErrback(lambda failure: self._log.failure("rechecking", failure))

    def recheck_all(self) -> None:
        """Ask about everybody."""
        for reader in self._wheel:
            self.recheck(reader)

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
            reader.ready = False
            reader.connection.kill()
        else:
            reader.viewer = viewer

    def _turn(self) -> None:
        for reader in self._wheel.turn():
            self.recheck(reader)
