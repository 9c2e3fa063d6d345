"""
What every Mastodon, and every Redis, does for this server.

The mixins here are run over the fakes, so that tests may believe them, and over real servers.
Each is mixed into a `TestCase` that says how to reach the one in question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IStreamClientEndpoint

from flodgatt_tx.edge.mastodon import Mastodon
from flodgatt_tx.edge.presence import LIFETIME, Presence, keep_present
from flodgatt_tx.edge.pubsub import PubSub, keep_subscribed
from flodgatt_tx.edge.redis import Command
from flodgatt_tx.errors import UnavailableError
from flodgatt_tx.viewer import Viewer
from tests.fakes import Heard
from tests.stage import viewer

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase as _Base
else:
    _Base = object


@dataclass(frozen=True)
class Site:
    """
    What a Mastodon knows, as far as a streaming server asks.

    Pairs are (who, whom): the account that owns the list, blocks, or mutes comes first.
    """

    tokens: Mapping[str, Viewer] = field(default_factory=dict)
    lists: frozenset[tuple[int, int]] = frozenset()
    blocks: frozenset[tuple[int, int]] = frozenset()
    mutes: frozenset[tuple[int, int]] = frozenset()
    blocked_domains: Mapping[int, frozenset[str]] = field(default_factory=dict)
    namespaced: bool = False


class MastodonContract(_Base):
    """What holds for every `Mastodon`."""

    async def given(self, site: Site) -> Mastodon:
        """Let there be a Mastodon that knows exactly this."""
        raise NotImplementedError

    async def break_down(self) -> None:
        """Let the database of the Mastodon that was given not answer from now on."""
        raise NotImplementedError

    async def test_viewers(self) -> None:
        """Tokens lead to all that is known of their owners."""
        plain = viewer(1)
        choosy = viewer(
            2,
            "read:statuses write",
            languages=frozenset({"de", "is"}),
            permissions=(1 << 20) | 1,
        )
        mastodon = await self.given(Site(tokens={"plain": plain, "choosy": choosy}))
        self.assertEqual({"plain": plain}, await mastodon.viewers(["plain"]))
        self.assertEqual(
            {"plain": plain, "choosy": choosy}, await mastodon.viewers(["choosy", "plain"])
        )

    async def test_unknown_tokens(self) -> None:
        """A token that is nobody's is left out, and harms no other."""
        mastodon = await self.given(Site(tokens={"good": viewer(1)}))
        self.assertEqual(["good"], list(await mastodon.viewers(["bad", "good", "'; --"])))
        self.assertEqual({}, await mastodon.viewers(["bad"]))

    async def test_tokens_are_exact(self) -> None:
        """A token in other letters, or a part of one, is another token."""
        mastodon = await self.given(Site(tokens={"Token": viewer(1)}))
        self.assertEqual({}, await mastodon.viewers(["token", "TOKEN", "Tok", "Token%", "%s"]))

    async def test_one_account_several_tokens(self) -> None:
        """Each token of an account has its own id and scopes."""
        first, second = viewer(1, token_id=7), viewer(1, "profile", token_id=8)
        mastodon = await self.given(Site(tokens={"first": first, "second": second}))
        self.assertEqual(
            {"first": first, "second": second}, await mastodon.viewers(["first", "second"])
        )

    async def test_again(self) -> None:
        """Viewers are found by the ids of their tokens, too."""
        ann, ben = viewer(1), viewer(2, "read:statuses", languages=frozenset({"de"}))
        mastodon = await self.given(Site(tokens={"ann": ann, "ben": ben}))
        self.assertEqual(
            {ann.token_id: ann, ben.token_id: ben},
            await mastodon.viewers_again([ben.token_id, 999, ann.token_id]),
        )
        self.assertEqual({}, await mastodon.viewers_again([999]))

    async def test_lists(self) -> None:
        """A list is its owner's, and nobody else's; what is no list is nobody's."""
        tokens = {"ann": viewer(1), "ben": viewer(2)}
        mastodon = await self.given(Site(tokens=tokens, lists=frozenset({(1, 501), (2, 502)})))
        owners = await mastodon.list_owners([501, 502, 503, 2**63 - 1])
        self.assertEqual({501: 1, 502: 2}, dict(owners))
        self.assertEqual({502: 2}, dict(await mastodon.list_owners([502])))

    async def test_blocks(self) -> None:
        """Blocks count in both directions for an author."""
        mastodon = await self.given(Site(blocks=frozenset({(1, 50), (50, 2), (3, 60)})))
        relations = await mastodon.relations([50], [50])
        self.assertEqual({50: frozenset({1})}, dict(relations.averse))
        self.assertEqual({50: frozenset({2})}, dict(relations.shunned))

    async def test_mentioned(self) -> None:
        """Of people who are only mentioned it counts who blocks them, not whom they block."""
        mastodon = await self.given(Site(blocks=frozenset({(1, 51), (51, 2)})))
        relations = await mastodon.relations([50, 51], [50])
        self.assertEqual({51: frozenset({1})}, dict(relations.averse))
        self.assertEqual({}, dict(relations.shunned))

    async def test_mutes(self) -> None:
        """Who mutes is spared; who is muted by an author is not."""
        mastodon = await self.given(Site(mutes=frozenset({(1, 50), (2, 51), (50, 3)})))
        relations = await mastodon.relations([50, 51], [50])
        self.assertEqual({50: frozenset({1}), 51: frozenset({2})}, dict(relations.averse))
        self.assertEqual({}, dict(relations.shunned))

    async def test_unrelated(self) -> None:
        """Where nobody blocks or mutes anybody there are no relations."""
        mastodon = await self.given(Site(blocks=frozenset({(1, 2)})))
        relations = await mastodon.relations([50, 51], [50])
        self.assertEqual(({}, {}), (dict(relations.averse), dict(relations.shunned)))

    async def test_domain_blocks(self) -> None:
        """Blocked domains come normalised; who blocks none is left out."""
        domains = {
            1: frozenset({"bad.example", "Worse.EXAMPLE"}),
            2: frozenset({"bücher.example"}),
            3: frozenset({"bad.example"}),
        }
        mastodon = await self.given(Site(blocked_domains=domains))
        self.assertEqual(
            {
                1: frozenset({"bad.example", "worse.example"}),
                2: frozenset({"xn--bcher-kva.example"}),
            },
            dict(await mastodon.domain_blocks([1, 2, 4])),
        )

    async def test_namespaced(self) -> None:
        """A Mastodon that honours REDIS_NAMESPACE says so."""
        mastodon = await self.given(Site(namespaced=True))
        self.assertIs(True, await mastodon.namespaced())

    async def test_not_namespaced(self) -> None:
        """Mastodon 4.4 and later do not honour REDIS_NAMESPACE."""
        mastodon = await self.given(Site(namespaced=False))
        self.assertIs(False, await mastodon.namespaced())

    async def test_unavailable(self) -> None:
        """Every question says when the database does not answer."""
        mastodon = await self.given(Site(tokens={"ann": viewer(1)}))
        await mastodon.viewers(["ann"])
        await self.break_down()
        for question in (
            lambda: mastodon.viewers(["ann"]),
            lambda: mastodon.viewers_again([1001]),
            lambda: mastodon.list_owners([501]),
            lambda: mastodon.relations([50], [50]),
            lambda: mastodon.domain_blocks([1]),
            lambda: mastodon.filters([1]),
            lambda: mastodon.closed_feeds(),
        ):
            with self.assertRaises(UnavailableError):
                await question()


