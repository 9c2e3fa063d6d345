"""
What Mastodon's database is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from flodgatt_tx.edge.link import Rows, SqlError
from flodgatt_tx.edge.metrics import REFUSED, UNAVAILABLE, Metrics
from flodgatt_tx.errors import UNEXPECTED, RefusalError, UnavailableError
from flodgatt_tx.feeds import SETTINGS, Closed, closed_feeds
from flodgatt_tx.filtering import Relations, normalize_domain, relations_from_rows
from flodgatt_tx.keyword_filters import Filter, Row, filters_from_rows
from flodgatt_tx.schema import PROBE, TABLES, Schema, schema_from_columns
from flodgatt_tx.scopes import parse_scopes
from flodgatt_tx.viewer import Viewer

LOOK_AGAIN = 60.0  # seconds
_UNDEFINED = frozenset({"42P01", "42703"})  # table, column


class Mastodon(Protocol):
    """
    The questions of a streaming server.

    Each raises UnavailableError if the database does not answer.
    """

    async def viewers(self, tokens: Sequence[str]) -> Mapping[str, Viewer]:
        """Who owns each of these tokens; those that are not good (any more) are left out."""
        ...

    async def viewers_again(self, token_ids: Sequence[int]) -> Mapping[int, Viewer]:
        """The same for tokens that were good before, by their ids."""
        ...

    async def list_owners(self, lists: Sequence[int]) -> Mapping[int, int]:
        """The account that owns each of these lists; those that do not exist are left out."""
        ...

    async def relations(self, people: Iterable[int], authors: Iterable[int]) -> Relations:
        """Who blocks or mutes these people, and whom these authors block."""
        ...

    async def domain_blocks(self, accounts: Sequence[int]) -> Mapping[int, frozenset[str]]:
        """The domains that each account blocks; who blocks none is left out."""
        ...

    async def filters(self, accounts: Sequence[int]) -> Mapping[int, tuple[Filter, ...]] | None:
        """
        The keyword filters of each account; who has none is left out.

        :return: None if this Mastodon leaves filtering by keyword to its clients.
        """
        ...

    async def closed_feeds(self) -> Closed:
        """Which feeds the site has switched off."""
        ...

    async def namespaced(self) -> bool:
        """Whether this Mastodon is one that honours REDIS_NAMESPACE."""
        ...


class Queries(Protocol):
    """Whatever runs statements: the pool."""

    async def query(self, sql: str, parameters: Mapping[str, Any]) -> Rows:
        """Run one statement that reads."""
        ...


class MastodonDatabase:
    """
    Mastodon's database in PostgreSQL.

    Its tables are looked at before the first question, and again when a question fails for a
    table or a column that is not there: Mastodon's migrations run while we are connected. What
    they have added fails nowhere, so the tables are looked at every minute, too.
    """

    _log = Logger()

    def __init__(
        self,
        pool: Queries,
        seconds: Callable[[], float] = time.monotonic,
        metrics: Metrics | None = None,
    ) -> None:
        self._pool = pool
        self._seconds = seconds
        self._metrics = metrics or Metrics()
        self._schema: Schema | None = None
        self._looked = 0.0
        self._probing: list[Deferred[Schema]] = []

    async def viewers(self, tokens: Sequence[str]) -> Mapping[str, Viewer]:
        """See `Mastodon.viewers`."""
        rows = await self._ask("viewers", tokens=list(tokens))
        return {token: _viewer(*columns) for token, *columns in rows}

    async def viewers_again(self, token_ids: Sequence[int]) -> Mapping[int, Viewer]:
        """See `Mastodon.viewers_again`."""
        rows = await self._ask("viewers_again", ids=list(token_ids))
        return {columns[0]: _viewer(*columns) for _, *columns in rows}

    async def list_owners(self, lists: Sequence[int]) -> Mapping[int, int]:
        """See `Mastodon.list_owners`."""
        rows = await self._ask("lists", lists=list(lists))
        return {list_id: account for list_id, account in rows}

    async def relations(self, people: Iterable[int], authors: Iterable[int]) -> Relations:
        """See `Mastodon.relations`."""
        rows = await self._ask("relations", people=list(people), authors=list(authors))
        return relations_from_rows(rows)

    async def domain_blocks(self, accounts: Sequence[int]) -> Mapping[int, frozenset[str]]:
        """See `Mastodon.domain_blocks`."""
        rows = await self._ask("domain_blocks", accounts=list(accounts))
        return {account: frozenset(map(normalize_domain, domains)) for account, domains in rows}

    async def filters(self, accounts: Sequence[int]) -> Mapping[int, tuple[Filter, ...]] | None:
        """See `Mastodon.filters`."""
        answer = await self._ask("filters", accounts=list(accounts))
        # Known only now: asking may have shown that the tables are others.
        if (await self._known_schema()).filters is None:
            return None
        rows: dict[int, list[Row]] = {}
        for account, *columns in answer:
            row: Any = columns
            rows.setdefault(account, []).append(row)
        return {account: filters_from_rows(theirs) for account, theirs in rows.items()}

    async def closed_feeds(self) -> Closed:
        """See `Mastodon.closed_feeds`."""
        return closed_feeds(await self._ask("settings", names=list(SETTINGS)))

    async def namespaced(self) -> bool:
        """See `Mastodon.namespaced`."""
        return (await self._known_schema()).namespaced

    async def _ask(self, question: str, **parameters: Any) -> Rows:
        try:
            return await self._ask_once(question, parameters)
        except SqlError as error:
            if error.sqlstate not in _UNDEFINED:
                raise self._unexpected(question, error) from None
        self._log.info("Mastodon's tables have changed; looking at them again")
        self._schema = None
        try:
            return await self._ask_once(question, parameters)
        except SqlError as error:
            raise self._unexpected(question, error) from None

    async def _ask_once(self, question: str, parameters: Mapping[str, Any]) -> Rows:
        statement: str | None = getattr(await self._known_schema(), question)
        return [] if statement is None else await self._query(question, statement, parameters)

    async def _query(self, question: str, statement: str, parameters: Mapping[str, Any]) -> Rows:
        """Run a statement whose parameters are lists, and measure it."""
        metrics, began = self._metrics, self._seconds()
        metrics.query_sizes[question].observe(max(map(len, parameters.values())))
        try:
            return await self._pool.query(statement, parameters)
        except (SqlError, UnavailableError) as error:
            reason = REFUSED if isinstance(error, SqlError) else UNAVAILABLE
            metrics.query_failures.counts[question, reason] += 1
            raise
        finally:
            metrics.query_times[question].observe(self._seconds() - began)

    def _unexpected(self, question: str, error: SqlError) -> RefusalError:
        self._log.error(
            "PostgreSQL refused to tell {question}: {error}", question=question, error=str(error)
        )
        return RefusalError(UNEXPECTED)

    def _known_schema(self) -> Deferred[Schema]:
        """Look at the tables if need be, once however many ask at the same time."""
        if self._schema is not None and self._seconds() < self._looked + LOOK_AGAIN:
            return succeed(self._schema)
        known: Deferred[Schema] = Deferred()
        self._probing.append(known)
        if len(self._probing) == 1:
            Deferred.fromCoroutine(self._probe()).addBoth(self._probed)
        return known

    async def _probe(self) -> Schema:
        try:
            rows = await self._query("tables", PROBE, {"tables": list(TABLES)})
        except SqlError as error:
            raise self._unexpected("which tables there are", error) from None
        self._schema = schema_from_columns((table, column) for table, column in rows)
        self._looked = self._seconds()
        return self._schema

    def _probed(self, outcome: Schema | Failure) -> None:
        probing, self._probing = self._probing, []
        for known in probing:
            if not known.called:
                known.callback(outcome)


def _viewer(
    token_id: int,
    account: int,
    scopes: str | None,
    languages: Sequence[str] | None,
    permissions: int,
    before_4: bool,
) -> Viewer:
    return Viewer(
        token_id=token_id,
        account_id=account,
        scopes=parse_scopes(scopes),
        languages=None if languages is None else frozenset(languages),
        permissions=permissions,
        before_4=before_4,
    )
