"""
Who sees which status: the shared, batched way held against one that asks for each reader.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge import broadcast
from flodgatt_tx.edge.judging import Judge
from flodgatt_tx.edge.readers import EVENTSOURCE, WEBSOCKET, Reader
from flodgatt_tx.errors import UNAVAILABLE, UnavailableError
from flodgatt_tx.feeds import Closed, Feed
from flodgatt_tx.filtering import Relations
from flodgatt_tx.framing import PLAIN
from flodgatt_tx.keyword_filters import Filter
from flodgatt_tx.viewer import ADMINISTRATOR, VIEW_FEEDS, Viewer
from tests.fakes import MemoryMastodon
from tests.properties import FEW
from tests.stage import API, Stage, StageTestCase, status, viewer


class Recorder:
    """A connection that keeps what it is sent."""

    unsent = 0

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.ended = False

    def send(self, frame: bytes) -> None:
        """Keep a frame."""
        self.frames.append(frame)

    def kill(self) -> None:
        """Take note of the end."""
        self.ended = True

    go_away = kill


def arrive(
    stage: Stage, viewer: Viewer, kind: str, transport: str = EVENTSOURCE, tag: str = "t"
) -> Recorder:
    """Let a reader listen to a stream, without a transport."""
    recorder = Recorder()
    reader = Reader(transport, viewer, recorder, b"" if transport == WEBSOCKET else PLAIN)
    reader.outlet = recorder
    stage.parts.api.subscriber.enter(reader)
    reader.ready = True
    subscribing = stage.parts.api.subscriber.subscribe(reader, kind, {"tag": tag})
    Deferred.fromCoroutine(subscribing)
    return recorder


def heard(recorder: Recorder) -> list[tuple[str, str, Any]]:
    """Read what came over SSE: the event's name, the status's id, and what filters said."""
    events: list[tuple[str, str, Any]] = []
    for frame in b"".join(recorder.frames).decode().split("\n\n")[:-1]:
        name, data = re.fullmatch(r"event: (.*)\ndata: (.*)", frame).groups()  # type: ignore[union-attr]
        payload = json.loads(data)
        if isinstance(payload, dict):
            matches = [match["keyword_matches"] for match in payload["filtered"]]
            events.append((name, payload["id"], matches))
        else:
            events.append((name, str(payload), None))
    return events


READERS = (1, 2, 3)
LOCAL = 3  # an author who is a reader, too
ACCTS = {LOCAL: "cyd", 50: "far@remote.example", 51: "bad@Blocked.example"}
AUTHORS = tuple(ACCTS)
WORDS = ("dragon", "cat", "dog")
KINDS = {
    "timeline:public": "public",
    "timeline:hashtag:t": "hashtag",
    "timeline:public:local": "public:local",
}
CHANNELS = tuple(KINDS)

people = st.sampled_from((1, 2, *AUTHORS))
listeners = st.sampled_from(READERS)
pairs = st.frozensets(st.tuples(people, people), max_size=5)


@dataclass(frozen=True)
class Site:
    """Everything that decides who sees what."""

    blocks: frozenset[tuple[int, int]]
    mutes: frozenset[tuple[int, int]]
    domains: frozenset[int]
    keywords: dict[int, str]
    languages: dict[int, frozenset[str]]
    privileged: frozenset[int]
    closed: Closed

    def viewer(self, account: int) -> Viewer:
        """Make the viewer of an account."""
        permissions = VIEW_FEEDS if account in self.privileged else 0
        return viewer(account, languages=self.languages.get(account), permissions=permissions)

    def fill(self, mastodon: MemoryMastodon) -> None:
        """Let a Mastodon know all this."""
        mastodon.tokens = {str(account): self.viewer(account) for account in READERS}
        mastodon.blocks = set(self.blocks)
        mastodon.mutes = set(self.mutes)
        mastodon.blocked_domains = dict.fromkeys(self.domains, frozenset({"blocked.example"}))
        mastodon.filters_of = {
            account: (keyword_filter(word),) for account, word in self.keywords.items()
        }
        mastodon.closed = self.closed


def keyword_filter(*words: str) -> Filter:
    """Make a filter of whole words."""
    return Filter(
        "7", "title", ("public",), None, None, "warn", tuple((word, True) for word in words)
    )


sites = st.builds(
    Site,
    blocks=pairs,
    mutes=pairs,
    domains=st.frozensets(listeners, max_size=2),
    keywords=st.dictionaries(listeners, st.sampled_from(WORDS), max_size=2),
    languages=st.dictionaries(listeners, st.just(frozenset({"en", "is"})), max_size=1),
    privileged=st.frozensets(listeners, max_size=1),
    closed=st.frozensets(st.tuples(st.sampled_from(Feed), st.booleans()), max_size=2),
)


@dataclass(frozen=True)
class Said:
    """One event that is published: a status, or the deletion of one."""

    channel: str
    name: str
    author: int
    mentions: frozenset[int]
    language: str | None
    text: str
    local_only: bool

    def payload(self, id_: str) -> object:
        """What Rails would publish."""
        if self.name == "delete":
            return id_
        mentions = [{"id": str(each)} for each in sorted(self.mentions)]
        more = {"local_only": True} if self.local_only else {}
        return status(
            id_,
            str(self.author),
            ACCTS[self.author],
            mentions=mentions,
            language=self.language,
            content=f"<p>a <b>{self.text}</b>!</p>",
            **more,
        )


events = st.builds(
    Said,
    channel=st.sampled_from(CHANNELS),
    name=st.sampled_from(("update", "update", "status.update", "delete")),
    author=st.sampled_from(AUTHORS),
    mentions=st.frozensets(st.sampled_from((1, 2, *AUTHORS)), max_size=2),
    language=st.sampled_from(("en", "de", None)),
    text=st.sampled_from((*WORDS, "dragonfly", "fish")),
    local_only=st.booleans(),
)


@dataclass(frozen=True)
class Scene:
    """Events, and whether the database begins to hang or answers after each of them."""

    site: Site
    steps: list[tuple[Said, bool]] = field(default_factory=list)


scenes = st.builds(Scene, sites, st.lists(st.tuples(events, st.booleans()), max_size=12))


def sees(site: Site, said: Said, account: int) -> bool:
    """Whether one reader sees one event, asked as one would for a single reader."""
    if said.name == "delete":
        return True
    feed = Feed.TOPIC if "hashtag" in said.channel else Feed.LIVE
    concerned = {said.author, *said.mentions}
    return not (
        (said.local_only and said.channel == "timeline:public")
        or ((feed, said.author == LOCAL) in site.closed and account not in site.privileged)
        or (account in site.languages and said.language not in site.languages[account])
        or any((account, person) in site.blocks for person in concerned)
        or any((account, person) in site.mutes for person in concerned)
        or (said.author, account) in site.blocks
        or (account in site.domains and ACCTS[said.author].endswith("@Blocked.example"))
    )


def says(site: Site, said: Said, account: int) -> list[list[str]] | None:
    """What the filters of one reader say of one event."""
    if said.name == "delete":
        return None
    word = site.keywords.get(account)
    return [[word]] if word and re.search(rf"\b{word}\b", said.text) else []


def play(scene: Scene, stage: Stage) -> dict[tuple[int, str], list[tuple[str, str, Any]]]:
    """Let a scene happen; return what each reader heard from each channel."""
    scene.site.fill(stage.mastodon)
    recorders = {
        (account, channel): arrive(stage, scene.site.viewer(account), kind, tag="t")
        for account in READERS
        for channel, kind in KINDS.items()
    }
    stage.turn()
    for number, (said, answering) in enumerate(scene.steps):
        if answering:
            stage.mastodon.let_go()
        elif stage.mastodon.held is None:
            stage.mastodon.held = []
        stage.publish(said.channel, said.name, said.payload(str(number)))
    stage.mastodon.let_go()
    stage.turn()
    return {place: heard(recorder) for place, recorder in recorders.items()}


def expect(scene: Scene) -> dict[tuple[int, str], list[tuple[str, str, Any]]]:
    """Say what each reader should hear from each channel, asking for each of them."""
    return {
        (account, channel): [
            (said.name, str(number), says(scene.site, said, account))
            for number, (said, _) in enumerate(scene.steps)
            if said.channel == channel and sees(scene.site, said, account)
        ]
        for account in READERS
        for channel in CHANNELS
    }


@settings(FEW, max_examples=40, phases=[Phase.generate])
@given(scenes)
def hold_against_naive(scene: Scene) -> None:
    """Hold the server against the naive way."""
    stage = Stage()
    try:
        assert expect(scene) == play(scene, stage)
    finally:
        stage.close()


class SharedJudgementTests(SynchronousTestCase):
    """One question for a status gives what one question for each reader would."""

    def test_same(self) -> None:
        """Every reader hears the same events in the same order as if asked for alone."""
        hold_against_naive()

    def test_planted_leaks_are_found(self) -> None:
        """The comparison notices a server that forgets any one of the rules."""
        leaks: list[tuple[object, str, object]] = [
            (Relations, "hidden_from", lambda relations, status: frozenset(relations.averse)),
            (MemoryMastodon, "domain_blocks", _nothing),
            (MemoryMastodon, "filters", _nothing),
            (MemoryMastodon, "closed_feeds", _all_open),
            (Judge, "suited", lambda judge, status, recipients: list(recipients)),
            (broadcast, "deque", _Stack),
        ]
        for where, name, planted in leaks:
            with planting(where, name, planted):
                self.assertRaises(AssertionError, hold_against_naive)


@contextmanager
def planting(where: object, name: str, planted: object) -> Iterator[None]:
    """Put a bug in the place of what is there, for a while."""
    good = getattr(where, name)
    setattr(where, name, planted)
    try:
        yield
    finally:
        setattr(where, name, good)


async def _nothing(mastodon: MemoryMastodon, accounts: object) -> dict[int, Any]:
    return {}


async def _all_open(mastodon: MemoryMastodon) -> Closed:
    return frozenset()


class _Stack(deque[Any]):
    """A queue that lets the last come first."""

    def append(self, item: Any) -> None:
        """Put an item where it will be taken first."""
        self.appendleft(item)


class QuestionTests(StageTestCase):
    """How often the database is asked."""

    def crowd(self, size: int) -> list[Recorder]:
        """Let many people listen to the public timeline, some with filters."""
        everybody = [viewer(100 + each) for each in range(size)]
        self.stage.mastodon.tokens = {str(each.account_id): each for each in everybody}
        self.stage.mastodon.filters_of = {
            account: (keyword_filter("dragon"),) for account in range(100, 100 + size, 10)
        }
        recorders = [
            arrive(self.stage, each, "public", WEBSOCKET if each.account_id % 2 else EVENTSOURCE)
            for each in everybody
        ]
        self.stage.turn()
        self.stage.mastodon.asked.clear()
        return recorders

    def test_one_event(self) -> None:
        """One event to a thousand readers is one question."""
        recorders = self.crowd(1000)
        self.stage.publish("timeline:public", "update", status())
        self.assertEqual(["relations"], self.stage.mastodon.asked)
        self.assertEqual([1] * 1000, [len(each.frames) for each in recorders])

    def test_kinds_share_frames(self) -> None:
        """Readers who see the same are sent the same bytes object."""
        recorders = self.crowd(100)
        self.stage.publish("timeline:public", "update", status(content="<p>a dragon</p>"))
        self.assertEqual(100, sum(len(each.frames) for each in recorders))
        # Two transports without a match, and SSE with one; filters that say the same share a form.
        self.assertEqual(2 + 1, len({id(each.frames[0]) for each in recorders}))

    def test_burst(self) -> None:
        """Fifty events in one burst are at most five questions."""
        recorders = self.crowd(10)
        self.stage.mastodon.held = []
        for number in range(50):
            self.stage.publish("timeline:public", "update", status(str(number)))
        self.stage.mastodon.let_go()
        self.stage.turn()
        self.assertEqual(["relations"] * 2, self.stage.mastodon.asked)
        self.assertEqual(
            [str(number) for number in range(50)], [i for _, i, _ in heard(recorders[0])]
        )

    def test_nobody_suited(self) -> None:
        """A status that suits no reader is not asked about."""
        self.stage.mastodon.tokens["ann"] = viewer(1, languages=frozenset({"de"}))
        arrive(self.stage, self.stage.mastodon.tokens["ann"], "public")
        self.stage.turn()
        self.stage.mastodon.asked.clear()
        self.stage.publish("timeline:public", "update", status(language="en"))
        self.assertEqual([], self.stage.mastodon.asked)

    def test_silence(self) -> None:
        """If the database does not answer, statuses reach nobody, and all else goes on."""
        public = arrive(self.stage, viewer(1), "public")
        home = arrive(self.stage, viewer(1), "user")
        self.stage.turn()
        self.stage.mastodon.failing = UnavailableError(UNAVAILABLE)
        for channel in ("timeline:public", "timeline:1"):
            self.stage.publish(channel, "update", status(filtered=[]))
            self.stage.publish(channel, "delete", "9")
        self.assertEqual([("delete", "9", None)], heard(public))
        self.assertEqual([("update", "1", []), ("delete", "9", None)], heard(home))
        self.assertEqual(1, self.stage.metric("redis_messages_dropped_total", reason="unjudged"))


class FilterTests(StageTestCase):
    """Keyword filters, from one change to the next."""

    def setUp(self) -> None:
        """Let somebody listen who filters one word."""
        super().setUp()
        self.filter = keyword_filter("dragon")
        self.stage.mastodon.filters_of = {1: (self.filter,)}
        self.recorder = arrive(self.stage, viewer(1), "public")
        self.stage.turn()

    def say(self, text: str) -> list[list[str]]:
        """Publish a status; return what filters say of it."""
        self.stage.publish("timeline:public", "update", status(content=f"<p>{text}</p>"))
        result: list[list[str]] = heard(self.recorder)[-1][2]
        return result

    def change(self, *filters: Filter) -> None:
        """Change the filters in the database, and let Mastodon tell of it."""
        self.stage.mastodon.filters_of = {1: filters}
        self.stage.publish("timeline:system:1", "filters_changed")

    def test_changed(self) -> None:
        """Changed filters count for the next status."""
        self.assertEqual([["dragon"]], self.say("a dragon"))
        self.change(keyword_filter("cat"))
        self.assertEqual([], self.say("a dragon"))
        self.assertEqual([["cat"]], self.say("a cat"))

    def test_untold(self) -> None:
        """Filters are not asked for with a status."""
        self.stage.mastodon.filters_of = {}
        self.assertEqual([["dragon"]], self.say("a dragon"))

    def test_changing(self) -> None:
        """A status that comes while changed filters are loaded waits for them."""
        self.stage.mastodon.held = []
        self.change(keyword_filter("cat"))
        self.stage.publish("timeline:public", "update", status(content="<p>cat</p>"))
        self.assertEqual([], self.recorder.frames)
        self.stage.mastodon.let_go()
        self.stage.turn()
        self.assertEqual([("update", "1", [["cat"]])], heard(self.recorder))

    def test_changed_while_asked(self) -> None:
        """A status whose question is under way when filters change waits for them, too."""
        self.stage.mastodon.held = []
        self.stage.publish("timeline:public", "update", status("1", content="<p>cat</p>"))
        self.change(keyword_filter("cat"))
        while self.stage.mastodon.held:
            self.stage.mastodon.let_go(holding=True)
            self.stage.turn()
        self.stage.mastodon.let_go()
        self.stage.publish("timeline:public", "update", status("2", content="<p>cat</p>"))
        expected = [("update", "1", [["cat"]]), ("update", "2", [["cat"]])]
        self.assertEqual(expected, heard(self.recorder))

    def test_asked_again(self) -> None:
        """Filters whose change was never told of count after five minutes."""
        self.stage.mastodon.filters_of = {1: (keyword_filter("cat"),)}
        self.stage.clock.pump([1] * 302)
        self.assertEqual([["cat"]], self.say("a cat"))

    def test_unloadable(self) -> None:
        """While changed filters cannot be loaded nothing is filtered by the old ones."""
        self.stage.mastodon.failing = UnavailableError(UNAVAILABLE)
        self.change(keyword_filter("cat"))
        self.stage.mastodon.failing = None
        self.stage.publish("timeline:public", "update", status(content="<p>cat</p>"))
        self.assertEqual([], self.recorder.frames)
        self.stage.clock.pump([1] * 31)
        self.assertEqual([["cat"]], self.say("cat"))

    def test_expiry(self) -> None:
        """A filter ends when its time is over."""
        later = self.stage.clock.seconds() + 60
        self.change(replace(self.filter, expires=later, expires_at="2030-01-01T00:00:00.000Z"))
        self.assertEqual([["dragon"]], self.say("a dragon"))
        self.stage.clock.advance(61)
        self.assertEqual([], self.say("a dragon"))

    def test_told_to_clients(self) -> None:
        """A client that listens to its home is told that filters have changed."""
        home = arrive(self.stage, viewer(1), "user")
        self.stage.turn()
        self.stage.publish("timeline:1", "filters_changed")
        self.assertEqual([b"event: filters_changed\ndata: null\n\n"], home.frames)

    def test_none_at_all(self) -> None:
        """For a Mastodon without keyword filters statuses are passed on as they came."""
        self.stage.mastodon.filters_of = None
        recorder = arrive(self.stage, viewer(2), "public")
        self.stage.turn()
        self.stage.publish("timeline:public", "update", status())
        self.assertNotIn(b"filtered", recorder.frames[0])


class RecheckTests(StageTestCase):
    """Tokens that end unannounced."""

    def arrive(self) -> Recorder:
        """Let the first of the people listen."""
        recorder = arrive(self.stage, self.stage.mastodon.tokens["ann"], "user")
        self.stage.turn()
        return recorder

    def test_after_subscribing(self) -> None:
        """A token that ended between the login and the subscription is found out."""
        known = self.stage.mastodon.tokens.pop("ann")
        recorder = arrive(self.stage, known, "user")
        self.assertFalse(recorder.ended)
        self.stage.turn()
        self.assertTrue(recorder.ended)

    def test_now_and_then(self) -> None:
        """Every five minutes tokens are asked again."""
        recorder = self.arrive()
        del self.stage.mastodon.tokens["ann"]
        self.stage.clock.pump([1] * 299)
        self.assertFalse(recorder.ended)
        self.stage.clock.pump([1] * 3)
        self.assertTrue(recorder.ended)

    def test_after_a_gap(self) -> None:
        """After a gap in the connection to Redis everybody is asked about again."""
        recorders = [arrive(self.stage, self.stage.mastodon.tokens["ben"], "user"), self.arrive()]
        del self.stage.mastodon.tokens["ann"]
        self.stage.redis.cut()
        self.stage.clock.pump([0.5] * 5)
        self.assertEqual([False, True], [each.ended for each in recorders])

    def test_after_a_gap_with_comings_and_goings(self) -> None:
        """So it is if somebody leaves before everything is subscribed again."""
        recorder = self.arrive()
        leaving = self.stage.websocket(f"{API}?access_token=ben&stream=user")
        del self.stage.mastodon.tokens["ann"]
        self.stage.redis.hung = {"SUBSCRIBE"}
        self.stage.redis.cut()
        self.stage.clock.pump([0.5] * 5)
        leaving.hang_up()
        self.stage.redis.recover()
        self.stage.clock.pump([0.5] * 5)
        self.assertTrue(recorder.ended)

    def test_refreshed(self) -> None:
        """Changed languages count after the next time of asking."""
        recorder = arrive(self.stage, self.stage.mastodon.tokens["ann"], "public")
        self.stage.turn()
        self.stage.mastodon.tokens["ann"] = viewer(1, languages=frozenset({"de"}))
        self.stage.clock.pump([1] * 302)
        self.stage.publish("timeline:public", "update", status(language="en"))
        self.assertEqual([], recorder.frames)

    def test_lost_scopes(self) -> None:
        """A token that has other scopes than before has to log in again."""
        recorder = self.arrive()
        self.stage.mastodon.tokens["ann"] = viewer(1, "read:notifications")
        self.stage.clock.pump([1] * 302)
        self.assertTrue(recorder.ended)

    def test_silence(self) -> None:
        """Nobody is sent away because the database does not answer."""
        recorder = self.arrive()
        self.stage.mastodon.failing = UnavailableError(UNAVAILABLE)
        self.stage.clock.pump([1] * 302)
        self.assertFalse(recorder.ended)


class FeedAccessTests(StageTestCase):
    """Feeds that the site switches off."""

    def test_open_streams(self) -> None:
        """A feed that is switched off falls silent within a minute, but for who may see it."""
        self.stage.mastodon.tokens["ben"] = viewer(2, permissions=ADMINISTRATOR)
        recorders = [
            arrive(self.stage, self.stage.mastodon.tokens[name], "public")
            for name in ("ann", "ben")
        ]
        self.stage.turn()
        self.stage.mastodon.closed = frozenset({(Feed.LIVE, False)})
        self.stage.clock.pump([1] * 60)
        self.stage.publish("timeline:public", "update", status())
        self.assertEqual([0, 1], [len(each.frames) for each in recorders])


class BrokenConnectionTests(StageTestCase):
    """Connections that fail in ways nobody has thought of."""

    def setUp(self) -> None:
        """Let two people listen, the first over something that raises whatever is asked of it."""
        super().setUp()
        self.broken, self.good = (
            arrive(self.stage, self.stage.mastodon.tokens["ann"], "user") for _ in range(2)
        )
        self.stage.turn()
        self.broken.__class__ = _BrokenRecorder

    def test_events(self) -> None:
        """An event reaches those behind one that it cannot be sent to, who is ended."""
        self.stage.publish("timeline:1", "delete", "9")
        self.assertEqual(1, len(self.good.frames))
        self.assertEqual(2, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_kill(self) -> None:
        """A kill reaches those behind one that cannot be ended."""
        self.stage.publish("timeline:system:1", "kill")
        self.assertTrue(self.good.ended)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))


class _BrokenRecorder(Recorder):
    """A connection that can do nothing."""

    def send(self, frame: bytes) -> None:
        """Fail."""
        raise ZeroDivisionError

    def kill(self) -> None:
        """Fail."""
        raise ZeroDivisionError