class RedisContract(_Base):
    """
    What holds for every Redis, seen through `PubSub` and `Presence`.

    *reactor* is what the clients run on.
    """

    reactor: Any

    async def reach(self) -> tuple[IStreamClientEndpoint, Sequence[Command]]:
        """Say where a Redis is that nobody uses, and how to greet it."""
        raise NotImplementedError

    async def publish(self, channel: str, message: bytes) -> None:
        """Publish as somebody else."""
        raise NotImplementedError

    async def channels(self) -> set[str]:
        """The channels that anybody is subscribed to (PUBSUB CHANNELS)."""
        raise NotImplementedError

    async def time_to_live(self, key: str) -> int | None:
        """The seconds that a key will live, None if there is no such key."""
        raise NotImplementedError

    async def cut(self) -> None:
        """End all connections to the Redis, and forget all its keys."""
        raise NotImplementedError

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let time pass until *condition* holds; fail if it does not come to that."""
        raise NotImplementedError

    async def test_published(self) -> None:
        """What is published on an open channel arrives, byte by byte and in order."""
        pubsub, heard = await self._pubsub()
        await self._open(pubsub, "timeline:1", "timeline:2")
        messages = [b"{}", b"", b"42", b"\x00\r\n$3\xff", "✓".encode(), b"x" * 100_000]
        for message in messages:
            await self.publish("timeline:1", message)
        await self.publish("timeline:2", b"other")
        await self.until(lambda: len(heard) == len(messages) + 1)
        self.assertEqual(messages, [said for channel, said in heard if channel == "timeline:1"])
        self.assertIn(("timeline:2", b"other"), heard)

    async def test_confirmed(self) -> None:
        """A channel that counts as open misses nothing."""
        pubsub, heard = await self._pubsub()
        names = [f"timeline:{number}" for number in range(50)]
        for name in names:
            await self._open(pubsub, name)
            await self.publish(name, b"at once")
        await self.until(lambda: len(heard) == len(names))
        self.assertEqual([(name, b"at once") for name in names], heard)

    async def test_letters(self) -> None:
        """A channel may be named in any script."""
        pubsub, heard = await self._pubsub()
        await self._open(pubsub, "timeline:hashtag:हिन्दी")
        await self.publish("timeline:hashtag:हिन्दी", b"1")
        await self.until(lambda: bool(heard))
        self.assertEqual([("timeline:hashtag:हिन्दी", b"1")], heard)

    async def test_prefix(self) -> None:
        """A prefix is before the names that Redis sees, and before no others."""
        pubsub, heard = await self._pubsub(prefix="cats:")
        await self._open(pubsub, "timeline:1")
        self.assertEqual({"cats:timeline:1"}, await self.channels())
        await self.publish("cats:timeline:1", b"1")
        await self.until(lambda: bool(heard))
        self.assertEqual([("timeline:1", b"1")], heard)

    async def test_closed(self) -> None:
        """What is published on a closed channel does not arrive."""
        pubsub, heard = await self._pubsub()
        await self._open(pubsub, "timeline:1", "timeline:2")
        pubsub.close(["timeline:1"])
        # Redis answers in order: once this is open, that is closed.
        await self._open(pubsub, "timeline:3")
        self.assertEqual({"timeline:2", "timeline:3"}, await self.channels())
        await self.publish("timeline:1", b"no")
        await self.publish("timeline:2", b"yes")
        await self.until(lambda: bool(heard))
        self.assertEqual([("timeline:2", b"yes")], heard)

    async def test_many(self) -> None:
        """Thousands of channels are opened at once."""
        pubsub, heard = await self._pubsub()
        names = [f"timeline:{number}" for number in range(2500)]
        await self._open(pubsub, *names)
        await self.publish(names[-1], b"last")
        await self.until(lambda: bool(heard))
        self.assertEqual([(names[-1], b"last")], heard)

    async def test_reopened(self) -> None:
        """After a connection has broken all channels are open again."""
        pubsub, heard = await self._pubsub()
        await self._open(pubsub, "timeline:1", "timeline:2")
        pubsub.close(["timeline:2"])
        await self.cut()
        await self._open(pubsub, "timeline:1", "timeline:3")
        await self.publish("timeline:1", b"again")
        await self.until(lambda: bool(heard))
        self.assertEqual([("timeline:1", b"again")], heard)
        self.assertEqual({"timeline:1", "timeline:3"}, await self.channels())

    async def test_presence(self) -> None:
        """A key that is held is there, for eighteen minutes."""
        presence = await self._presence()
        await self._fired(presence.hold(["subscribed:timeline:1", "subscribed:timeline:1:n"]))
        for key in ("subscribed:timeline:1", "subscribed:timeline:1:n"):
            left = await self.time_to_live(key)
            self.assertTrue(left and LIFETIME - 10 <= left <= LIFETIME, f"{key}: {left}")
        self.assertIsNone(await self.time_to_live("subscribed:timeline:2"))

    async def test_presence_prefix(self) -> None:
        """A prefix is before the keys, too."""
        presence = await self._presence(prefix="cats:")
        await self._fired(presence.hold(["subscribed:timeline:1"]))
        self.assertIsNotNone(await self.time_to_live("cats:subscribed:timeline:1"))

    async def test_presence_outlives(self) -> None:
        """A key that nobody holds any more is left to run out: others may hold it."""
        presence = await self._presence()
        await self._fired(presence.hold(["subscribed:timeline:1"]))
        presence.release(["subscribed:timeline:1"])
        self.assertIsNotNone(await self.time_to_live("subscribed:timeline:1"))

    async def test_presence_again(self) -> None:
        """After a connection has broken the keys that are held are written again."""
        presence = await self._presence()
        await self._fired(presence.hold(["subscribed:timeline:1"]))
        await self._fired(presence.hold(["subscribed:timeline:2"]))
        presence.release(["subscribed:timeline:2"])
        await self.cut()
        await self._fired(presence.hold(["subscribed:timeline:3"]))
        self.assertIsNotNone(await self.time_to_live("subscribed:timeline:1"))
        self.assertIsNone(await self.time_to_live("subscribed:timeline:2"))

    async def _pubsub(self, prefix: str = "") -> tuple[PubSub, list[tuple[str, bytes]]]:
        heard = Heard()
        pubsub = PubSub(self.reactor, heard)
        pubsub.prefix = prefix
        endpoint, hello = await self.reach()
        self._keep(keep_subscribed(self.reactor, endpoint, hello, pubsub))
        return pubsub, heard

    async def _presence(self, prefix: str = "") -> Presence:
        presence = Presence(self.reactor)
        presence.prefix = prefix
        endpoint, hello = await self.reach()
        self._keep(presence)
        self._keep(keep_present(self.reactor, endpoint, hello, presence))
        return presence

    def _keep(self, service: Service) -> None:
        service.startService()
        self.addCleanup(self._stop, service)

    async def _stop(self, service: Service) -> None:
        await self._fired(maybeDeferred(service.stopService))

    async def _open(self, pubsub: PubSub, *channels: str) -> None:
        pubsub.open(channels)
        await self._fired(pubsub.when_open(channels))

    async def _fired(self, deferred: Any) -> None:
        fired: list[Any] = []
        deferred.addCallback(fired.append)
        await self.until(lambda: bool(fired))
