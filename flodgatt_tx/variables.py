"""
The table of every variable that can be set, by Mastodon's names.

A new setting begins with one line here: the command line option and its help follow from it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variable:
    """
    Something that can be set: in the environment, in the dotenv file, as a long *option*.

    *default* is what documents say. What is *secret* is never shown, and its option takes the
    name of a file instead of the value, because everybody on a machine can read command lines. The
    option of a *switch* takes nothing, and means `true`.
    """

    name: str
    option: str | None
    help: str
    default: str = ""
    secret: bool = False
    switch: bool = False

    @property
    def flag(self) -> str | None:
        """The name of the long option, without its dashes."""
        return f"{self.option}-file" if self.option and self.secret else self.option


VARIABLES = (
    Variable("NODE_ENV", "node-env", "production or development", "development"),
    Variable("SOCKET", "socket", "path of a UNIX socket; wins over BIND and PORT"),
    Variable("BIND", "bind", "IP address to listen on; empty for all", "127.0.0.1"),
    Variable("PORT", "port", "TCP port to listen on", "4000"),
    Variable(
        "LOG_LEVEL",
        "log-level",
        "trace, debug, info, warn, error, fatal or silent",
        "info; in development debug",
    ),
    Variable(
        "FLODGATT_LOG_FORMAT",
        "log-format",
        "text, or json for one object on each line",
        "text",
    ),
    Variable(
        "TRUSTED_PROXY_IP",
        "trusted-proxy-ip",
        "networks whose X-Forwarded-For is believed; also loopback, linklocal, uniquelocal",
        "loopback,uniquelocal",
    ),
    Variable("NODE_EXTRA_CA_CERTS", "extra-ca-certs", "PEM file of authorities to trust as well"),
    Variable(
        "FLODGATT_DOMAIN_BLOCKS_AGE",
        "domain-blocks-age",
        "seconds that the domains which an account blocks may be old",
        "30",
    ),
    Variable(
        "FLODGATT_WORKERS",
        "workers",
        "processes that serve, or auto for one on each core; unset, this process serves itself",
    ),
    Variable(
        "FLODGATT_DRAIN_SECONDS",
        "drain-seconds",
        "seconds over which clients are sent away when the server goes down",
        "8",
    ),
    Variable(
        "FLODGATT_STATUS",
        "status",
        "true to tell everybody, under /api/v1/streaming/status, how many listen to what",
        "false",
        switch=True,
    ),
    Variable(
        "FLODGATT_ADMIN",
        "admin",
        "where administrators find the live page and the console, as a Twisted endpoint such as "
        "tcp:4001:interface=127.0.0.1; unset, nowhere",
    ),
    Variable(
        "FLODGATT_MAX_CONNECTIONS",
        "max-connections",
        "connections at once; 0, here as below, for no limit",
        "as many as files may be open, less 256 and DB_POOL",
    ),
    Variable(
        "FLODGATT_MAX_CONNECTIONS_PER_ADDRESS",
        "max-connections-per-address",
        "of them, from one client's IPv4 address or IPv6 /64; whole schools share one",
        "300",
    ),
    Variable(
        "FLODGATT_MAX_CONNECTIONS_PER_ACCOUNT",
        "max-connections-per-account",
        "of them, for one account; off, since Mastodon has no such limit",
        "0",
    ),
    Variable(
        "FLODGATT_MAX_SUBSCRIPTIONS",
        "max-subscriptions",
        "streams on one WebSocket; deck clients open a few dozen",
        "100",
    ),
    Variable(
        "FLODGATT_MAX_MESSAGES_PER_SECOND",
        "max-messages-per-second",
        "frames from one WebSocket, in the long run; ten seconds' worth at once",
        "20",
    ),
    Variable(
        "FLODGATT_HANDSHAKE_TIMEOUT",
        "handshake-timeout",
        "seconds for the head of a request, as in Node",
        "60",
    ),
    Variable(
        "FLODGATT_MAX_HEADER_SIZE",
        "max-header-size",
        "bytes in the head of a request, as in Node",
        "16384",
    ),
    Variable(
        "FLODGATT_MAX_FAILED_LOGINS",
        "max-failed-logins",
        "tokens that are none, from one client's address in a minute",
        "60",
    ),
    Variable(
        "FLODGATT_MAX_UNSENT",
        "max-unsent",
        "bytes that may wait for a client that does not read",
        "1048576",
    ),
    Variable(
        "FLODGATT_MAX_UNSENT_TOTAL",
        "max-unsent-total",
        "bytes that may wait for all of them together",
        "268435456",
    ),
    Variable("DATABASE_URL", "database-url", "where PostgreSQL is; wins over DB_*", secret=True),
    Variable("DB_HOST", "db-host", "host of PostgreSQL, or folder of its socket", "localhost"),
    Variable("DB_PORT", "db-port", "port of PostgreSQL", "5432"),
    Variable("DB_USER", "db-user", "role in PostgreSQL", "mastodon; in development yours"),
    Variable("DB_PASS", "db-pass", "password of the role", secret=True),
    Variable("DB_NAME", "db-name", "name of the database", "mastodon_production or _development"),
    Variable("DB_POOL", "db-pool", "connections to PostgreSQL, at most", "10"),
    Variable("DB_SSLMODE", "db-sslmode", "TLS to PostgreSQL, in libpq's words", "disable"),
    Variable("PGSSLROOTCERT", "db-sslrootcert", "PEM file of PostgreSQL's authorities"),
    Variable("PGHOST", None, "host where DATABASE_URL or development names none", "localhost"),
    Variable("PGPORT", None, "port where they name none", "5432"),
    Variable("PGUSER", None, "role where they name none", "yours"),
    Variable("PGPASSWORD", None, "password where nothing else gives one", secret=True),
    Variable("PGDATABASE", None, "database where DATABASE_URL names none", "the role's name"),
    Variable("PGSSLMODE", None, "TLS where nothing else says", "disable"),
    Variable("REDIS_URL", "redis-url", "where Redis is; wins over the other REDIS_*", secret=True),
    Variable("REDIS_HOST", "redis-host", "host of Redis", "127.0.0.1"),
    Variable("REDIS_PORT", "redis-port", "port of Redis", "6379"),
    Variable("REDIS_DB", "redis-db", "number of the database in Redis", "0"),
    Variable("REDIS_USER", "redis-user", "user in Redis"),
    Variable("REDIS_PASSWORD", "redis-password", "password in Redis", secret=True),
    Variable(
        "REDIS_NAMESPACE",
        "redis-namespace",
        "prefix of keys and channels; as a variable for Mastodon 4.3 and older only",
    ),
    Variable(
        "FLODGATT_REDIS_TLS",
        "redis-tls",
        "true for TLS to Redis, and to Sentinel; with REDIS_URL that is rediss://",
        "false",
    ),
    Variable(
        "FLODGATT_REDIS_CA",
        "redis-ca",
        "PEM file of Redis' authorities, instead of the system's and NODE_EXTRA_CA_CERTS",
    ),
    Variable("FLODGATT_REDIS_CERT", "redis-cert", "PEM file of our certificate for Redis"),
    Variable("FLODGATT_REDIS_KEY", "redis-key", "PEM file of its key", "FLODGATT_REDIS_CERT"),
    Variable("REDIS_SENTINELS", "redis-sentinels", "host:port of each Sentinel, with commas"),
    Variable("REDIS_SENTINEL_MASTER", "redis-sentinel-master", "name of the Redis that they watch"),
    Variable("REDIS_SENTINEL_PORT", "redis-sentinel-port", "port of those without one", "26379"),
    Variable(
        "REDIS_SENTINEL_USERNAME", "redis-sentinel-username", "user in Sentinel", "REDIS_USER"
    ),
    Variable(
        "REDIS_SENTINEL_PASSWORD",
        "redis-sentinel-password",
        "password in Sentinel",
        "REDIS_PASSWORD",
        secret=True,
    ),
)
