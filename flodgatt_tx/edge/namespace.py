"""
Whether REDIS_NAMESPACE counts: Mastodon honoured it up to 4.3 and has ignored it since.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from twisted.application.service import MultiService
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override

from flodgatt_tx.edge.mastodon import Mastodon
from flodgatt_tx.errors import RefusalError

RETRY = 2.0  # seconds


class Prefixed(Protocol):
    """Whatever puts a prefix before the names that Redis sees."""

    prefix: str


class NamespacedServices(MultiService):
    """
    Services that talk to Redis, and so have to wait until the *namespace* is known to count.

    Without a namespace they start at once.
    """

    _log = Logger()

    def __init__(
        self, clock: Any, mastodon: Mastodon, namespace: str | None, named: Iterable[Prefixed]
    ) -> None:
        MultiService.__init__(self)
        self._clock = clock
        self._mastodon = mastodon
        self._namespace = namespace
        self._named = list(named)
        self._finding: Deferred[None] | None = None

    @override
    def privilegedStartService(self) -> None:
        """Nothing here needs privileges, and the children start when it is time."""

    @override
    def startService(self) -> None:
        if self._namespace is None:
            MultiService.startService(self)
            return
        self._finding = Deferred.fromCoroutine(self._find_out(self._namespace))
        self._finding.addErrback(self._give_up)

    @override
    def stopService(self) -> Any:
        if self._finding is not None:
            self._finding.cancel()
        return MultiService.stopService(self)

    async def _find_out(self, namespace: str) -> None:
        while True:
            try:
                counts = await self._mastodon.namespaced()
                break
            except RefusalError:
                await deferLater(self._clock, RETRY)
        if counts:
            for each in self._named:
                each.prefix = f"{namespace}:"
        else:
            self._log.warn("REDIS_NAMESPACE is ignored: Mastodon 4.4 and later know none")
        MultiService.startService(self)

    def _give_up(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("whether REDIS_NAMESPACE counts could not be found out", failure)
