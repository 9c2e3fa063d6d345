"""
The SQL for the Mastodon that is there.

Releases differ in their tables and columns, and migrations run while we are connected: which
columns exist is asked first, and the statements are put together accordingly. Times in the
database are UTC without a zone, whatever the time zone of the session.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

NOW = "(now() AT TIME ZONE 'UTC')"

_KEYWORDS = ("custom_filter_keywords", "keyword")
# What may be missing; served are Mastodon 2.9 and later.
LOOKED_FOR = (
    ("accounts", "requested_deletion_at"),  # before 4.7
    _KEYWORDS,  # before 4.0
    ("mutes", "expires_at"),  # before 3.3
    ("settings", "thing_type"),  # since 4.4
    ("users", "role_id"),  # before 4.0
)
TABLES = tuple(sorted({table for table, _ in LOOKED_FOR}))
# Without these there is nothing to serve.
NEEDED_TABLES = (
    "accounts",
    "account_domain_blocks",
    "blocks",
    "lists",
    "mutes",
    "oauth_access_tokens",
    "users",
)

# Table and column of whatever LOOKED_FOR tables have; a missing table has no rows.
PROBE = """
SELECT c.relname::text, a.attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE a.attrelid IN (SELECT to_regclass(t) FROM unnest(%(tables)s::text[]) t)
AND a.attnum > 0 AND NOT a.attisdropped
"""


@dataclass(frozen=True, slots=True)
class Schema:
    """
    The statements for one shape of Mastodon's tables; parameters are named, `%(tokens)s`.

    *filters* is None where filters have no keywords yet: clients of such old releases do their
    own filtering. *namespaced* tells that REDIS_NAMESPACE counts.
    """

    viewers: str
    viewers_again: str
    lists: str
    relations: str
    domain_blocks: str
    filters: str | None
    settings: str
    namespaced: bool


def schema_from_columns(columns: Iterable[tuple[str, str]]) -> Schema:
    """Put the statements together from the (table, column) pairs that exist."""
    there = frozenset(columns)
    # Mastodon 4.3, the last to put a namespace before its channels, is known by this column.
    settings_of_things = ("settings", "thing_type") in there
    return Schema(
        viewers=f"{_viewers(there)} AND t.token = ANY(%(tokens)s)",
        viewers_again=f"{_viewers(there)} AND t.id = ANY(%(ids)s::bigint[])",
        lists="SELECT id, account_id FROM lists WHERE id = ANY(%(lists)s::bigint[])",
        relations=_relations(("mutes", "expires_at") in there),
        domain_blocks="SELECT account_id, array_agg(domain) FROM account_domain_blocks"
        " WHERE account_id = ANY(%(accounts)s::bigint[]) AND domain IS NOT NULL"
        " GROUP BY account_id",
        filters=_FILTERS if _KEYWORDS in there else None,
        settings="SELECT var, value FROM settings WHERE var = ANY(%(names)s)"
        f"{' AND thing_type IS NULL' if settings_of_things else ''}",
        namespaced=settings_of_things,
    )


def _viewers(there: frozenset[tuple[str, str]]) -> str:
    """
    Good tokens: token, its id, account id, scopes, chosen languages, permissions, and whether this
    is a Mastodon before 4.0.
    """
    roles = ("users", "role_id") in there
    deletion = ("accounts", "requested_deletion_at") in there
    return (
        "SELECT t.token, t.id, u.account_id, t.scopes, u.chosen_languages,"
        f" {'COALESCE(r.permissions, 0)' if roles else '0'}, {str(_KEYWORDS not in there).upper()}"
        " FROM oauth_access_tokens t JOIN users u ON u.id = t.resource_owner_id"
        " JOIN accounts a ON a.id = u.account_id"
        f"{' LEFT JOIN user_roles r ON r.id = u.role_id' if roles else ''}"
        f" WHERE t.revoked_at IS NULL AND ({_NOT_EXPIRED})"
        " AND NOT u.disabled AND a.suspended_at IS NULL"
        f"{' AND a.requested_deletion_at IS NULL' if deletion else ''}"
    )


_NOT_EXPIRED = f"t.expires_in IS NULL OR t.created_at + t.expires_in * interval '1 second' > {NOW}"

# Accounts to (account, filter, title, context, expiry as text and as seconds, action, keyword,
# whether it is a whole word). OFFSET 0 keeps PostgreSQL from reading the whole table of keywords
# where many accounts are asked for: it would rather do that than look each filter up.
_FILTERS = f"""
SELECT f.account_id, f.id, f.phrase, f.context,
to_char(f.expires_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), extract(epoch FROM f.expires_at)::float8,
f.action, k.keyword, k.whole_word
FROM custom_filters f CROSS JOIN LATERAL (
SELECT id, keyword, whole_word FROM custom_filter_keywords WHERE custom_filter_id = f.id OFFSET 0
) k WHERE f.account_id = ANY(%(accounts)s::bigint[])
AND (f.expires_at IS NULL OR f.expires_at > {NOW})
ORDER BY f.account_id, f.id, k.id
"""


def _relations(mutes_expire: bool) -> str:
    """People and authors to (person, account, whether the person blocks the account)."""
    expired = f" AND (expires_at IS NULL OR expires_at > {NOW})" if mutes_expire else ""
    return (
        "SELECT target_account_id, account_id, false FROM blocks"
        " WHERE target_account_id = ANY(%(people)s::bigint[])"
        " UNION ALL SELECT target_account_id, account_id, false FROM mutes"
        f" WHERE target_account_id = ANY(%(people)s::bigint[]){expired}"
        " UNION ALL SELECT account_id, target_account_id, true FROM blocks"
        " WHERE account_id = ANY(%(authors)s::bigint[])"
    )
