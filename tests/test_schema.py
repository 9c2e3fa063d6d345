"""The SQL for the Mastodon that is there."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.schema import LOOKED_FOR, NOW, PROBE, TABLES, schema_from_columns
from tests.properties import FEW

EVERYTHING = frozenset(LOOKED_FOR)
KEYWORDS = ("custom_filter_keywords", "keyword")
COLUMN_SETS = some.frozensets(some.sampled_from(LOOKED_FOR))


def parameters(statement: str) -> set[str]:
    """Find the parameters that a statement takes."""
    return set(re.findall(r"%\((\w+)\)s", statement))


class SchemaTests(SynchronousTestCase):
    """The statements fit the tables."""

    def test_parameters(self) -> None:
        """Whatever the release, the statements take the same parameters."""
        for columns in (frozenset({KEYWORDS}), EVERYTHING):
            schema = schema_from_columns(columns)
            for expected, statement in (
                ({"tokens"}, schema.viewers),
                ({"ids"}, schema.viewers_again),
                ({"lists"}, schema.lists),
                ({"people", "authors"}, schema.relations),
                ({"accounts"}, schema.domain_blocks),
                ({"accounts"}, schema.filters or ""),
                ({"names"}, schema.settings),
            ):
                self.assertEqual(expected, parameters(statement), msg=statement)
                self.assertNotIn("%", re.sub(r"%\(\w+\)s", "", statement))
        self.assertEqual({"tables"}, parameters(PROBE))

    def test_who_may_come(self) -> None:
        """A token counts, now and later, if it, its user and its account are all good."""
        schema = schema_from_columns(EVERYTHING)
        for statement in (schema.viewers, schema.viewers_again):
            conditions = statement.split(" WHERE ")[1]
            self.assertEqual(
                [
                    "t.revoked_at IS NULL",
                    "(t.expires_in IS NULL"
                    f" OR t.created_at + t.expires_in * interval '1 second' > {NOW})",
                    "NOT u.disabled",
                    "a.suspended_at IS NULL",
                    "a.requested_deletion_at IS NULL",
                ],
                conditions.split(" AND ")[:-1],
            )

    def test_older_releases(self) -> None:
        """Where nobody has a role, nobody has permissions; where no one asks to go, all stay."""
        schema = schema_from_columns([])
        for statement in (schema.viewers, schema.viewers_again):
            self.assertIn(", u.chosen_languages, 0, TRUE FROM", statement)
            self.assertNotIn("user_roles", statement)
            self.assertNotIn("requested_deletion_at", statement)

    def test_before_4(self) -> None:
        """Where filters have no keywords, viewers are told to be of an old Mastodon."""
        for expected, columns in (("FALSE", EVERYTHING), ("TRUE", EVERYTHING - {KEYWORDS})):
            schema = schema_from_columns(columns)
            for statement in (schema.viewers, schema.viewers_again):
                self.assertTrue(statement.split(" FROM ")[0].endswith(f", {expected}"), statement)

    def test_filters(self) -> None:
        """There is no statement for filters that have no keywords."""
        self.assertEqual(None, schema_from_columns(EVERYTHING - {KEYWORDS}).filters)

    def test_settings(self) -> None:
        """Where users have settings, too, only the site's are read."""
        thing = ("settings", "thing_type")
        self.assertIn(" AND thing_type IS NULL", schema_from_columns([thing]).settings)
        self.assertNotIn("thing_type", schema_from_columns(EVERYTHING - {thing}).settings)

    def test_mutes(self) -> None:
        """Mutes that have expired do not count, where mutes can expire."""
        expired = f"(expires_at IS NULL OR expires_at > {NOW})"
        self.assertIn(expired, schema_from_columns([("mutes", "expires_at")]).relations)
        self.assertNotIn("expires_at", schema_from_columns([]).relations)

    def test_namespace(self) -> None:
        """A namespace counts for the releases whose settings have a thing type."""
        self.assertTrue(schema_from_columns([("settings", "thing_type")]).namespaced)
        self.assertFalse(schema_from_columns(EVERYTHING - {("settings", "thing_type")}).namespaced)

    def test_tables(self) -> None:
        """Every table of which a column is looked for is probed, and named once."""
        self.assertEqual(sorted({table for table, _ in LOOKED_FOR}), list(TABLES))

    @given(COLUMN_SETS)
    @FEW
    def test_any_release(self, columns: frozenset[tuple[str, str]]) -> None:
        """Whatever columns there are, no statement names one that is missing."""
        schema = schema_from_columns([*columns, ("users", "unheard_of")])
        statements = {"settings": schema.settings, "mutes": schema.relations}
        for table, column in EVERYTHING - columns - {KEYWORDS}:
            self.assertNotIn(column, statements.get(table, schema.viewers), msg=column)

    @given(COLUMN_SETS)
    @FEW
    def test_repeatable(self, columns: frozenset[tuple[str, str]]) -> None:
        """The same columns, in whatever order and however often, make the same statements."""
        backwards = sorted(columns, reverse=True) * 2
        self.assertEqual(schema_from_columns(columns), schema_from_columns(backwards))
