"""What people write in the demonstration, and how it is rendered."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.demo.entities import conversation_entity, notification_entity, status_entity
from flodgatt_tx.demo.people import BY_NAME, FOLLOWS, LISTS, PEOPLE, Person, followers
from flodgatt_tx.demo.phrases import DESCRIPTIONS, PHRASES, POLLS, WARNINGS
from flodgatt_tx.demo.statuses import Status, compose

NOW = datetime(2026, 1, 2, 3, 4, 5, 678900, UTC)
ALICE, BOB, JUERGEN = BY_NAME["alice"], BY_NAME["bob"], BY_NAME["juergen"]
VIEWERS_ONLY = {"favourited", "reblogged", "muted", "bookmarked", "filtered"}


def said(text: str, author: Person = ALICE) -> Status:
    """Make a public status in English."""
    return Status(1, author, NOW, "public", "en", text)


class StatusTests(SynchronousTestCase):
    """Statuses know whom and what they mention."""

    def test_mentions(self) -> None:
        """Local and remote people are recognised, IDN domains too, each once; others are not."""
        status = said("@bob and @juergen@bücher.example and @bob and @nobody")
        self.assertEqual((BOB, JUERGEN), status.mentions)

    def test_tags(self) -> None:
        """Hashtags are named as in channels, with the vowel signs of Hindi and dots of Japanese."""
        status = said("#Köln, #हिन्दी #ラーメン・餃子 #KÖLN!")
        self.assertEqual(("koln", "हिनदी", "ラーメン・餃子"), status.tags)

    @given(some.integers())
    def test_compose_is_deterministic(self, seed: int) -> None:
        """The same randomness writes the same status, one that can be rendered."""
        first, second = (compose(Random(seed), 1, NOW, None) for _ in range(2))
        self.assertEqual(first, second)
        self.assertEqual("1", status_entity(first)["id"])

    @given(some.integers())
    def test_answers(self, seed: int) -> None:
        """An answer is somebody else's, addresses whom it answers, and keeps secrets."""
        asked = Status(1, ALICE, NOW, "direct", "en", "@bob psst")
        answer = compose(Random(seed), 2, NOW, asked)
        self.assertNotEqual(ALICE, answer.author)
        self.assertIn(ALICE, answer.mentions)
        self.assertEqual("direct", answer.visibility)


class EntityTests(SynchronousTestCase):
    """Entities have the shapes of Mastodon's REST API."""

    def test_anonymous_rendering(self) -> None:
        """Rendered for nobody, a status has nothing that depends on the viewer."""
        self.assertEqual(set(), VIEWERS_ONLY & status_entity(said("x")).keys())

    def test_rendering_for_a_viewer(self) -> None:
        """Rendered for somebody, a status has those flags, and says that it is filtered already."""
        entity = status_entity(said("x"), BOB)
        self.assertEqual(VIEWERS_ONLY, VIEWERS_ONLY & entity.keys())
        self.assertEqual([], entity["filtered"])

    def test_content(self) -> None:
        """Text is escaped; hashtags, mentions and links become HTML."""
        content = status_entity(said("<b> & #Tea @bob https://example.org/x"))["content"]
        self.assertEqual(
            "<p>&lt;b&gt; &amp; "
            '<a href="https://demo.example/tags/tea" class="mention hashtag" rel="tag">'
            "#<span>Tea</span></a> "
            '<span class="h-card" translate="no"><a href="https://demo.example/@bob"'
            ' class="u-url mention">@<span>bob</span></a></span> '
            '<a href="https://example.org/x" target="_blank" rel="nofollow noopener">'
            "example.org/x</a></p>",
            content,
        )

    def test_times(self) -> None:
        """Times are UTC with milliseconds."""
        self.assertEqual("2026-01-02T03:04:05.678Z", status_entity(said("x"))["created_at"])

    def test_remote_accounts(self) -> None:
        """A remote account's address shows the domain as people write it."""
        account = status_entity(said("x", JUERGEN))["account"]
        self.assertEqual("juergen@bücher.example", account["acct"])
        self.assertEqual("juergen", account["username"])

    def test_boosts(self) -> None:
        """A boost has an id of its own and carries what was boosted."""
        boost = Status(2, BOB, NOW, "public", "en", "", boosted=said("Hello"))
        entity = status_entity(boost, ALICE)
        self.assertEqual(("2", "1"), (entity["id"], entity["reblog"]["id"]))
        self.assertEqual("<p>Hello</p>", entity["content"])
        self.assertEqual([], entity["reblog"]["filtered"])

    def test_decorations(self) -> None:
        """Pictures may lack a description; polls say whether the viewer voted."""
        status = Status(1, ALICE, NOW, "public", "en", ":ferret:", "w", (None,), ("a", "b"))
        entity = status_entity(status, BOB)
        self.assertIsNone(entity["media_attachments"][0]["description"])
        self.assertEqual(["a", "b"], [option["title"] for option in entity["poll"]["options"]])
        self.assertFalse(entity["poll"]["voted"])
        self.assertEqual("ferret", entity["emojis"][0]["shortcode"])
        self.assertTrue(entity["sensitive"])

    def test_conversations(self) -> None:
        """A conversation lists the others, and is unread for whom did not write."""
        status = Status(1, ALICE, NOW, "direct", "en", "@bob psst")
        for viewer, other in ((ALICE, BOB), (BOB, ALICE)):
            entity = conversation_entity(status, viewer)
            self.assertEqual([other.acct], [account["acct"] for account in entity["accounts"]])
            self.assertEqual(viewer is BOB, entity["unread"])

    def test_notifications(self) -> None:
        """A notification names its kind and who caused it; a follow is about no status."""
        self.assertNotIn("status", notification_entity(7, "follow", NOW, BOB, None, ALICE))
        mention = notification_entity(7, "mention", NOW, BOB, said("@alice hi", BOB), ALICE)
        by = mention["account"]["username"]
        self.assertEqual(("7", "mention", "bob"), (mention["id"], mention["type"], by))
        self.assertEqual([], mention["status"]["filtered"])


class PeopleTests(SynchronousTestCase):
    """The tables about people fit together."""

    def test_languages(self) -> None:
        """There are words of each kind for every language that somebody speaks."""
        for person in PEOPLE:
            for language in person.languages:
                for table in (PHRASES, WARNINGS, DESCRIPTIONS, POLLS):
                    self.assertIn(language, table)

    def test_follows(self) -> None:
        """Everybody local follows somebody, and only people that there are."""
        self.assertEqual({p.username for p in PEOPLE if p.is_local}, set(FOLLOWS))
        for names in (*FOLLOWS.values(), *(kept.members for kept in LISTS)):
            self.assertEqual(set(), set(names) - set(BY_NAME))
        self.assertEqual(["alice"], [person.username for person in followers(JUERGEN)])

    def test_lists(self) -> None:
        """A list is of people whom its owner follows."""
        for kept in LISTS:
            self.assertEqual(set(), set(kept.members) - set(FOLLOWS[kept.owner]))
