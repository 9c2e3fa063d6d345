"""
Where Redis is: `REDIS_URL` decides alone if it is set; else Sentinel; else host and port.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from flodgatt_tx import service_url
from flodgatt_tx.lookup import OPTION, Lookup
from flodgatt_tx.service_url import MOST_PORT, BadUrlError, ServiceUrl

_SENTINEL = ("REDIS_SENTINELS", "REDIS_SENTINEL_MASTER")
_PLAIN = ("REDIS_HOST", "REDIS_PORT")
_TLS = "FLODGATT_REDIS_TLS"
_OVERRULED = (*_PLAIN, "REDIS_DB", "REDIS_USER", "REDIS_PASSWORD", *_SENTINEL, _TLS)
_FILES = ("FLODGATT_REDIS_CA", "FLODGATT_REDIS_CERT", "FLODGATT_REDIS_KEY")
_MOST_DATABASE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """
    How to reach Redis: through *sentinels* if there are any, else *socket*, else host and port.

    A *namespace* that came from the environment counts for old databases only; one that is
    *namespace_forced* always counts. With *tls* it counts for Sentinel too; the other three that
    begin so are PEM files: whom to trust, who we are, and the key of that.
    """

    host: str = "127.0.0.1"
    port: int = 6379
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    namespace: str | None = None
    namespace_forced: bool = False
    socket: str | None = None
    tls: bool = False
    tls_ca: str | None = None
    tls_certificate: str | None = None
    tls_key: str | None = None
    sentinels: tuple[tuple[str, int], ...] = ()
    sentinel_master: str | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)


def read(lookup: Lookup) -> RedisSettings:
    """Read the `REDIS_*` variables; mistakes are left with *lookup*."""
    namespace = lookup.text("REDIS_NAMESPACE") or None
    forced = bool(namespace) and lookup.find("REDIS_NAMESPACE")[1] == OPTION
    settings = replace(_connection(lookup), namespace=namespace, namespace_forced=forced)
    return _with_files(lookup, settings) if settings.tls else _without_files(lookup, settings)


def _with_files(lookup: Lookup, settings: RedisSettings) -> RedisSettings:
    authorities, certificate, key = (lookup.text(name) or None for name in _FILES)
    if key and not certificate:
        lookup.refuse(["FLODGATT_REDIS_KEY"], "expected FLODGATT_REDIS_CERT beside it")
    return replace(settings, tls_ca=authorities, tls_certificate=certificate, tls_key=key)


def _without_files(lookup: Lookup, settings: RedisSettings) -> RedisSettings:
    if vain := [name for name in _FILES if lookup.find(name)[0]]:
        lookup.warnings.append(f"no effect, since Redis is reached without TLS: {', '.join(vain)}")
    return settings


def _tls(lookup: Lookup) -> bool:
    return lookup.choice(_TLS, default="false", among=("true", "false")) == "true"


def _connection(lookup: Lookup) -> RedisSettings:
    if url := lookup.text("REDIS_URL"):
        lookup.overruled("REDIS_URL", _OVERRULED)
        try:
            return _from_url(lookup, url)
        except BadUrlError as error:
            lookup.refuse(["REDIS_URL"], str(error))
            return RedisSettings()
    given = [name for name in _SENTINEL if lookup.find(name)[0]]
    if len(given) == len(_SENTINEL):
        lookup.overruled("REDIS_SENTINELS", _PLAIN)
        return _from_sentinels(lookup)
    if given:
        lookup.warnings.append(f"{' and '.join(_SENTINEL)} count only together")
    host = lookup.text("REDIS_HOST", default="127.0.0.1", blank=True)
    return RedisSettings(
        # Node takes an empty host for this machine, by its name.
        host=service_url.unbracketed(host) or "localhost",
        port=lookup.number("REDIS_PORT", default=6379, least=1, most=MOST_PORT),
        db=lookup.number("REDIS_DB", default=0, most=_MOST_DATABASE),
        username=lookup.text("REDIS_USER") or None,
        password=lookup.text("REDIS_PASSWORD") or None,
        tls=_tls(lookup),
    )


def _from_url(lookup: Lookup, text: str) -> RedisSettings:
    url = service_url.parse(_with_scheme(text))
    parameters = dict(url.parameters)
    db, user, password = (parameters.pop(name, "") for name in ("db", "username", "password"))
    lookup.show("REDIS_URL", url.shown)
    if parameters:
        lookup.warnings.append("no effect in REDIS_URL: parameters other than db")
    settings = RedisSettings(
        db=_database(db),
        username=url.user or user or None,
        password=url.password or password or None,
    )
    match url.scheme:
        case "unix":
            return replace(settings, socket=_socket(url))
        case "redis" | "rediss" as scheme:
            return replace(
                settings,
                host=url.host or "localhost",
                port=url.port or settings.port,
                db=_database(url.path.strip("/")) or settings.db,
                tls=scheme == "rediss",
            )
    raise BadUrlError("the scheme is none of redis, rediss, unix")


def _with_scheme(text: str) -> str:
    """Write out what Node's Redis library takes without a scheme: a path, or a host and port."""
    if "://" in text:
        return text
    return f"unix://{text}" if text.startswith("/") else f"redis://{text}"


def _socket(url: ServiceUrl) -> str:
    # With one slash too few the first folder looks like a host; Node does not mind.
    path = f"/{url.host}{url.path}" if url.host else url.path
    if not path:
        raise BadUrlError("the path of the socket is missing")
    return path


def _database(text: str) -> int:
    if not text:
        return 0
    if re.fullmatch("[0-9]{1,20}", text) and int(text) <= _MOST_DATABASE:
        return int(text)
    raise BadUrlError("the database is not a number")


def _from_sentinels(lookup: Lookup) -> RedisSettings:
    username, password = lookup.text("REDIS_USER"), lookup.text("REDIS_PASSWORD")
    # Set but empty means "none" here, not "the same as for Redis".
    sentinel_username = lookup.text("REDIS_SENTINEL_USERNAME", default=username, blank=True)
    sentinel_password = lookup.text("REDIS_SENTINEL_PASSWORD", default=password, blank=True)
    return RedisSettings(
        db=lookup.number("REDIS_DB", default=0, most=_MOST_DATABASE),
        username=username or None,
        password=password or None,
        tls=_tls(lookup),
        sentinels=_sentinels(lookup),
        sentinel_master=lookup.text("REDIS_SENTINEL_MASTER"),
        sentinel_username=sentinel_username or None,
        sentinel_password=sentinel_password or None,
    )


def _sentinels(lookup: Lookup) -> tuple[tuple[str, int], ...]:
    standard = lookup.number("REDIS_SENTINEL_PORT", default=26379, least=1, most=MOST_PORT)
    try:
        places = service_url.parse_places(lookup.text("REDIS_SENTINELS"))
    except BadUrlError as error:
        lookup.refuse(["REDIS_SENTINELS"], f"expected host:port entries: {error}")
        return ()
    if not places:
        lookup.refuse(["REDIS_SENTINELS"], "expected the host of a Sentinel")
    return tuple((host, port or standard) for host, port in places)
