"""What people write in the demonstration, as values; `entities` shows them as Mastodon does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from random import Random

from flodgatt_tx.demo.people import BY_NAME, FOLLOWS, PEOPLE, Person
from flodgatt_tx.demo.phrases import DESCRIPTIONS, PHRASES, POLLS, WARNINGS
from flodgatt_tx.hashtags import normalize_hashtag

_VISIBILITIES = {"public": 16, "unlisted": 2, "private": 2, "direct": 3}
# A hashtag goes on to the next space or punctuation: the marks of Hindi are no `\w` to Python.
_PIECES = re.compile(r"(#[^\s#@.,:;!?。！？،]+|@\w+(?:@[\w.-]+)?|https://\S+)")
_BY_ACCT = {person.acct: person for person in PEOPLE}


@dataclass(frozen=True, slots=True)
class Status:
    """Something that *author* wrote, or boosted: then *boosted* is what."""

    id: int
    author: Person
    created: datetime
    visibility: str
    language: str
    text: str
    warning: str = ""
    media: tuple[str | None, ...] = ()
    poll: tuple[str, ...] = ()
    answers: Status | None = None
    boosted: Status | None = None
    edited: datetime | None = None

    @property
    def mentions(self) -> tuple[Person, ...]:
        """Whom the text addresses, each once."""
        return tuple(dict.fromkeys(filter(None, map(addressee, _PIECES.findall(self.text)))))

    @property
    def tags(self) -> tuple[str, ...]:
        """The hashtags of the text as channels name them, each once."""
        found = (word for word in _PIECES.findall(self.text) if word[0] == "#")
        return tuple(dict.fromkeys(map(normalize_hashtag, found)))

    @property
    def url(self) -> str:
        """Where it can be read."""
        return f"{self.author.url}/{self.id}"

    @property
    def pieces(self) -> list[str]:
        """The text, cut where a hashtag, a mention or a link begins or ends."""
        return _PIECES.split(self.text)


def addressee(piece: str) -> Person | None:
    """Whom a piece of text mentions, if it is a mention of somebody."""
    return _BY_ACCT.get(piece[1:]) if piece.startswith("@") else None


def compose(random: Random, identifier: int, now: datetime, answers: Status | None) -> Status:
    """Write something: a random author's random words, perhaps an answer to *answers*."""
    author = random.choice([person for person in PEOPLE if not answers or person != answers.author])
    language = random.choice(author.languages)
    visibility = random.choices(list(_VISIBILITIES), list(_VISIBILITIES.values()))[0]
    if answers and answers.visibility == "direct":
        visibility = "direct"
    decoration = random.random()
    return Status(
        id=identifier,
        author=author,
        created=now,
        visibility=visibility,
        language=language,
        text=_words(random, author, language, visibility, answers),
        warning=random.choice(WARNINGS[language]) if random.random() < 0.1 else "",
        media=(random.choice(DESCRIPTIONS[language]),) if decoration < 0.2 else (),
        poll=POLLS[language] if decoration > 0.93 else (),
        answers=answers,
    )


def _words(
    random: Random, author: Person, language: str, visibility: str, answers: Status | None
) -> str:
    text = random.choice(PHRASES[language])
    if answers:
        return f"@{answers.author.acct} {text}"
    if visibility == "direct" or random.random() < 0.1:
        friends = [BY_NAME[name] for name in FOLLOWS.get(author.username, ("alice", "gauri"))]
        return f"@{random.choice(friends).acct} {text}"
    return text
