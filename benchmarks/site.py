"""Redis, and a PostgreSQL with many people who block and mute each other."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flodgatt_tx.demo import servers
from flodgatt_tx.demo.servers import Servers
from flodgatt_tx.demo.site import SCHEMA

AUTHOR = 900_001  # of the statuses that everybody is to read
STRANGERS = 500  # who block the author, and never listen

_STATEMENT = re.compile(rb"LOG:  (?:statement|execute [^:]*):")


@contextmanager
def open_site(people: int, relations: int) -> Iterator[Servers]:
    """
    Start Redis and PostgreSQL.

    There are accounts 1 to *people* with tokens `tok1` …, each of whom blocks and mutes *relations*
    others, and `AUTHOR`, whom nobody of them blocks.
    """
    with servers.start() as site:
        site.create_database()
        site.load(SCHEMA)
        _populate(site, people, relations)
        yield site


def _populate(site: Servers, people: int, relations: int) -> None:
    site.sql(
        # Triggers, and foreign keys with them, would only take time: the rows are right.
        "SET session_replication_role = replica;"
        "INSERT INTO accounts (id, username)"
        " SELECT i, 'u' || i FROM generate_series(1, %(people)s) i"
        " UNION ALL SELECT i, 'u' || i FROM generate_series(%(author)s, %(last)s) i;"
        "INSERT INTO users (id, account_id, email)"
        " SELECT i, i, i || '@x' FROM generate_series(1, %(people)s) i;"
        "INSERT INTO oauth_access_tokens (id, token, resource_owner_id, scopes)"
        " SELECT i, 'tok' || i, i, 'read' FROM generate_series(1, %(people)s) i;"
        "INSERT INTO blocks (account_id, target_account_id)"
        " SELECT DISTINCT i, 1 + (i * 7919 + j * 104729) %% %(people)s"
        " FROM generate_series(1, %(people)s) i, generate_series(1, %(relations)s) j;"
        "INSERT INTO mutes (account_id, target_account_id)"
        " SELECT DISTINCT i, 1 + (i * 6007 + j * 15485863::bigint) %% %(people)s"
        " FROM generate_series(1, %(people)s) i, generate_series(1, %(relations)s) j;"
        "INSERT INTO blocks (account_id, target_account_id)"
        " SELECT i, %(author)s FROM generate_series(%(author)s + 1, %(last)s) i;"
        "ANALYZE",
        {  # type: ignore[arg-type] # names are as good as places
            "people": people,
            "relations": relations,
            "author": AUTHOR,
            "last": AUTHOR + STRANGERS,
        },
    )


def count_queries(site: Servers, action: Callable[[], object]) -> int:
    """Do something, and count what PostgreSQL is asked meanwhile, by its own log."""
    log = site.directory / "postgres.log"
    _log_statements(site, "SET log_statement = 'all'")
    before = log.stat().st_size
    action()
    asked = log.read_bytes()[before:]
    _log_statements(site, "RESET log_statement")
    return len(_STATEMENT.findall(asked))


def _log_statements(site: Servers, change: str) -> None:
    site.sql(f"ALTER SYSTEM {change}")
    site.sql("SELECT pg_reload_conf()")
    time.sleep(0.5)  # nobody says when the last process has heard of it
