"""
What an administrator has set, as one value.

The variables are Mastodon's own, so that its `.env.production` serves unchanged; the table of them
is in `variables`, and how layers are searched in `lookup`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flodgatt_tx import database_settings, limits, redis_settings, trusted_proxies
from flodgatt_tx.database_settings import DatabaseSettings
from flodgatt_tx.limits import Limits
from flodgatt_tx.lookup import DEFAULT, OPTION, Layer, Lookup, SettingsError
from flodgatt_tx.redis_settings import RedisSettings
from flodgatt_tx.service_url import MOST_PORT, unbracketed
from flodgatt_tx.trusted_proxies import Network
from flodgatt_tx.variables import VARIABLES, Variable

__all__ = [
    "AUTO",
    "DEFAULT",
    "LOG_LEVELS",
    "OPTION",
    "VARIABLES",
    "Layer",
    "Settings",
    "SettingsError",
    "Variable",
    "described",
    "environment_of",
    "load",
]

_MOST_AGE = 3600  # seconds
_MOST_DRAIN = 3600  # seconds
_MOST_WORKERS = 256
AUTO = 0  # workers: one for each core
LOG_FORMATS = ("text", "json")
LOG_LEVELS = ("trace", "debug", "info", "warn", "error", "fatal", "silent")


@dataclass(frozen=True, slots=True)
class Settings:
    """
    Everything that can be set.

    Where to listen: *listen* (Twisted's endpoint descriptions) if there are any, else the UNIX
    *socket*, else *bind* and *port*; an empty *bind* stands for all addresses. Without *workers*
    one process does it all. *admin* describes the endpoint that only administrators shall reach.
    """

    environment: str
    listen: tuple[str, ...]
    bind: str
    port: int
    socket: str | None
    log_level: str
    log_format: str
    trusted_proxies: tuple[Network, ...]
    database: DatabaseSettings
    redis: RedisSettings
    extra_ca_certs: str | None
    domain_blocks_age: int
    workers: int | None
    drain_seconds: int
    status: bool
    admin: str | None
    limits: Limits
    effective: Mapping[str, tuple[str, str]]
    warnings: tuple[str, ...]

    @property
    def origins(self) -> dict[str, str]:
        """Where the value of each variable that has an effect came from."""
        return {name: origin for name, (_, origin) in self.effective.items()}


def load(
    layers: Sequence[Layer], listen: Sequence[str] = (), default_user: str | None = None
) -> Settings:
    """
    Read all settings; the first layer that has a variable decides about it.

    :raises SettingsError: with all mistakes at once.
    """
    lookup = Lookup(layers)
    environment = environment_of(layers)
    lookup.show("NODE_ENV", environment)
    socket, bind, port = _place(lookup)
    settings = Settings(
        environment=environment,
        listen=tuple(listen),
        bind=bind,
        port=port,
        socket=socket,
        log_level=_log_level(lookup, environment),
        log_format=lookup.choice("FLODGATT_LOG_FORMAT", default="text", among=LOG_FORMATS),
        trusted_proxies=trusted_proxies.read(lookup),
        database=database_settings.read(lookup, environment, default_user),
        redis=redis_settings.read(lookup),
        extra_ca_certs=lookup.text("NODE_EXTRA_CA_CERTS") or None,
        domain_blocks_age=lookup.number(
            "FLODGATT_DOMAIN_BLOCKS_AGE", default=30, least=1, most=_MOST_AGE
        ),
        workers=_workers(lookup),
        drain_seconds=lookup.number("FLODGATT_DRAIN_SECONDS", default=8, least=1, most=_MOST_DRAIN),
        status=lookup.choice("FLODGATT_STATUS", default="false", among=("true", "false")) == "true",
        admin=lookup.text("FLODGATT_ADMIN") or None,
        limits=limits.read(lookup),
        effective=lookup.effective,
        warnings=tuple(lookup.warnings),
    )
    if lookup.problems:
        raise SettingsError(lookup.problems)
    return settings


def described(settings: Settings) -> list[tuple[str, str, str]]:
    """List name, value and origin of what has an effect, in the table's order; no secrets."""
    effective = settings.effective
    return [
        (variable.name, *effective[variable.name])
        for variable in VARIABLES
        if variable.name in effective
    ]


def environment_of(layers: Sequence[Layer]) -> str:
    """Say which of Mastodon's environments this is; it decides which dotenv file is read."""
    return Lookup(layers).text("NODE_ENV", default="development")


def _place(lookup: Lookup) -> tuple[str | None, str, int]:
    socket = lookup.text("SOCKET") or None
    if socket:
        lookup.overruled("SOCKET", ("BIND", "PORT"))
        return socket, "127.0.0.1", 4000
    if "/" in lookup.text("PORT"):
        # Mastodon 4.2 and older took it for a path.
        lookup.refuse(["PORT"], "expected a number (the path of a UNIX socket goes into SOCKET)")
        return None, "", 0
    # Brackets, because the web server of Mastodon wants them around IPv6 addresses.
    bind = unbracketed(lookup.text("BIND", default="127.0.0.1", blank=True))
    return None, bind, lookup.number("PORT", default=4000, most=MOST_PORT)


def _workers(lookup: Lookup) -> int | None:
    if not lookup.text("FLODGATT_WORKERS"):
        return None
    if lookup.text("FLODGATT_WORKERS").lower() == "auto":
        return AUTO
    return lookup.number("FLODGATT_WORKERS", default=1, least=1, most=_MOST_WORKERS)


def _log_level(lookup: Lookup, environment: str) -> str:
    standard = "debug" if environment == "development" else "info"
    level = lookup.text("LOG_LEVEL", default=standard)
    if level in LOG_LEVELS:
        return level
    lookup.show("LOG_LEVEL", standard, DEFAULT)
    return standard
