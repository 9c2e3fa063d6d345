"""
How PostgreSQL goes about the statements of a streaming server, on the tables of a large site.

    python -m benchmarks.query_plans            the plans, and a table of times
    python -m benchmarks.query_plans --brief    the table alone

This starts a PostgreSQL of its own (its programs are found as for `make run`), fills
it with 100 000 accounts with a user each, a million access tokens, blocks and mutes, 300 000 domain
blocks and 100 000 filters of two keywords, and takes it away again: a minute, and 1 GB in /tmp. Of
the blocks 25 000 are of one account. The rows are the same in every run.

Plans are what `EXPLAIN (ANALYZE, BUFFERS)` says once everything is in memory. Times are what one
client sees, from sending a statement to having its rows: medians of many runs, each with other
parameters.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from hashlib import md5
from typing import Any

import psycopg2

from flodgatt_tx.demo import servers
from flodgatt_tx.demo.processes import POSTGRES_USER
from flodgatt_tx.demo.servers import Servers
from flodgatt_tx.demo.site import SCHEMA
from flodgatt_tx.feeds import SETTINGS
from flodgatt_tx.schema import PROBE, TABLES, schema_from_columns

ACCOUNTS = 100_000
FIRST = 110_000_000_000_000_000  # an id, a snowflake as Mastodon's
HATED = FIRST + ACCOUNTS  # whom 25 000 block
RUNS = 60

# Triggers, and foreign keys with them, would only take time: the rows are right.
FILL = f"""
SET session_replication_role = replica;
SELECT setseed(0.5);
INSERT INTO accounts (id, username, domain)
SELECT {FIRST} + n, 'person' || n, NULL FROM generate_series(1, {ACCOUNTS}) n;
INSERT INTO user_roles (id, name, permissions) VALUES (1, 'Moderator', 1 << 20);
INSERT INTO users (id, account_id, email, role_id, chosen_languages)
SELECT n, {FIRST} + n, 'person' || n || '@site.example', CASE WHEN n % 1000 = 0 THEN 1 END,
CASE WHEN n % 5 = 0 THEN '{{de,en}}'::varchar[] END FROM generate_series(1, {ACCOUNTS}) n;
INSERT INTO oauth_access_tokens (id, token, scopes, resource_owner_id, revoked_at)
SELECT n, md5(n::text) || substr(md5((-n)::text), 1, 11), 'read write follow push',
n % {ACCOUNTS} + 1, CASE WHEN n % 20 = 0 THEN now() END FROM generate_series(1, 1000000) n;
INSERT INTO blocks (account_id, target_account_id)
SELECT {FIRST} + n, {HATED} FROM generate_series(1, 25000) n;
INSERT INTO blocks (account_id, target_account_id)
SELECT {FIRST} + 1 + n % {ACCOUNTS}, {FIRST} + 1 + floor(random() * ({ACCOUNTS} - 1))::bigint
FROM generate_series(1, 980000) n ON CONFLICT DO NOTHING;
INSERT INTO mutes (account_id, target_account_id, expires_at)
SELECT {FIRST} + 1 + n % {ACCOUNTS}, {FIRST} + 1 + floor(random() * ({ACCOUNTS} - 1))::bigint,
CASE WHEN n % 20 = 0 THEN now() + (n % 40 - 10) * interval '1 day' END
FROM generate_series(1, 1005000) n ON CONFLICT DO NOTHING;
INSERT INTO account_domain_blocks (account_id, domain)
SELECT {FIRST} + 1 + floor(random() * ({ACCOUNTS} - 1))::bigint, 'site' || n % 5000 || '.example'
FROM generate_series(1, 300000) n ON CONFLICT DO NOTHING;
INSERT INTO lists (id, account_id)
SELECT n, {FIRST} + 1 + n % {ACCOUNTS} FROM generate_series(1, 50000) n;
INSERT INTO custom_filters (id, account_id, phrase, context)
SELECT n, {FIRST} + 1 + floor(random() * ({ACCOUNTS} - 1))::bigint, 'spoilers', '{{home,public}}'
FROM generate_series(1, 100000) n;
INSERT INTO custom_filter_keywords (custom_filter_id, keyword)
SELECT 1 + n % 100000, 'keyword' || n FROM generate_series(1, 200000) n;
INSERT INTO settings (var, value)
SELECT 'setting' || n, '--- true' FROM generate_series(1, 60) n;
INSERT INTO settings (var, value) VALUES ('local_live_feed_access', E'--- disabled\\n');
"""

Parameters = Callable[[random.Random], Mapping[str, Any]]


def people(how_many: int, chance: random.Random) -> list[int]:
    """Choose some accounts."""
    return [FIRST + each for each in chance.sample(range(1, ACCOUNTS), how_many)]


def statements() -> dict[str, tuple[str, Parameters]]:
    """Name the statements and what to ask them."""
    schema = schema_from_columns(
        [
            ("custom_filter_keywords", "keyword"),
            ("mutes", "expires_at"),
            ("users", "role_id"),
        ]
    )
    assert schema.filters is not None

    def tokens(how_many: int) -> Parameters:
        return lambda chance: {"tokens": [token(chance) for _ in range(how_many)]}

    def token_ids(how_many: int) -> Parameters:
        return lambda chance: {"ids": chance.sample(range(1, 1_000_000), how_many)}

    def statuses(how_many: int) -> Parameters:
        def parameters(chance: random.Random) -> Mapping[str, Any]:
            them = people(4 * how_many, chance)
            return {"people": them, "authors": them[:how_many]}

        return parameters

    def accounts(how_many: int) -> Parameters:
        return lambda chance: {"accounts": people(how_many, chance)}

    return {
        "viewers, 1 token": (schema.viewers, tokens(1)),
        "viewers, 500 tokens": (schema.viewers, tokens(500)),
        "viewers_again, 1 token": (schema.viewers_again, token_ids(1)),
        "viewers_again, 500 tokens": (schema.viewers_again, token_ids(500)),
        "lists": (
            schema.lists,
            lambda chance: {"lists": [chance.randint(1, 50_000)]},
        ),
        "relations, 1 status with 3 mentions": (schema.relations, statuses(1)),
        "relations, 50 statuses with 3 mentions": (schema.relations, statuses(50)),
        "relations, 500 statuses with 3 mentions": (schema.relations, statuses(500)),
        "relations, an author whom 25 000 block": (
            schema.relations,
            lambda chance: {"people": [HATED, *people(3, chance)], "authors": [HATED]},
        ),
        "domain_blocks, 1 account": (schema.domain_blocks, accounts(1)),
        "domain_blocks, 100 accounts": (schema.domain_blocks, accounts(100)),
        "domain_blocks, 500 accounts": (schema.domain_blocks, accounts(500)),
        "filters, 1 account": (schema.filters, accounts(1)),
        "filters, 100 accounts": (schema.filters, accounts(100)),
        "filters, 500 accounts": (schema.filters, accounts(500)),
        "settings": (schema.settings, lambda chance: {"names": list(SETTINGS)}),
        "probe": (PROBE, lambda chance: {"tables": list(TABLES)}),
    }


def token(chance: random.Random) -> str:
    """Choose one of the tokens that `FILL` makes."""
    number = chance.randint(1, 1_000_000)
    return md5(b"%d" % number).hexdigest() + md5(b"%d" % -number).hexdigest()[:11]


def measure(cursor: Any, statement: str, parameters: Parameters) -> tuple[float, int]:
    """Return the median time in milliseconds, and how many rows there were in the last run."""
    times: list[float] = []
    for _ in ("to bring everything into memory", "to be measured"):
        chance = random.Random(1)
        times.clear()
        for _ in range(RUNS):
            asked = parameters(chance)
            started = time.perf_counter()
            cursor.execute(statement, asked)
            cursor.fetchall()
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000, cursor.rowcount


def explain(cursor: Any, statement: str, parameters: Parameters) -> list[str]:
    """Return the plan; long lists of parameters are shortened."""
    cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", parameters(random.Random(1)))
    lines = [line for (line,) in cursor.fetchall()]
    return [line if len(line) <= 150 else f"{line[:120]} …" for line in lines]


def fill(opened: Servers) -> None:
    """Make the tables, and let PostgreSQL learn about them."""
    opened.sql("ALTER SYSTEM SET shared_buffers = '1GB'", database="postgres")
    opened.stop_server("postgres")
    opened.start_server("postgres")
    opened.create_database()
    opened.load(SCHEMA)
    opened.sql(FILL)
    opened.sql("VACUUM ANALYZE")


def main() -> None:
    """Print the plans and the times."""
    brief = "--brief" in sys.argv[1:]
    with servers.start(["postgres"]) as opened:
        print("filling the tables ...", file=sys.stderr)
        fill(opened)
        connection = psycopg2.connect(
            host=opened.host,
            port=opened.postgres_port,
            user=POSTGRES_USER,
            dbname=servers.DATABASE,
        )
        connection.autocommit = True
        cursor = connection.cursor()
        print(opened.sql("SELECT version()")[0][0])
        table = ["| statement | rows | ms |", "|---|--:|--:|"]
        for name, (statement, parameters) in statements().items():
            milliseconds, rows = measure(cursor, statement, parameters)
            table.append(f"| {name} | {rows} | {milliseconds:.2f} |")
            if not brief:
                print(f"\n== {name}", *explain(cursor, statement, parameters), sep="\n")
        print("", *table, sep="\n")
        connection.close()


if __name__ == "__main__":
    main()
