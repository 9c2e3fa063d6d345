"""
What Rails would publish next: the rules of Mastodon's fan-out, as pure functions.

A message is `{"event": NAME, "payload": OBJECT OR STRING}`, for some events without a payload. Some
are published only if a streaming server has said, by a key in Redis, that somebody listens.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random

from flodgatt_tx.demo.entities import (
    announcement_entity,
    conversation_entity,
    notification_entity,
    status_entity,
)
from flodgatt_tx.demo.people import BY_NAME, LOCALS, PEOPLE, Person, followers, lists_with
from flodgatt_tx.demo.statuses import Status, compose

_REMEMBERED = 50


@dataclass(frozen=True, slots=True)
class Publication:
    """A message for a channel; with *gates*, only if one of these keys exists."""

    channel: str
    message: bytes
    gates: tuple[str, ...] = ()


@dataclass(slots=True)
class State:
    """What the instance remembers: the newest statuses, and the last announcement and id."""

    statuses: list[Status] = field(default_factory=list)
    announcement: int = 0
    last_id: int = 0

    def next_id(self, now: datetime) -> int:
        """Make an id as Mastodon does: the time in milliseconds, and 16 bits to tell apart."""
        self.last_id = max(self.last_id + 1, int(now.timestamp() * 1000) << 16)
        return self.last_id


Deed = Callable[[Random, State, datetime], Iterable[Publication]]


def plan(random: Random, state: State, now: datetime) -> list[Publication]:
    """Choose what happens next, remember it in *state*, and list what Rails publishes about it."""
    deeds, weights = zip(*_DEEDS.items(), strict=True)
    deed: Deed = _post if len(state.statuses) < 3 else random.choices(deeds, weights)[0]
    publications = list(deed(random, state, now))
    del state.statuses[:-_REMEMBERED]
    return publications


def _post(random: Random, state: State, now: datetime) -> Iterator[Publication]:
    answers = random.choice(state.statuses) if state.statuses and random.random() < 0.2 else None
    answers = answers and (answers.boosted or answers)
    status = compose(random, state.next_id(now), now, answers)
    state.statuses.append(status)
    yield from _spread("update", status)
    for person in _mentioned_here(status):
        yield _notification(state, "mention", now, status.author, status, person)
    if status.visibility == "direct":
        for person in (p for p in LOCALS if p in {status.author, *status.mentions}):
            channel = f"timeline:direct:{person.id}"
            yield _gated(channel, "conversation", conversation_entity(status, person))


def _boost(random: Random, state: State, now: datetime) -> Iterator[Publication]:
    public = [s for s in state.statuses if s.visibility == "public" and not s.boosted]
    if not public:
        return
    boosted = random.choice(public)
    author = random.choice([person for person in PEOPLE if person != boosted.author])
    identifier = state.next_id(now)
    status = replace(
        boosted, id=identifier, author=author, created=now, text="", media=(), boosted=boosted
    )
    state.statuses.append(status)
    yield from _spread("update", status)
    if boosted.author.is_local:
        yield _notification(state, "reblog", now, author, boosted, boosted.author)


def _edit(random: Random, state: State, now: datetime) -> Iterator[Publication]:
    at = random.randrange(len(state.statuses))
    if state.statuses[at].boosted:
        return
    text = f"{state.statuses[at].text} (1)"
    status = state.statuses[at] = replace(state.statuses[at], text=text, edited=now)
    yield from _spread("status.update", status)
    for person in _mentioned_here(status):
        yield _notified(person, "status.update", status_entity(status, person))


def _delete(random: Random, state: State, now: datetime) -> Iterator[Publication]:
    status = state.statuses.pop(random.randrange(len(state.statuses)))
    message = _message("delete", str(status.id))
    homes = {*_home_readers(status), *_mentioned_here(status)}
    channels = [f"timeline:{person.id}" for person in sorted(homes, key=lambda p: p.id)]
    channels += [f"timeline:list:{kept}" for kept in _lists(status)]
    # A deletion is announced on public channels even if, as a reply, the status never was.
    if status.visibility == "public" and not status.boosted:
        channels += [*_public_channels(status), *_hashtag_channels(status)]
    yield from (Publication(channel, message) for channel in channels)


def _favourite(random: Random, state: State, now: datetime) -> Iterator[Publication]:
    status = random.choice(state.statuses)
    by = random.choice(PEOPLE)
    if status.author.is_local and by != status.author and not status.boosted:
        yield _notification(state, "favourite", now, by, status, status.author)


def _follow(random: Random, state: State, now: datetime) -> Iterator[Publication]:
    by, followed = random.sample(LOCALS, 2)
    yield _notification(state, "follow", now, by, None, followed)


def _announce(random: Random, state: State, now: datetime) -> Iterator[Publication]:
    if not state.announcement:
        state.announcement = state.next_id(now) % 100_000 + 1
        payload = announcement_entity(state.announcement, "The ferrets will be fed at noon.", now)
        yield from _to_everybody("announcement", payload)
    elif random.random() < 0.8:
        reaction = {"name": random.choice("🎉❤🦊"), "count": random.randint(1, 9)}
        payload = {**reaction, "announcement_id": str(state.announcement)}
        yield from _to_everybody("announcement.reaction", payload)
    else:
        yield from _to_everybody("announcement.delete", str(state.announcement))
        state.announcement = 0


def _change_filters(random: Random, state: State, now: datetime) -> Iterator[Publication]:
    person = random.choice(LOCALS)
    for channel in (f"timeline:{person.id}", f"timeline:system:{person.id}"):
        yield Publication(channel, _message("filters_changed"))


_DEEDS: dict[Deed, float] = {
    _post: 76,
    _boost: 7,
    _edit: 7,
    _delete: 6,
    _favourite: 7,
    _follow: 2,
    _announce: 2,
    _change_filters: 1,
}


def _spread(event: str, status: Status) -> Iterator[Publication]:
    """Bring a status to everybody's feeds; home and list feeds are rendered for their owners."""
    for person in _home_readers(status):
        yield _gated(f"timeline:{person.id}", event, status_entity(status, person))
    for kept, owner in _lists(status).items():
        yield _gated(f"timeline:list:{kept}", event, status_entity(status, owner))
    if status.visibility != "public" or status.boosted:
        return
    message = _message(event, status_entity(status))
    channels = _hashtag_channels(status)
    # Public timelines have no replies, but for those that continue one's own.
    if not status.answers or status.answers.author == status.author:
        channels += _public_channels(status)
    yield from (Publication(channel, message) for channel in channels)


