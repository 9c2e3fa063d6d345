"""
Real servers keep the contracts that the fakes are held to.
"""

from __future__ import annotations

import atexit
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.trial.unittest import TestCase
from typing_extensions import override

from flodgatt_tx.database_settings import DatabaseSettings
from flodgatt_tx.demo import servers
from flodgatt_tx.demo.processes import POSTGRES_USER
from flodgatt_tx.demo.servers import Servers
from flodgatt_tx.edge.database import Pool
from flodgatt_tx.edge.mastodon import Mastodon, MastodonDatabase
from flodgatt_tx.edge.redis import Command
from tests.contracts import MastodonContract, RedisContract, Site
from tests.integration.site import Redis, happens, new_database, shared_servers

PASSWORD = "open sesame"


@functools.cache
def guarded_redis() -> Servers:
    """Start a Redis for these tests alone, for they cut its connections; it has a password."""
    opened = servers.start(["redis"], redis_options=["--requirepass", PASSWORD])
    atexit.register(opened.stop)
    return opened


class PostgresContractTests(MastodonContract, TestCase):
    """Mastodon's tables in PostgreSQL; each test has a database of its own."""

    @override
    async def given(self, site: Site) -> Mastodon:
        self.database = new_database()
        self.insert_people(site)
        pairs = [*site.lists, *site.blocks, *site.mutes]
        accounts = {id_ for pair in pairs for id_ in pair} | set(site.blocked_domains)
        accounts |= {viewer.account_id for viewer in site.tokens.values()}
        self.insert("accounts (id, username)", ((id_, f"a{id_}") for id_ in accounts))
        self.insert("lists (account_id, id)", site.lists)
        self.insert("blocks (account_id, target_account_id)", site.blocks)
        self.insert("mutes (account_id, target_account_id)", site.mutes)
        self.insert(
            "account_domain_blocks (account_id, domain)",
            ((id_, domain) for id_, names in site.blocked_domains.items() for domain in names),
        )
        if site.namespaced:
            self.sql("ALTER TABLE settings ADD COLUMN thing_type varchar")
        opened = shared_servers()
        pool = Pool(
            reactor,
            DatabaseSettings(
                user=POSTGRES_USER,
                database=self.database,
                host=opened.host,
                port=opened.postgres_port,
            ),
        )
        self.addCleanup(pool.stopService)
        return MastodonDatabase(pool)

    def insert_people(self, site: Site) -> None:
        """Fill the tables that tokens lead through; each account's user has its id."""
        for token, viewer in site.tokens.items():
            account = viewer.account_id
            languages = None if viewer.languages is None else list(viewer.languages)
            role = account if viewer.permissions else None
            if role:
                self.insert("user_roles (id, permissions)", [(role, viewer.permissions)])
            user = (account, account, f"{account}@site.example", languages, role)
            columns = "users (id, account_id, email, chosen_languages, role_id)"
            self.insert(columns, [user])
            scopes = " ".join(sorted(viewer.scopes))
            self.insert(
                "oauth_access_tokens (id, token, resource_owner_id, scopes)",
                [(viewer.token_id, token, account, scopes)],
            )

    def insert(self, into: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Insert rows that are not there, in whatever order the tables depend on each other."""
        for row in rows:
            places = ", ".join(["%s"] * len(row))
            self.sql(
                "SET session_replication_role = replica;"
                f" INSERT INTO {into} VALUES ({places}) ON CONFLICT DO NOTHING",
                *row,
            )

    def sql(self, text: str, *values: object, database: str = "") -> None:
        """Run SQL."""
        shared_servers().sql(text, values or None, database=database or self.database)

    @override
    async def break_down(self) -> None:
        self.sql(
            f"ALTER DATABASE {self.database} ALLOW_CONNECTIONS false;"
            " SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            self.database,
            database="postgres",
        )


class RedisContractTests(RedisContract, TestCase):
    """A real Redis, with a password."""

    def setUp(self) -> None:
        """Find it empty."""
        self.reactor: Any = reactor
        self.redis = Redis(guarded_redis().redis_port)
        self.addCleanup(self.redis.close)
        self.redis("AUTH", PASSWORD)
        self.forget()

    def forget(self) -> None:
        """Cut off everybody else, and forget everything."""
        for kind in ("normal", "pubsub"):
            self.redis("CLIENT", "KILL", "TYPE", kind)
        self.redis("FLUSHALL")

    @override
    async def reach(self) -> tuple[IStreamClientEndpoint, Sequence[Command]]:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", guarded_redis().redis_port)
        return endpoint, [("AUTH", PASSWORD)]

    @override
    async def publish(self, channel: str, message: bytes) -> None:
        self.redis("PUBLISH", channel, message)

    @override
    async def channels(self) -> set[str]:
        return self.redis.channels()

    @override
    async def time_to_live(self, key: str) -> int | None:
        seconds = int(self.redis("TTL", key))
        return seconds if seconds >= 0 else None

    @override
    async def cut(self) -> None:
        self.forget()

    @override
    async def until(self, condition: Callable[[], bool]) -> None:
        await happens(condition, "what the contract says")
