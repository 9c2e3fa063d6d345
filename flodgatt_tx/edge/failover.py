"""
Listening to Sentinel for news of another master.

A master that hangs, or one that was replaced by hand, keeps its connections for a while: Sentinel
ends those of the latter after ten seconds or more. Meanwhile all others have moved.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.application.internet import ClientService, backoffPolicy
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger
from typing_extensions import override

from flodgatt_tx.edge.asking import is_open
from flodgatt_tx.edge.redis import WatchedProtocol, keep_connected, pack
from flodgatt_tx.edge.sentinel import Place, SentinelEndpoint, place_of, sentinel_greeting
from flodgatt_tx.redis_settings import RedisSettings

NEWS = "+switch-master"


class NewsProtocol(WatchedProtocol):
    """A connection to a Sentinel over which it tells, by *moved*, where the master is now."""

    _log = Logger()
    peer = "a Sentinel"

    def __init__(
        self, clock: IReactorTime, settings: RedisSettings, moved: Callable[[Place], None]
    ) -> None:
        super().__init__(clock)
        self._greeting = sentinel_greeting(settings)
        self._name = settings.sentinel_master
        self._moved = moved
        self._told = False

    @override
    def connectionMade(self) -> None:
        super().connectionMade()
        self.transport.write(pack([*self._greeting, ("SUBSCRIBE", NEWS)]))

    @override
    def replyReceived(self, reply: Any) -> None:
        match reply:
            case [b"message", _, bytes(text)]:
                self._hear(text.split())
            case Exception() if not (self._told or is_open(reply)):
                # Nothing is ended, for it would be the same the next time.
                self._told = True
                self._log.warn(
                    "a Sentinel tells no news ({reason}); failovers are noticed later",
                    reason=str(reply).partition(", with args")[0],
                )

    def _hear(self, words: list[bytes]) -> None:
        match words:
            case [name, _, _, host, port] if name.decode("utf-8", "replace") == self._name:
                if place := place_of(host, port):
                    self._moved(place)


def keep_informed(
    reactor: Any, endpoint: IStreamClientEndpoint, settings: RedisSettings
) -> list[ClientService]:
    """Make the services that listen to each Sentinel, if that is where *endpoint* leads."""
    if not isinstance(endpoint, SentinelEndpoint):
        return []
    build = partial(NewsProtocol, reactor, settings, endpoint.moved)
    # One that is down may be so for days, and the others tell the same.
    delay = backoffPolicy(initialDelay=1.0, maxDelay=30.0)
    return [keep_connected(reactor, sentinel, build, delay) for sentinel in endpoint.sentinels()]
