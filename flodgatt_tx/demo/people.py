"""
Who lives in the demonstration and who follows whom: what Rails knows and its publisher needs.

`people.sql` tells the database about the same people; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass

SITE = "demo.example"
_FIRST_ID = 110_000_000_000_000_000


@dataclass(frozen=True, slots=True)
class Person:
    """An account; *domain* is None for those who live here, else as Mastodon displays it."""

    number: int
    username: str
    domain: str | None
    name: str
    languages: tuple[str, ...]

    @property
    def id(self) -> int:
        """The account's id, a snowflake of that time and size."""
        return _FIRST_ID + self.number

    @property
    def is_local(self) -> bool:
        """Whether this person lives here."""
        return self.domain is None

    @property
    def acct(self) -> str:
        """How people here address this person."""
        return self.username if self.domain is None else f"{self.username}@{self.domain}"

    @property
    def url(self) -> str:
        """Where this person's profile is."""
        return f"https://{self.domain or SITE}/@{self.username}"


@dataclass(frozen=True, slots=True)
class List:
    """A list that *owner* keeps of people."""

    id: int
    owner: str
    members: tuple[str, ...]


# Those who may speak and listen; two more accounts are in the database, suspended and disabled.
PEOPLE = (
    Person(1, "alice", None, "Alice", ("en",)),
    Person(2, "bob", None, "Bob the Moderator", ("en",)),
    Person(3, "chiyo", None, "千代", ("ja", "en")),
    Person(4, "dagny", None, "Dagný", ("is", "en")),
    Person(5, "farid", None, "فريد", ("ar",)),
    Person(6, "gauri", None, "गौरी", ("hi", "en")),
    Person(7, "ines", None, "Inês", ("pt",)),
    Person(10, "juergen", "bücher.example", "Jürgen", ("de",)),
    Person(11, "lucia", "social.example", "Lucía", ("es",)),
    Person(12, "nils", "masto.example", "Nils", ("de", "en")),
    Person(13, "trader", "spam.example", "Best Offers", ("en",)),
    Person(14, "yuki", "pixel.example", "雪", ("ja",)),
)
LOCALS = tuple(person for person in PEOPLE if person.is_local)
BY_NAME = {person.username: person for person in PEOPLE}

FOLLOWS = {
    "alice": ("bob", "chiyo", "dagny", "gauri", "juergen", "lucia", "nils", "yuki"),
    "bob": ("alice", "ines", "nils"),
    "chiyo": ("alice", "dagny", "yuki"),
    "dagny": ("alice", "chiyo", "nils"),
    "farid": ("alice", "gauri", "ines"),
    "gauri": ("alice", "farid", "yuki"),
    "ines": ("alice", "bob", "lucia"),
}
LISTS = (
    List(1, "alice", ("chiyo", "dagny", "gauri", "yuki")),
    List(2, "gauri", ("alice", "farid", "yuki")),
)


def followers(person: Person) -> tuple[Person, ...]:
    """Those here who follow *person*."""
    return tuple(reader for reader in LOCALS if person.username in FOLLOWS[reader.username])


def lists_with(person: Person) -> tuple[List, ...]:
    """The lists that *person* is on."""
    return tuple(kept for kept in LISTS if person.username in kept.members)
