"""
A request for a stream of Server-Sent Events.

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

from flodgatt_tx.edge.api import Api, header
from flodgatt_tx.edge.event_stream import EventStream
from flodgatt_tx.edge.handover import hand_over
from flodgatt_tx.edge.readers import EVENTSOURCE, Reader
from flodgatt_tx.errors import (
    INVALID_TOKEN,
    UNAVAILABLE,
    RefusalError,
    UnauthorizedError,
    UnavailableError,
)
from flodgatt_tx.framing import CHUNKED, PLAIN, SSE_HELLO
from flodgatt_tx.streams import check_scopes, open_stream

# How long a client waits for Redis before it is told to come back later; seconds.
PATIENCE = 15


class StreamRequest:
    """
    The life of one request for a stream, until it is open or the client leaves or is sent away.

    `open` fails as the client shall be refused; once it has succeeded, events follow.
    """

    def __init__(self, api: Api, request: Any) -> None:
        self._api = api
        self._request = request
        self._reader: Reader | None = None
        self._opening: Deferred[None] | None = None
        self._refusal: RefusalError | None = None
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
        request = self._request
        visit = request.channel.visit
        viewer = await self._api.log_in(
            visit,
            header(request, b"authorization"),
            parameters.get("access_token"),
            header(request, b"sec-websocket-protocol"),
        )
        check_scopes(kind, viewer)
        if request.method == b"HEAD":
            open_stream(kind, parameters, viewer)
            self._set_headers()
            return
        framing = CHUNKED if request.clientproto == b"HTTP/1.1" else PLAIN
        (named,) = request.responseHeaders.getRawHeaders("x-request-id")
        now = self._api.clock.seconds()
        self._reader = Reader(EVENTSOURCE, viewer, self, framing, named, now)
        self._api.subscriber.enter(self._reader)
        subscribing = Deferred.fromCoroutine(
            self._api.subscriber.subscribe(self._reader, kind, parameters)
        )
        await subscribing.addTimeout(PATIENCE, self._api.clock)
        self._set_headers()
        request.write(SSE_HELLO)
        reader, self._reader = self._reader, None
        take_over(request, EventStream(self._api, reader, visit))

    def kill(self) -> None:
        """Refuse the client, which still waits for its first byte."""
        self._refuse(UnauthorizedError(INVALID_TOKEN))

    def go_away(self) -> None:
        """Send the client elsewhere."""
        self._refuse(UnavailableError(UNAVAILABLE))

    def _refuse(self, refusal: RefusalError) -> None:
        if opening := self._still_opening():
            self._refusal = refusal
            opening.cancel()

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
        if self._reader:
            self._api.subscriber.leave(self._reader)
            self._reader = None


def take_over(request: Any, stream: EventStream) -> None:
    """
    Give the connection of a *request*, whose response has begun, to the *stream*.

    The request and its channel are let go of, without the circles that would keep them.
    """
    channel = request.channel
    transport = channel.transport
    channel.site.log_opening(request)
    channel.setTimeout(None)
    transport.unregisterProducer()
    # HTTP stops reading where requests come faster than they are answered.
    transport.resumeProducing()
    channel.requests.clear()
    request.notifications.clear()
    request.channel = request.transport = channel.transport = channel.behind = None
    hand_over(transport, stream)
