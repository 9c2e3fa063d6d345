"""
`--check`: whether the server could do its work with these settings, in plain words.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionRefusedError, DNSLookupError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from txredisapi import RedisError

from flodgatt_tx.database_settings import DatabaseSettings
from flodgatt_tx.edge.database import Pool
from flodgatt_tx.edge.link import BrokenLinkError, SqlError
from flodgatt_tx.edge.redis import CommandProtocol, greeting
from flodgatt_tx.edge.sentinel import SentinelError, way_to_redis
from flodgatt_tx.edge.tls import tls_problem
from flodgatt_tx.edge.trust import TrustError, with_authorities
from flodgatt_tx.redis_settings import RedisSettings
from flodgatt_tx.schema import NEEDED_TABLES, PROBE, TABLES, schema_from_columns
from flodgatt_tx.settings import Settings

PATIENCE = 10.0  # seconds


async def find_problems(reactor: Any, settings: Settings) -> list[str]:
    """Try Redis and PostgreSQL; return what is wrong, a sentence each."""
    redis = await _check_redis(reactor, settings)
    postgres = await _check_postgres(reactor, settings)
    return [*redis, *postgres]


async def _check_redis(reactor: Any, settings: Settings) -> list[str]:
    where = _redis_address(settings.redis)
    try:
        endpoint = way_to_redis(reactor, settings.redis, settings.extra_ca_certs)
        await _greet(reactor, endpoint, settings.redis)
    except (TrustError, SentinelError) as error:
        return [f"Redis: {error}"]
    except DNSLookupError:
        return [f"Redis: the host name {settings.redis.host} is not known"]
    except ConnectionRefusedError:
        return [f"Redis: nothing listens at {where}"]
    except RedisError as error:
        return [f"Redis at {where} refused us: {error}"]
    except ConnectError as error:
        return [f"Redis at {where} cannot be reached: {error.osError or error}"]
    except Exception as error:
        if problem := tls_problem(error):
            return [f"Redis at {where} cannot be reached over TLS: {problem}"]
        return [f"Redis at {where} does not answer as Redis does: {_say(error)}"]
    return []


def _redis_address(settings: RedisSettings) -> str:
    if settings.sentinels:
        return f"the master {settings.sentinel_master}"
    return settings.socket or f"{settings.host}:{settings.port}"


def _say(error: Exception) -> str:
    """Say what an error means."""
    return str(error) or type(error).__name__


async def _greet(reactor: Any, endpoint: IStreamClientEndpoint, settings: RedisSettings) -> None:
    ready: Deferred[CommandProtocol] = Deferred()

    def lost() -> None:
        if not ready.called:
            ready.errback(ConnectError(string="the connection was closed"))

    protocol: Any = await endpoint.connect(
        Factory.forProtocol(lambda: CommandProtocol(reactor, (), ready.callback, lost))
    ).addTimeout(PATIENCE, reactor)
    try:
        await ready.addTimeout(PATIENCE, reactor)
        await protocol.run([*greeting(settings), ("PING",)]).addTimeout(PATIENCE, reactor)
    finally:
        protocol.transport.abortConnection()


async def _check_postgres(reactor: Any, settings: Settings) -> list[str]:
    try:
        database = with_authorities(settings.database, settings.extra_ca_certs)
    except TrustError as error:
        return [f"PostgreSQL: {error}"]
    return await _check_database(reactor, database)


async def _check_database(reactor: Any, settings: DatabaseSettings) -> list[str]:
    pool = Pool(reactor, settings)
    try:
        rows = await pool.attempt(PROBE, {"tables": [*TABLES, *NEEDED_TABLES]})
        there = {table for table, _ in rows}
        missing = [table for table in NEEDED_TABLES if table not in there]
        if missing:
            return [
                f"PostgreSQL: the database {settings.database} has no table"
                f" {', '.join(missing)}; is it Mastodon's?"
            ]
        schema = schema_from_columns((table, column) for table, column in rows)
        await pool.attempt(schema.viewers, {"tokens": ["check"]})
        await pool.attempt(schema.relations, {"people": [0], "authors": [0]})
    except BrokenLinkError as error:
        return [f"PostgreSQL: {error}"]
    except SqlError as error:
        return [f"PostgreSQL does not let {settings.user} read Mastodon's tables ({error})"]
    finally:
        pool.stopService()
    return []
