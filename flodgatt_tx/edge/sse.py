"""
One client that listens over Server-Sent Events.

    GET /api/v1/streaming/user          HTTP/1.1 200 OK
    Authorization: Bearer TOKEN         Content-Type: text/event-stream

                                        :)
                                        event: update
                                        data: {"id": …}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.web.http import Request

from flodgatt_tx.credentials import find_token
from flodgatt_tx.edge.api import Api, header
from flodgatt_tx.edge.outlet import Outlet
from flodgatt_tx.edge.readers import EVENTSOURCE, Reader
from flodgatt_tx.errors import (
    INVALID_TOKEN,
    UNAVAILABLE,
    RefusalError,
    UnauthorizedError,
    UnavailableError,
)
from flodgatt_tx.framing import SSE_HEARTBEAT, SSE_HELLO
from flodgatt_tx.streams import check_scopes, open_stream

# How long a client waits for Redis before it is told to come back later; seconds.
PATIENCE = 15


class EventStream:
    """
    The life of one request for a stream, until the client leaves or is sent away.

    `open` fails as the client shall be refused; once it has succeeded, events follow.
    """

    def __init__(self, api: Api, request: Request) -> None:
        self._api = api
        self._request = request
        self._reader: Reader | None = None
        self._opening: Deferred[None] | None = None
        self._refusal: RefusalError | None = None
        self._outlet = Outlet(request.write, self._overflow)
        request.notifyFinish().addBoth(self._finished)

    def open(self, kind: str, parameters: Mapping[str, str]) -> Deferred[None]:
        """
        Find out who asks, and let them hear the stream.

        :return: fires when the client has been greeted, or for HEAD when the headers are set;
            fails with the RefusalError that the client has to be told.
        """
        self._opening = Deferred.fromCoroutine(self._open(kind, parameters))
        return self._opening.addErrback(self._explain)

    async def _open(self, kind: str, parameters: Mapping[str, str]) -> None:
        viewer = await self._api.login.viewer(
            find_token(
                header(self._request, b"authorization"),
                parameters.get("access_token"),
                header(self._request, b"sec-websocket-protocol"),
            )
        )
        check_scopes(kind, viewer)
        if self._request.method == b"HEAD":
            open_stream(kind, parameters, viewer)
            self._set_headers()
            return
        self._reader = Reader(EVENTSOURCE, viewer, self)
        self._api.subscriber.enter(self._reader)
        subscribing = Deferred.fromCoroutine(
            self._api.subscriber.subscribe(self._reader, kind, parameters)
        )
        await subscribing.addTimeout(PATIENCE, self._api.clock)
        self._set_headers()
        self._request.registerProducer(self._outlet, True)
        self._request.write(SSE_HELLO)
        self._reader.ready = True
        self._api.thumps.add(self)

    def send(self, frame: bytes) -> None:
        """Send one event."""
        self._outlet.send(frame)

    def beat(self) -> None:
        """Send a comment, which clients ignore and proxies do not."""
        self._outlet.send(SSE_HEARTBEAT)

    def kill(self) -> None:
        """
        End the stream; a client that still waits for its first byte is refused.

        What waits for a client that does not read is not for it any more: it is cut off.
        """
        if self._outlet.blocked:
            self._abort()
        else:
            self._end(UnauthorizedError(INVALID_TOKEN))

    def go_away(self) -> None:
        """End the stream and the connection that it came over."""
        # Once it is finished, a request knows its channel no more.
        channel = self._request.channel
        self._request.setHeader(b"connection", b"close")
        self._end(UnavailableError(UNAVAILABLE))
        channel.loseConnection()

    def _end(self, refusal: RefusalError) -> None:
        if opening := self._still_opening():
            self._refusal = refusal
            opening.cancel()
        else:
            self._request.unregisterProducer()
            self._request.finish()

    def _overflow(self) -> None:
        self._api.metrics.slow_readers.labels(EVENTSOURCE).inc()
        self._abort()

    def _abort(self) -> None:
        if self._reader:
            self._reader.ready = False
        transport: Any = self._request.transport
        transport.abortConnection()

    def _set_headers(self) -> None:
        self._request.setHeader(b"content-type", b"text/event-stream")
        self._request.setHeader(b"cache-control", b"private, no-store")
        # Or nginx would collect events until it has a page full of them.
        self._request.setHeader(b"x-accel-buffering", b"no")

    def _explain(self, failure: Any) -> Any:
        """Leave nothing behind, and say as a refusal why there will be no stream."""
        self._leave()
        if failure.check(CancelledError) and self._refusal:
            raise self._refusal
        if failure.check(TimeoutError):
            raise UnavailableError(UNAVAILABLE)
        return failure

    def _finished(self, outcome: object) -> None:
        if opening := self._still_opening():
            opening.cancel()
        self._leave()

    def _still_opening(self) -> Deferred[None] | None:
        opening = self._opening
        return None if opening is None or opening.called else opening

    def _leave(self) -> None:
        self._api.thumps.discard(self)
        if self._reader:
            self._api.subscriber.leave(self._reader)
            self._reader = None