def _public_channels(status: Status) -> list[str]:
    side = "local" if status.author.is_local else "remote"
    channels = ["timeline:public", f"timeline:public:{side}"]
    return channels + [f"{channel}:media" for channel in channels if status.media]


def _hashtag_channels(status: Status) -> list[str]:
    channels = [f"timeline:hashtag:{tag}" for tag in status.tags]
    here = status.author.is_local
    return channels + [f"{channel}:local" for channel in channels if here]


def _home_readers(status: Status) -> tuple[Person, ...]:
    author = (status.author,) if status.author.is_local else ()
    readers = followers(status.author)
    if status.visibility == "direct":
        readers = tuple(person for person in readers if person in status.mentions)
    return (*author, *readers)


def _lists(status: Status) -> dict[int, Person]:
    owners = {kept.id: BY_NAME[kept.owner] for kept in lists_with(status.author)}
    readers = _home_readers(status)
    return {kept: owner for kept, owner in owners.items() if owner in readers}


def _mentioned_here(status: Status) -> list[Person]:
    others = (person for person in status.mentions if person != status.author)
    return [person for person in others if person.is_local]


def _notification(
    state: State, kind: str, now: datetime, by: Person, status: Status | None, viewer: Person
) -> Publication:
    identifier = state.next_id(now) % 10_000_000
    payload = notification_entity(identifier, kind, now, by, status, viewer)
    return _notified(viewer, "notification", payload)


def _notified(person: Person, event: str, payload: object) -> Publication:
    home = f"timeline:{person.id}"
    channels = (home, f"{home}:notifications")
    gates = tuple(f"subscribed:{channel}" for channel in channels)
    return Publication(channels[1], _message(event, payload), gates)


def _to_everybody(event: str, payload: object) -> Iterator[Publication]:
    return (_gated(f"timeline:{person.id}", event, payload) for person in LOCALS)


def _gated(channel: str, event: str, payload: object) -> Publication:
    return Publication(channel, _message(event, payload), (f"subscribed:{channel}",))


def _message(event: str, payload: object = None) -> bytes:
    fields = {"event": event} if payload is None else {"event": event, "payload": payload}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
