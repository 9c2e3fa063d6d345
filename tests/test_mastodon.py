"""
What Mastodon's database is asked, over statements that are answered by a script.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.link import Rows, SqlError
from flodgatt_tx.edge.mastodon import MastodonDatabase
from flodgatt_tx.errors import UNAVAILABLE, UNEXPECTED, RefusalError, UnavailableError
from flodgatt_tx.feeds import Feed
from flodgatt_tx.schema import LOOKED_FOR, PROBE, schema_from_columns
from flodgatt_tx.viewer import Viewer

NOW = [each for each in LOOKED_FOR if each != ("settings", "thing_type")]


class Script:
    """Answers statements: the probe with *columns*, others by what they ask FROM."""

    def __init__(self) -> None:
        self.columns = list(NOW)
        self.rows: dict[str, Rows] = {}
        self.failures: list[Exception] = []
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.held: list[Deferred[None]] | None = None

    @property
    def probes(self) -> int:
        """How often the tables were looked at."""
        return sum(sql == PROBE for sql, _ in self.asked)

    async def query(self, sql: str, parameters: Mapping[str, Any]) -> Rows:
        """See `Queries`."""
        self.asked.append((sql, parameters))
        if self.held is not None:
            held: Deferred[None] = Deferred()
            self.held.append(held)
            await held
        if sql == PROBE:
            if self.failures and not isinstance(self.failures[0], SqlError):
                raise self.failures.pop(0)
            return list(self.columns)
        if self.failures:
            raise self.failures.pop(0)
        schema = schema_from_columns(self.columns)
        for name, rows in self.rows.items():
            if getattr(schema, name) == sql:
                return rows
        return []


class DatabaseTests(SynchronousTestCase):
    """Rows to values."""

    def setUp(self) -> None:
        """Write an empty script."""
        self.script = Script()
        self.mastodon = MastodonDatabase(self.script)

    def answer(self, question: Any) -> Any:
        """The answer to a question."""
        return self.successResultOf(Deferred.fromCoroutine(question))

    def test_viewers(self) -> None:
        """Rows become viewers."""
        self.script.rows["viewers"] = [
            ("a", 11, 1, "read write", None, 0, False),
            ("b", 12, 2, None, ["de", "is"], 5, True),
        ]
        self.assertEqual(
            {
                "a": Viewer(11, 1, frozenset({"read", "write"}), None, 0, False),
                "b": Viewer(12, 2, frozenset(), frozenset({"de", "is"}), 5, True),
            },
            self.answer(self.mastodon.viewers(["a", "b", "c"])),
        )
        self.assertEqual({"tokens": ["a", "b", "c"]}, self.script.asked[-1][1])

    def test_viewers_again(self) -> None:
        """So they do when they are asked for by the ids of tokens."""
        self.script.rows["viewers_again"] = [("a", 11, 1, "read", [], 0, False)]
        viewer = Viewer(11, 1, frozenset({"read"}), frozenset(), 0, False)
        self.assertEqual({11: viewer}, self.answer(self.mastodon.viewers_again([11, 12])))

    def test_lists(self) -> None:
        """Rows pair lists with their owners."""
        self.script.rows["lists"] = [(2, 1)]
        self.assertEqual({2: 1}, self.answer(self.mastodon.list_owners([2, 3])))
        self.assertEqual({"lists": [2, 3]}, self.script.asked[-1][1])

    def test_relations(self) -> None:
        """Rows become relations."""
        self.script.rows["relations"] = [(50, 1, False), (50, 2, True)]
        relations = self.answer(self.mastodon.relations({50}, {50}))
        self.assertEqual(({50: {1}}, {50: {2}}), (relations.averse, relations.shunned))

    def test_domain_blocks(self) -> None:
        """Domains are normalised."""
        self.script.rows["domain_blocks"] = [(1, ["A.example", "bücher.example"])]
        self.assertEqual(
            {1: {"a.example", "xn--bcher-kva.example"}},
            self.answer(self.mastodon.domain_blocks([1, 2])),
        )

    def test_filters(self) -> None:
        """Rows become filters."""
        self.script.rows["filters"] = [
            (1, 7, "Beasts", ["public"], None, None, 1, "dragon", True),
            (1, 7, "Beasts", ["public"], None, None, 1, "wyvern", False),
            (2, 8, "Secrets", ["home"], None, None, 0, "secret", True),
        ]
        filters = self.answer(self.mastodon.filters([1, 2, 3]))
        self.assertEqual({1: ["7"], 2: ["8"]}, {k: [f.id for f in v] for k, v in filters.items()})
        self.assertEqual((("dragon", True), ("wyvern", False)), filters[1][0].keywords)

    def test_no_filters(self) -> None:
        """Old Mastodons have none to ask for."""
        self.script.columns.remove(("custom_filter_keywords", "keyword"))
        self.assertIsNone(self.answer(self.mastodon.filters([1])))
        self.assertEqual(1, len(self.script.asked))

    def test_closed_feeds(self) -> None:
        """Rows of settings say which feeds are closed."""
        self.script.rows["settings"] = [("local_live_feed_access", "--- disabled\n")]
        self.assertEqual({(Feed.LIVE, True)}, self.answer(self.mastodon.closed_feeds()))

    def test_namespaced(self) -> None:
        """A column tells whether REDIS_NAMESPACE counts."""
        self.assertIs(False, self.answer(self.mastodon.namespaced()))
        self.script.columns.append(("settings", "thing_type"))
        self.assertIs(True, self.answer(MastodonDatabase(self.script).namespaced()))


class ProbeTests(SynchronousTestCase):
    """When the tables are looked at."""

    def setUp(self) -> None:
        """Write an empty script."""
        self.script = Script()
        self.mastodon = MastodonDatabase(self.script)

    def asking(self) -> Deferred[Any]:
        """Ask something."""
        return Deferred.fromCoroutine(self.mastodon.viewers(["a"]))

    def test_once(self) -> None:
        """The tables are looked at once, however many ask at the same time."""
        self.script.held = []
        asked = [self.asking() for _ in range(5)]
        self.assertEqual(1, len(self.script.asked))
        held, self.script.held = self.script.held, None
        for each in held:
            each.callback(None)
        for each in asked:
            self.successResultOf(each)
        self.successResultOf(self.asking())
        self.assertEqual(1, self.script.probes)

    def test_changed(self) -> None:
        """A table or a column that is gone is a reason to look again, and to ask again."""
        self.successResultOf(self.asking())
        for sqlstate in ("42P01", "42703"):
            self.script.failures = [SqlError(sqlstate)]
            self.script.rows["viewers"] = [("a", 11, 1, "read", None, 0, False)]
            self.assertEqual(["a"], list(self.successResultOf(self.asking())))
        self.assertEqual(3, self.script.probes)

    def test_really_gone(self) -> None:
        """If it is still gone then, the question is refused, and nobody looks for ever."""
        self.script.failures = [SqlError("42P01"), SqlError("42P01")]
        failure = self.failureResultOf(self.asking(), RefusalError)
        self.assertEqual(UNEXPECTED, failure.value.message)
        self.assertEqual(2, self.script.probes)

    def test_refused(self) -> None:
        """Other refusals are no reason to look again."""
        self.script.failures = [SqlError("42501")]
        failure = self.failureResultOf(self.asking(), RefusalError)
        self.assertEqual((500, UNEXPECTED), (failure.value.status, failure.value.message))
        self.assertEqual(1, self.script.probes)

    def test_unavailable(self) -> None:
        """If the database does not answer everybody who asked is told, and may ask again."""
        self.script.held = []
        self.script.failures = [UnavailableError(UNAVAILABLE)]
        asked = [self.asking() for _ in range(2)]
        self.script.held.pop().callback(None)
        for each in asked:
            self.failureResultOf(each, UnavailableError)
        self.script.held = None
        self.successResultOf(self.asking())

    def test_given_up(self) -> None:
        """Who gives up while the tables are looked at harms nobody else."""
        self.script.held = []
        first, second = self.asking(), self.asking()
        first.addErrback(lambda failure: None)
        first.cancel()
        held, self.script.held = self.script.held, None
        held.pop().callback(None)
        self.successResultOf(second)

    def test_probe_refused(self) -> None:
        """If the tables cannot be looked at nothing can be asked."""

        class Refusing(Script):
            async def query(self, sql: str, parameters: Mapping[str, Any]) -> Rows:
                raise SqlError("42501")

        self.mastodon = MastodonDatabase(Refusing())
        self.failureResultOf(self.asking(), RefusalError)
