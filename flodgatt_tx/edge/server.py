"""
Where the objects of one server meet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamServerEndpoint

from flodgatt_tx.edge.accounts import Accounts
from flodgatt_tx.edge.admission import Admission
from flodgatt_tx.edge.api import Api
from flodgatt_tx.edge.broadcast import Broadcast
from flodgatt_tx.edge.census import Census
from flodgatt_tx.edge.database import Pool
from flodgatt_tx.edge.dependency import COMMANDS, SUBSCRIPTIONS, Dependency
from flodgatt_tx.edge.entrance import EntranceFactory
from flodgatt_tx.edge.failover import keep_informed
from flodgatt_tx.edge.feed_access import FeedAccess
from flodgatt_tx.edge.gaps import Gaps
from flodgatt_tx.edge.garbage import Garbage
from flodgatt_tx.edge.heartbeat import Heartbeat
from flodgatt_tx.edge.judging import Judge
from flodgatt_tx.edge.lag import Lag
from flodgatt_tx.edge.listeners import Listeners
from flodgatt_tx.edge.login import Login
from flodgatt_tx.edge.mastodon import Mastodon, MastodonDatabase
from flodgatt_tx.edge.metrics import Metrics
from flodgatt_tx.edge.namespace import NamespacedServices
from flodgatt_tx.edge.outlet import Backlog
from flodgatt_tx.edge.presence import Presence, keep_present
from flodgatt_tx.edge.pubsub import PubSub, keep_subscribed
from flodgatt_tx.edge.readers import Reader
from flodgatt_tx.edge.readiness import Readiness
from flodgatt_tx.edge.rechecks import Rechecks
from flodgatt_tx.edge.redis import Command, greeting
from flodgatt_tx.edge.reports import Reports
from flodgatt_tx.edge.sentinel import way_to_redis
from flodgatt_tx.edge.shutdown import SIGNALS, Shutdown
from flodgatt_tx.edge.subscribing import Subscriber
from flodgatt_tx.edge.systemd import Notifier
from flodgatt_tx.edge.trust import with_authorities
from flodgatt_tx.edge.web import StreamingApi, StreamingSite
from flodgatt_tx.edge.websocket import StreamingSocketFactory
from flodgatt_tx.limits import Limits
from flodgatt_tx.settings import Settings
from flodgatt_tx.trusted_proxies import Network
from flodgatt_tx.wheel import Wheel

PING_PERIOD = 30  # seconds, WebSocket
THUMP_PERIOD = 15  # seconds, SSE
_STANDARD = Limits()


@dataclass(frozen=True, slots=True)
class Parts:
    """
    The parts of a server that know neither where PostgreSQL is nor where Redis is.

    Those that are *timed* have something to do by themselves; *readers* are all who are logged in.
    """

    metrics: Metrics
    pubsub: PubSub
    presence: Presence
    api: Api
    front: EntranceFactory
    readers: Wheel[Reader]
    timed: Sequence[IService]


def make_parts(
    reactor: Any,
    mastodon: Mastodon,
    domain_blocks_age: int = 30,
    limits: Limits = _STANDARD,
    trusted_proxies: Sequence[Network] = (),
    status: bool = False,
    metrics: Metrics | None = None,
) -> Parts:
    """
    Put the parts together around a *mastodon* that can be asked.

    *domain_blocks_age* is in seconds; *status* is told to everybody, or to nobody.
    *metrics* are there if somebody else counts, too.
    """
    metrics = metrics or Metrics()
    reports = Reports()
    reports.add("metrics", metrics.families)
    admission = Admission(limits, trusted_proxies, metrics, reactor)
    metrics.watch("open_connections", "Connections, whatever they are for", lambda: admission.here)
    feed_access = FeedAccess(mastodon, reactor)
    accounts = Accounts(mastodon, feed_access, reactor, domain_blocks_age)
    rechecks = Rechecks(mastodon, accounts.refresh, reactor, metrics)
    judge = Judge(mastodon, feed_access, reactor, metrics)
    broadcast = Broadcast(judge, reactor, metrics, accounts.reload)
    census = Census(rechecks.items, broadcast)
    reports.add("status", census.count)
    reports.add("timelines", census.timelines)
    reports.add("busiest", census.busiest)
    redis = Dependency("Redis", reactor, SUBSCRIPTIONS, COMMANDS)
    readiness = Readiness(reactor, metrics)
    readiness.add(redis)
    reports.add("readiness", readiness.report)
    gaps = Gaps(reactor, metrics, redis)
    # After a gap all is asked for that may have been announced while nobody heard it.
    pubsub = PubSub(reactor, broadcast, rechecks.hurry, gaps)
    broadcast.delivery.producer = pubsub
    presence = Presence(reactor, redis)
    metrics.watch("redis_subscriptions", "Channels subscribed in Redis", pubsub.__len__)
    backlog = Backlog(limits.unsent, limits.unsent_total)
    metrics.watch("unsent_bytes", "Bytes that wait for clients", lambda: backlog.total)
    metrics.watch("unsent_clients", "Clients for whom they wait", lambda: backlog.clients)
    metrics.watch(
        "unsent_fanouts", "Deliveries that are not at their end", lambda: broadcast.delivery.unsent
    )
    metrics.watch("unjudged_events", "Events that wait for PostgreSQL", lambda: broadcast.judging)
    metrics.connects.watch(("redis", "subscriptions"), lambda: pubsub.connects)
    metrics.connects.watch(("redis", "commands"), lambda: presence.connects)
    api = Api(
        clock=reactor,
        login=Login(mastodon, reactor),
        subscriber=Subscriber(
            mastodon, accounts, rechecks, pubsub, presence, broadcast, metrics, admission
        ),
        metrics=metrics,
        readiness=readiness,
        pings=Heartbeat(PING_PERIOD, reactor),
        thumps=Heartbeat(THUMP_PERIOD, reactor),
        backlog=backlog,
        reports=reports,
    )
    site = StreamingSite(StreamingApi(api, status), limits, reactor)
    front = EntranceFactory(reactor, site, StreamingSocketFactory(api), admission)
    timed: list[IService] = [presence, accounts, feed_access, rechecks, api.pings, api.thumps]
    timed += [gaps, readiness, Lag(reactor, metrics.lag)]
    return Parts(metrics, pubsub, presence, api, front, rechecks.items, timed)


@dataclass(frozen=True, slots=True)
class Server:
    """
    One whole server: the services that run it, in the order in which they start.

    Its *listeners*, which come after the others, let clients in.
    """

    services: Sequence[IService]
    listeners: Listeners
    shutdown: Shutdown
    api: Api


def make_server(
    reactor: Any,
    settings: Settings,
    places: Sequence[tuple[str, IStreamServerEndpoint]],
    fail: Callable[[str], NoReturn],
    signals: Sequence[int] = SIGNALS,
) -> Server:
    """
    Make one server, which goes down by any of the *signals*.

    *fail* is called, with a message, if one of the *places* to listen cannot be had.

    :raises TrustError: if certificates or a key cannot be used.
    """
    pool = Pool(reactor, with_authorities(settings.database, settings.extra_ca_certs))
    metrics = Metrics()
    mastodon = MastodonDatabase(pool, metrics=metrics)
    parts = make_parts(
        reactor,
        mastodon,
        settings.domain_blocks_age,
        settings.limits,
        settings.trusted_proxies,
        settings.status,
        metrics,
    )
    watch = metrics.watch
    metrics.connects.watch(("postgresql", "queries"), lambda: pool.connects)
    watch("pg_pool_total_connections", "Connections to PostgreSQL", lambda: pool.total)
    watch("pg_pool_idle_connections", "Connections with nothing to do", lambda: pool.idle)
    watch("pg_pool_waiting_queries", "Queries without a connection", lambda: pool.waiting)
    parts.api.readiness.add(
        pool.dependency, lambda: Deferred.fromCoroutine(pool.query("SELECT 1", {}))
    )
    redis = _redis_services(reactor, settings, mastodon, parts)
    listeners = Listeners(reactor, places, parts.front, fail)
    notifier = Notifier(reactor, lambda: _status(parts))

    def close() -> int:
        parts.api.readiness.leaving = True
        notifier.leave()
        listeners.stop_listening()
        return parts.api.login.close()

    shutdown = Shutdown(reactor, close, parts.readers, settings.drain_seconds, signals)
    # Who reads that it listens may send a signal at once.
    garbage = Garbage(reactor, parts.readers)
    services = [pool, redis, *parts.timed, garbage, shutdown, notifier]
    return Server(services, listeners, shutdown, parts.api)


def _status(parts: Parts) -> str:
    missing = parts.api.readiness.missing
    return f"{len(parts.readers)} clients{'; without ' if missing else ''}{', '.join(missing)}"


def _redis_services(
    reactor: Any, settings: Settings, mastodon: Mastodon, parts: Parts
) -> NamespacedServices:
    pubsub, presence = parts.pubsub, parts.presence
    endpoint = way_to_redis(reactor, settings.redis, settings.extra_ca_certs)
    # An answer to the last is the sign that Redis serves us.
    hello: list[Command] = [*greeting(settings.redis), ("PING",)]
    namespace = settings.redis.namespace
    if namespace and settings.redis.namespace_forced:
        pubsub.prefix = presence.prefix = f"{namespace}:"
        namespace = None
    services = NamespacedServices(reactor, mastodon, namespace, (pubsub, presence))
    for service in (
        keep_subscribed(reactor, endpoint, hello, pubsub),
        keep_present(reactor, endpoint, hello, presence),
        *keep_informed(reactor, endpoint, settings.redis),
    ):
        service.setServiceParent(services)
    return services
