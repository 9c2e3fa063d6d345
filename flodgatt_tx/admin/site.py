"""
The administrators' pages, beside all that the public site has.

    /          the live page            /live     its events
    /console   watching streams         /token    whose token that is

Streams, health, metrics and status are where they are for everybody, but for pages of this site
only, and with the names of accounts, lists and tags.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.resources import files
from typing import Any

import orjson
from twisted.internet.defer import Deferred
from twisted.web.http import Request
from twisted.web.server import NOT_DONE_YET
from typing_extensions import override

from flodgatt_tx import status
from flodgatt_tx.admin.live import Live
from flodgatt_tx.edge.api import Api, header
from flodgatt_tx.edge.web import StreamingApi, refuse, written
from flodgatt_tx.errors import METHOD_NOT_ALLOWED, MethodNotAllowedError
from flodgatt_tx.streams import PREFIX

_HEADERS = {
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; "
    b"img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'none'",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"cache-control": b"private, no-store",
}
_TYPES = {
    "html": b"text/html; charset=utf-8",
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "svg": b"image/svg+xml",
}
_PAGES = {"live.html": "", "console.html": "/console", "icon.svg": "/favicon.ico"}


class AdminSite(StreamingApi):
    """The resource behind all paths of the administrators' listener."""

    def __init__(self, api: Api, live: Live) -> None:
        StreamingApi.__init__(self, api, status_for_all=True)
        self._live = live
        for file in files(__package__).joinpath("static").iterdir():
            kind = _TYPES[file.name.rpartition(".")[2]]
            path = _PAGES.get(file.name, f"/static/{file.name}")
            self.answers[path] = partial(_give, kind, file.read_bytes())
        self.answers["/live"] = self._watch
        self.answers["/token"] = self._token
        self.answers[f"{PREFIX}status/per_timeline"] = self._timelines

    @override
    def set_headers(self, request: Request) -> None:
        for name, value in _HEADERS.items():
            request.setHeader(name, value)

    @override
    def preflight(self, request: Request) -> bytes:
        # No script of another origin may ask for anything.
        return refuse(request, MethodNotAllowedError(METHOD_NOT_ALLOWED))

    def _watch(self, request: Request, parameters: Mapping[str, str]) -> int | bytes:
        if request.method == b"HEAD":
            return written(request, b"text/event-stream", b"")
        self._live.watch(request)
        return NOT_DONE_YET

    def _token(self, request: Request, parameters: Mapping[str, str]) -> int:
        """Say whose the token in the header is; one in the query is not looked at."""

        async def find() -> bytes:
            channel: Any = request.channel
            given = header(request, b"authorization")
            viewer = await self.api.log_in(channel.visit, given, None, None)
            found = {
                # Text, because numbers of this size are not JavaScript's.
                "account_id": str(viewer.account_id),
                "token_id": str(viewer.token_id),
                "scopes": sorted(viewer.scopes),
                "languages": viewer.languages,
            }
            return written(request, b"application/json", orjson.dumps(found, default=list))

        return self.later(request, Deferred.fromCoroutine(find()))

    def _timelines(self, request: Request, parameters: Mapping[str, str]) -> int:
        def write(answers: Mapping[str, Any]) -> bytes:
            readers: dict[str, int] = {}
            for each in (each for found in answers.values() for each in found or ()):
                readers[each["channel"]] = readers.get(each["channel"], 0) + each["readers"]
            count = {status.TIMELINES: readers}
            if "application/json" in (header(request, b"accept") or ""):
                body = orjson.dumps(status.as_json(status.TIMELINES, count))
                return written(request, b"application/json", body)
            text = status.as_text(status.TIMELINES, count)
            return written(request, b"text/plain; charset=utf-8", text.encode())

        return self.later(request, self.api.reports.collect("timelines").addCallback(write))


def _give(kind: bytes, body: bytes, request: Request, parameters: Mapping[str, str]) -> bytes:
    return written(request, kind, body)
