"""
The fakes keep the contracts that real servers are held to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import TestCase
from typing_extensions import override

from flodgatt_tx.edge.mastodon import Mastodon
from flodgatt_tx.edge.redis import Command
from flodgatt_tx.errors import UNAVAILABLE, UnavailableError
from tests.contracts import MastodonContract, RedisContract, Site
from tests.fakes import MemoryMastodon, MemoryRedis


class MemoryMastodonTests(MastodonContract, TestCase):
    """The Mastodon of the fakes."""

    @override
    async def given(self, site: Site) -> Mastodon:
        self.mastodon = MemoryMastodon()
        self.mastodon.tokens.update(site.tokens)
        self.mastodon.lists.update(site.lists)
        self.mastodon.blocks.update(site.blocks)
        self.mastodon.mutes.update(site.mutes)
        self.mastodon.blocked_domains.update(site.blocked_domains)
        self.mastodon.is_namespaced = site.namespaced
        return self.mastodon

    @override
    async def break_down(self) -> None:
        self.mastodon.failing = UnavailableError(UNAVAILABLE)


class MemoryRedisTests(RedisContract, TestCase):
    """The Redis of the fakes, which only moves when its clock does."""

    timeout = 2

    def setUp(self) -> None:
        """Start the clock."""
        self.reactor: Any = MemoryReactorClock()
        self.redis = MemoryRedis(self.reactor, password="secret")

    @override
    async def reach(self) -> tuple[IStreamClientEndpoint, Sequence[Command]]:
        return self.redis, [("AUTH", "secret")]

    @override
    async def publish(self, channel: str, message: bytes) -> None:
        self.redis.publish(channel, message)

    @override
    async def channels(self) -> set[str]:
        return self.redis.channels()

    @override
    async def time_to_live(self, key: str) -> int | None:
        return self.redis.keys.get(key)

    @override
    async def cut(self) -> None:
        self.redis.keys.clear()
        self.redis.cut()

    @override
    async def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(20):
            if condition():
                return
            self.reactor.advance(0.1)
        self.fail("it did not come to that")
