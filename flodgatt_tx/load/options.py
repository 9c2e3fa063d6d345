"""
The command line of `flodgatt-load`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NoReturn
from urllib.parse import unquote, urlencode, urlsplit

from twisted.python import usage
from typing_extensions import override

from flodgatt_tx._version import __version__
from flodgatt_tx.hashtags import normalize_hashtag
from flodgatt_tx.load.target import Target, find_target
from flodgatt_tx.streams import KINDS

TRANSPORTS = {
    "websocket": ("websocket",),
    "sse": ("sse",),
    "mixed": ("websocket", "sse"),
}


@dataclass(frozen=True, slots=True)
class Publishing:
    """
    Messages of *size* bytes, *rate* of them a second, on a *channel* of the Redis at *target*.
    """

    target: Target
    password: str | None
    user: str | None
    channel: str
    rate: float
    size: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done; *query* names the stream, with its tag or list. Times are in seconds."""

    url: str
    target: Target
    readers: int
    transports: Sequence[str]
    stream: str
    query: str
    tokens: Sequence[str]
    connect_rate: float
    duration: float
    publishing: Publishing | None


class LoadOptions(usage.Options):
    """What `flodgatt-load` was called with."""

    synopsis = "Usage: flodgatt-load [options] URL"
    longdesc = (
        "Opens many readers of a streaming server of Mastodon's kind and tells what they notice. "
        "With --redis it publishes, too, and so knows of latencies and losses."
    )
    optParameters: ClassVar[list[list[object]]] = [
        ["readers", "n", 100, "how many readers", int],
        ["transport", "t", "websocket", "websocket, sse or mixed"],
        ["stream", "s", "public", "what they listen to, such as user or public:local"],
        ["tag", None, None, "the tag, for hashtag and hashtag:local"],
        ["list", None, None, "the id of the list, for list"],
        ["tokens", None, None, "file with an access token on each line; readers take turns"],
        ["token-pattern", None, None, "access tokens with {n} for the reader's number from 1"],
        ["connect-rate", None, 200.0, "readers that connect in a second", float],
        ["duration", "d", 30.0, "seconds to measure for, once all have connected", float],
        ["redis", None, None, "publish to this Redis: redis://[:PASSWORD@]HOST:PORT"],
        ["channel", None, None, "channel to publish on; known for public and hashtag streams"],
        ["rate", "r", 1.0, "messages published in a second", float],
        ["size", None, 1000, "bytes in a message, at least", int],
        ["plot", None, None, "write a report with charts to this file, as HTML"],
    ]
    optFlags: ClassVar[list[list[str | None]]] = [
        ["json", None, "write the report as JSON"],
        ["i-own-this-server", None, "test one that is not on this machine"],
    ]

    @override
    def parseArgs(self, *urls: str) -> None:  # Twisted's
        """Take the URL of the server, such as http://127.0.0.1:4000."""
        if len(urls) != 1:
            raise usage.UsageError("give one URL, behind all options")
        (self["url"],) = urls

    @override
    def opt_version(self) -> NoReturn:
        """print the version and exit"""
        print(f"flodgatt-load {__version__}")
        raise SystemExit(0)

    def plan(self) -> Plan:
        """
        Say what is to be done.

        :raises UsageError: if an option makes no sense.
        :raises TargetError: if a server may not be tested, or is not found.
        :raises OSError: if the file of tokens cannot be read.
        """
        self._check()
        parameters = {name: self[name] for name in ("tag", "list") if self[name]}
        return Plan(
            url=self["url"],
            target=find_target(self["url"], self["i-own-this-server"]),
            readers=self["readers"],
            transports=TRANSPORTS[self["transport"]],
            stream=self["stream"],
            query=urlencode(parameters),
            tokens=self._tokens(),
            connect_rate=self["connect-rate"],
            duration=self["duration"],
            publishing=self._publishing() if self["redis"] else None,
        )

    def _check(self) -> None:
        if self["transport"] not in TRANSPORTS:
            raise usage.UsageError("--transport: expected websocket, sse or mixed")
        if self["stream"] not in KINDS:
            raise usage.UsageError(f"--stream: expected one of {', '.join(KINDS)}")
        for name in ("readers", "connect-rate", "duration", "rate"):
            if not self[name] > 0:
                raise usage.UsageError(f"--{name}: expected more than 0")

    def _tokens(self) -> Sequence[str]:
        if self["tokens"] and self["token-pattern"]:
            raise usage.UsageError("give either --tokens or --token-pattern")
        if self["tokens"]:
            tokens = Path(self["tokens"]).read_text(encoding="ascii").split()
            if not tokens:
                raise usage.UsageError("--tokens: there is none in that file")
            return tokens
        pattern = self["token-pattern"]
        if pattern:
            return [pattern.replace("{n}", str(n + 1)) for n in range(self["readers"])]
        raise usage.UsageError("give --tokens or --token-pattern")

    def _publishing(self) -> Publishing:
        parts = urlsplit(self["redis"])
        if parts.scheme not in ("redis", "rediss"):
            raise usage.UsageError("--redis: expected redis://HOST:PORT")
        return Publishing(
            target=find_target(self["redis"], self["i-own-this-server"]),
            password=unquote(parts.password) if parts.password else None,
            user=unquote(parts.username) if parts.username else None,
            channel=self["channel"] or self._channel(),
            rate=self["rate"],
            size=self["size"],
        )

    def _channel(self) -> str:
        stream = self["stream"]
        if stream.startswith("public"):
            return f"timeline:{stream}"
        if stream.startswith("hashtag") and self["tag"]:
            local = ":local" if stream.endswith(":local") else ""
            return f"timeline:hashtag:{normalize_hashtag(self['tag'])}{local}"
        raise usage.UsageError(f"--channel: say on which channel {stream} hears")
