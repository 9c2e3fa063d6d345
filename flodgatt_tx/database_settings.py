"""
Where PostgreSQL is, in libpq's terms.

`DATABASE_URL` decides if it is set; else the `DB_*` variables with the defaults of `NODE_ENV`.
What neither says is what Node's driver would take: the `PG*` variables, then its own defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from flodgatt_tx import service_url, sslmode
from flodgatt_tx.lookup import Lookup
from flodgatt_tx.service_url import MOST_PORT, BadUrlError

_SCHEMES = ("postgres", "postgresql", "postgis", "socket")
_OVERRULED = ("DB_HOST", "DB_PORT", "DB_USER", "DB_NAME", "DB_SSLMODE")
_MOST_CONNECTIONS = 1000

# Left out on purpose: what would change how answers are read (client_encoding, replication), and
# application_name, which costs PgBouncer a statement with every transaction.
_LIBPQ_NAMES = """
    channel_binding connect_timeout gssdelegation gssencmode gsslib hostaddr keepalives
    keepalives_count keepalives_idle keepalives_interval krbsrvname load_balance_hosts options
    passfile require_auth requirepeer ssl_max_protocol_version ssl_min_protocol_version sslcert
    sslcertmode sslcompression sslcrl sslcrldir sslkey sslnegotiation sslpassword sslsni
    target_session_attrs tcp_user_timeout
"""
_LIBPQ = frozenset(_LIBPQ_NAMES.split())
_OURS = frozenset(("user", "password", "host", "port", "dbname", "db", *sslmode.PARAMETERS))


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """
    How to reach PostgreSQL; what is empty is left to libpq.

    A *host* that begins with a slash is the folder of a UNIX socket; *extra* are further
    parameters by libpq's names, and *pool* is how many connections may be open.
    """

    user: str = ""
    password: str = field(default="", repr=False)
    database: str = ""
    host: str = "localhost"
    port: int = 5432
    sslmode: str = "disable"
    sslrootcert: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict, repr=False)
    pool: int = 10


def read(lookup: Lookup, environment: str, default_user: str | None) -> DatabaseSettings:
    """
    Read the `DATABASE_URL`, `DB_*` and `PG*` variables; mistakes are left with *lookup*.

    *default_user* is the role where nothing names one; without it libpq takes the system's user.
    """
    pool = lookup.number("DB_POOL", default=10, least=1, most=_MOST_CONNECTIONS)
    if url := lookup.text("DATABASE_URL"):
        lookup.overruled("DATABASE_URL", _OVERRULED)
        try:
            settings = _from_url(lookup, url, default_user or "")
        except BadUrlError as error:
            lookup.refuse(["DATABASE_URL"], str(error))
            return DatabaseSettings()
    else:
        settings = _from_variables(lookup, environment, default_user or "")
    sslmode.warn(lookup, settings.sslmode, settings.sslrootcert)
    return replace(settings, pool=pool)


def _from_variables(lookup: Lookup, environment: str, default_user: str) -> DatabaseSettings:
    if environment not in ("production", "development"):
        expected = "expected production or development, since DATABASE_URL is not set"
        lookup.refuse(["NODE_ENV"], expected)
    production = environment == "production"

    def names(ours: str, drivers: str) -> tuple[str, ...]:
        # In production Mastodon leaves nothing but the password to the driver.
        return (ours,) if production else (ours, drivers)

    user = "mastodon" if production else default_user
    host = lookup.text(*names("DB_HOST", "PGHOST"), default="localhost")
    return DatabaseSettings(
        user=lookup.text(*names("DB_USER", "PGUSER"), default=user),
        password=lookup.text("DB_PASS", "PGPASSWORD"),
        database=lookup.text("DB_NAME", default=f"mastodon_{environment}"),
        host=service_url.unbracketed(host),
        port=lookup.number(*names("DB_PORT", "PGPORT"), default=5432, least=1, most=MOST_PORT),
        sslmode=sslmode.from_variables(lookup, "DB_SSLMODE", "PGSSLMODE"),
        sslrootcert=lookup.text("PGSSLROOTCERT") or None,
    )


def _from_url(lookup: Lookup, text: str, default_user: str) -> DatabaseSettings:
    url = service_url.parse(text)
    if url.scheme not in _SCHEMES:
        raise BadUrlError("the scheme is not postgres or postgresql")
    lookup.show("DATABASE_URL", url.shown)
    given = url.parameters
    _warn_of_unknown(lookup, given)
    port = service_url.parse_port(given["port"]) if given.get("port") else url.port
    host = given.get("host") or url.host
    database = url.path[1:]
    if url.scheme == "socket":
        host, database = url.path, given.get("db", "")
    return DatabaseSettings(
        user=given.get("user") or url.user or lookup.text("PGUSER", default=default_user),
        password=given.get("password") or url.password or lookup.text("DB_PASS", "PGPASSWORD"),
        database=database or given.get("dbname") or lookup.text("PGDATABASE"),
        host=host or lookup.text("PGHOST", default="localhost"),
        port=port or lookup.number("PGPORT", default=5432, least=1, most=MOST_PORT),
        sslmode=sslmode.from_url(lookup, given),
        sslrootcert=given.get("sslrootcert") or lookup.text("PGSSLROOTCERT") or None,
        extra={name: value for name, value in given.items() if name in _LIBPQ},
    )


def _warn_of_unknown(lookup: Lookup, given: Mapping[str, str]) -> None:
    if unknown := sorted(given.keys() - _LIBPQ - _OURS):
        lookup.warnings.append(f"no effect in DATABASE_URL: {', '.join(unknown)}")
