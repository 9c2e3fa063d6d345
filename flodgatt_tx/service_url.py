"""
URLs that say where PostgreSQL or Redis is: `scheme://user:password@host:port/path?name=value`.

Nothing here ever quotes such a URL, since wherever it is wrong may be a piece of the password:
errors name the part, and `shown` is what logs may hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

MOST_PORT = 65535
_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*):(?://(?P<authority>[^/?]*))?(?P<path>[^?]*)\??(?P<query>.*)",
    re.IGNORECASE | re.DOTALL,
)
_PLACE = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:\[\]]*)(?::(?P<port>.*))?", re.DOTALL)


class BadUrlError(ValueError):
    """A URL is wrong; the text says which part, and never quotes it."""


@dataclass(frozen=True, slots=True)
class ServiceUrl:
    """The parts of a URL, percent-decoded; what it lacks is empty."""

    scheme: str
    user: str
    password: str = field(repr=False)
    host: str
    port: int | None
    path: str
    parameters: Mapping[str, str] = field(repr=False)

    @property
    def shown(self) -> str:
        """
        The URL as logs may show it: without password, and of parameters the names only.

        A user without a password is hidden, too: in a URL for Redis it is often meant as one.
        """
        user = f"{self.user}:***@" if self.password else "***@" * bool(self.user)
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        query = "&".join(f"{name}=***" for name in self.parameters)
        return f"{self.scheme}://{user}{host}{port}{self.path}{'?' * bool(query)}{query}"


def parse(text: str) -> ServiceUrl:
    """
    Take a URL apart.

    :raises BadUrlError: if a part is wrong.
    """
    if "#" in text:
        raise BadUrlError("a # in it must be written as %23")
    found = _URL.fullmatch(text.strip())
    if found is None:
        raise BadUrlError("it does not begin with a scheme such as redis://")
    userinfo, _, place = (found["authority"] or "").rpartition("@")
    if found["authority"] and "@" in found["path"] + found["query"]:
        raise BadUrlError("of user and password / and ? must be written as %2F and %3F")
    parameters = dict(parse_qsl(found["query"], keep_blank_values=True))
    host, port = parse_place(place)
    user, _, password = userinfo.partition(":")
    return ServiceUrl(
        scheme=found["scheme"].lower(),
        user=_decoded(user, "user"),
        password=_decoded(password, "password"),
        host=_decoded(host, "host"),
        port=port,
        path=_decoded(found["path"], "path"),
        parameters=parameters,
    )


def parse_place(text: str) -> tuple[str, int | None]:
    """
    Split `host:port` or `[IPv6]:port`; the port may be missing.

    :raises BadUrlError: if it is neither.
    """
    found = _PLACE.fullmatch(text)
    if found is None:
        raise BadUrlError("the host is wrong (IPv6 addresses go in brackets)")
    return unbracketed(found["host"]), parse_port(found["port"]) if found["port"] else None


def parse_places(text: str) -> list[tuple[str, int | None]]:
    """
    Split a list with commas of what `parse_place` reads, leaving out empty hosts.

    :raises BadUrlError: if an entry is wrong.
    """
    places = [parse_place(entry.strip()) for entry in text.split(",")]
    return [(host, port) for host, port in places if host]


def parse_port(text: str) -> int:
    """
    Read the number of a TCP port.

    :raises BadUrlError: if it is none.
    """
    if re.fullmatch("[0-9]{1,5}", text) and 1 <= int(text) <= MOST_PORT:
        return int(text)
    raise BadUrlError(f"the port is not a number from 1 to {MOST_PORT}")


def unbracketed(host: str) -> str:
    """Take the brackets off an IPv6 address."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _decoded(text: str, part: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise BadUrlError(f"the {part}, percent-decoded, is not UTF-8") from None
