"""
The HTTP side: which path is answered by what, and how errors look.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from io import BytesIO
from typing import Any

import orjson
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, Request
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Site
from twisted.web.server import Request as SiteRequest
from typing_extensions import override

from flodgatt_tx import status
from flodgatt_tx.edge.admission import Visit
from flodgatt_tx.edge.api import Api, header, refusal_of, request_id, shown_path
from flodgatt_tx.edge.metrics import CONTENT_TYPE, render
from flodgatt_tx.edge.sse import StreamRequest
from flodgatt_tx.errors import (
    METHOD_NOT_ALLOWED,
    UNKNOWN_CHANNEL,
    BadRequestError,
    MethodNotAllowedError,
    RefusalError,
)
from flodgatt_tx.limits import Limits
from flodgatt_tx.query import is_truthy, split_target
from flodgatt_tx.streams import PREFIX, kind_of_path

Answer = Callable[[Request, Mapping[str, str]], int | bytes]
_READING = (b"GET", b"HEAD")
_METHODS = b"GET,HEAD,PUT,PATCH,POST,DELETE"


class StreamingApi(Resource):
    """
    All paths. A leaf, for a path either is one of these or leads nowhere.

    Everything is open to scripts of all origins: a token, not the browser, says who asks.
    """

    isLeaf = True
    _log = Logger()

    def __init__(self, api: Api, status_for_all: bool = False) -> None:
        Resource.__init__(self)
        self.api = api
        self.answers: dict[str, Answer] = {
            "/favicon.ico": self._favicon,
            "/metrics": self._metrics,
            f"{PREFIX}health": self._health,
            f"{PREFIX}health/ready": self._ready,
        }
        if status_for_all:
            for path, part in status.PATHS.items():
                self.answers[path] = partial(self._status, part)

    @override
    def render(self, request: Request) -> int | bytes:
        request.responseHeaders.removeHeader(b"server")
        self.set_headers(request)
        request.setHeader(b"x-request-id", request_id(header(request, b"x-request-id")).encode())
        if request.method == b"OPTIONS":
            return self.preflight(request)
        path, parameters = split_target(request.uri)
        try:
            answer = self._answer_to(path, parameters)
            if request.method not in _READING:
                raise MethodNotAllowedError(METHOD_NOT_ALLOWED)
            return answer(request, parameters)
        except RefusalError as refusal:
            return refuse(request, refusal)

    def set_headers(self, request: Request) -> None:
        """Set what is in all answers, streams too."""
        request.setHeader(b"access-control-allow-origin", b"*")

    def _answer_to(self, path: str, parameters: Mapping[str, str]) -> Answer:
        if answer := self.answers.get(path.removesuffix("/")):
            return answer
        kind = kind_of_path(path, is_truthy(parameters.get("only_media")))
        if kind is None:
            raise BadRequestError(UNKNOWN_CHANNEL)
        return lambda request, parameters: self._stream(request, kind, parameters)

    def preflight(self, request: Request) -> bytes:
        """Tell a browser what a script of another origin may ask for."""
        request.setResponseCode(204)
        request.setHeader(b"access-control-allow-methods", _METHODS)
        request.setHeader(b"vary", b"Access-Control-Request-Headers")
        if headers := request.getHeader(b"access-control-request-headers"):
            request.setHeader(b"access-control-allow-headers", headers)
        return b""

    def _favicon(self, request: Request, parameters: Mapping[str, str]) -> bytes:
        # Browsers ask for it when somebody looks at the metrics.
        request.setResponseCode(404)
        return b""

    def _health(self, request: Request, parameters: Mapping[str, str]) -> bytes:
        return written(request, b"text/plain", b"OK")

    def _ready(self, request: Request, parameters: Mapping[str, str]) -> bytes:
        if not self.api.readiness.ready:
            request.setResponseCode(503)
        return written(request, b"application/json", orjson.dumps(self.api.readiness.report()))

    def _metrics(self, request: Request, parameters: Mapping[str, str]) -> int:
        def write(answers: Mapping[str, Any]) -> bytes:
            return written(request, CONTENT_TYPE.encode(), render(answers))

        return self.later(request, self.api.reports.collect("metrics").addCallback(write))

    def _status(self, part: str, request: Request, parameters: Mapping[str, str]) -> int:
        as_json = "application/json" in (header(request, b"accept") or "")
        request.setHeader(b"vary", b"Accept")

        def write(answers: Mapping[str, Any]) -> bytes:
            count = status.add_up(filter(None, answers.values()))
            if as_json:
                body = orjson.dumps(status.as_json(part, count))
                return written(request, b"application/json", body)
            text = status.as_text(part, count)
            return written(request, b"text/plain; charset=utf-8", text.encode())

        return self.later(request, self.api.reports.collect("status").addCallback(write))

    def later(self, request: Request, body: Deferred[bytes]) -> int:
        """Answer when the *body* is there, unless the client is gone by then."""

        def answer(written: bytes) -> None:
            request.setHeader(b"content-length", b"%d" % len(written))
            request.write(written)
            request.finish()

        request.notifyFinish().addErrback(lambda _: body.cancel())
        body.addCallbacks(answer, self._fail, errbackArgs=(request,))
        return NOT_DONE_YET

    def _stream(self, request: Request, kind: str, parameters: Mapping[str, str]) -> int:
        opening = StreamRequest(self.api, request).open(kind, parameters)
        opening.addCallback(lambda _: request.finish() if request.method == b"HEAD" else None)
        opening.addErrback(self._fail, request)
        return NOT_DONE_YET

    def _fail(self, failure: Failure, request: Request) -> None:
        if failure.check(CancelledError):
            return  # the client is gone
        request.write(refuse(request, refusal_of(failure, self._log)))
        request.finish()


def refuse(request: Request, refusal: RefusalError) -> bytes:
    """Set a response to what *refusal* says and return its body."""
    request.setResponseCode(refusal.status)
    request.setHeader(b"content-type", b"application/json")
    if refusal.retry_after is not None:
        request.setHeader(b"retry-after", str(refusal.retry_after).encode())
    if isinstance(refusal, MethodNotAllowedError):
        request.setHeader(b"allow", b"GET, HEAD, OPTIONS")
    return orjson.dumps({"error": refusal.message})


def written(request: Request, content_type: bytes, body: bytes) -> bytes:
    """Set a response to a *body*, which nobody shall keep, and return it."""
    request.setHeader(b"content-type", content_type)
    request.setHeader(b"cache-control", b"private, no-store")
    return body


class _Request(SiteRequest):
    """A request without a body, whose response has no type but the one that it is given."""

    defaultContentType = None  # noqa: N815 # Twisted's

    @override
    def gotLength(self, length: int | None) -> None:
        # Twisted would keep long bodies in files, and nothing here takes one.
        self.content = BytesIO()

    @override
    def handleContentChunk(self, data: bytes) -> None:
        pass


class StreamingChannel(HTTPChannel):
    """
    Gives what came *behind* a request to who decides whether it is HTTP at all.

    The *visit* is what the connection is counted as.
    """

    behind: Callable[[bytes], None] | None = None
    visit: Visit

    @override
    def requestDone(self, request: Request) -> None:
        # What the proxy asks next on this connection may be somebody else's.
        self.visit.rest()
        super().requestDone(request)  # type: ignore[no-untyped-call] # Twisted's

    @override
    def setLineMode(self, extra: bytes = b"") -> None:
        super().setLineMode()  # type: ignore[no-untyped-call] # Twisted's
        if extra and self.behind:
            self.behind(extra)


class StreamingSite(Site):
    """The HTTP server; it logs requests without what may hold a token."""

    _log = Logger()
    # Twisted's own would look for HTTP/2, which a proxy in front speaks for us.
    protocol = StreamingChannel  # type: ignore[assignment] # a class is a factory, too
    displayTracebacks = False  # noqa: N815 # Twisted's
    noisy = False

    def __init__(self, resource: IResource, limits: Limits, reactor: Any = None) -> None:
        # The time is that for a request after the one before.
        timeout = limits.handshake_timeout or None
        Site.__init__(self, resource, requestFactory=_Request, timeout=timeout, reactor=reactor)
        self._header_size = limits.header_size or sys.maxsize

    @override
    def buildProtocol(self, addr: IAddress | None) -> Any:
        # Heads have been measured before they come here.
        channel: Any = super().buildProtocol(addr)  # type: ignore[no-untyped-call] # Twisted's
        channel.totalHeadersSize = channel.MAX_LENGTH = self._header_size
        return channel

    @override
    def log(self, request: Request) -> None:
        self._tell(self._log.info, request)

    def log_opening(self, request: Request) -> None:
        """Log a request for a stream, which will be logged again when that ends."""
        self._tell(self._log.debug, request)

    def _tell(self, say: Callable[..., None], request: Request) -> None:
        named = request.responseHeaders.getRawHeaders("x-request-id")
        say(
            "{method} {path} {code}",
            method=request.method.decode("ascii", "replace"),
            path=shown_path(split_target(request.uri)[0]),
            code=request.code,
            request_id=named[0] if named else None,
        )
