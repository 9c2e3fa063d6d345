"""
Readers: clients that listen to one stream, and tell the ledger.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import orjson
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from typing_extensions import override
from zope.interface import implementer

from flodgatt_tx.load.ledger import Account, Ledger
from flodgatt_tx.load.options import Plan

API = "/api/v1/streaming"
EVENT = "flodgatt_load"  # which no client knows, so that none shows it


class Listener:
    """
    What both transports tell: the bookkeeping of one reader of a *run* of this name.

    It *settles*, by a call without arguments, once it is connected or refused.
    """

    def __init__(self, ledger: Ledger, clock: Any, run: str, settle: Callable[[], None]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._run = run
        self._settle: Callable[[], None] | None = settle
        self._began = clock.seconds()
        self._account: Account | None = None
        self.leaving = False

    def opened(self) -> None:
        """Take note that events may come."""
        self._account = self._ledger.open(self._clock.seconds() - self._began)
        self._settled()

    def refused(self, cause: str) -> None:
        """Take note that none will."""
        if self._account is None and self._settle:
            self._ledger.refuse(cause)
            self._settled()

    def heard(self, name: str, data: str | bytes, size: int) -> None:
        """Take note of an event."""
        now = self._clock.seconds()
        self._ledger.hear(now, size)
        if name == EVENT and self._account:
            message = orjson.loads(data)
            if message["run"] == self._run:
                latency = now - message["time"]
                self._ledger.hear_ours(self._account, message["number"], now, latency)

    def ended(self, cause: str) -> None:
        """Take note of the end."""
        if self._account is None:
            self.refused(cause)
        elif not self.leaving:
            self._ledger.end(self._account, cause)
            self.leaving = True

    def _settled(self) -> None:
        settle, self._settle = self._settle, None
        if settle:
            settle()


class EventStream(Protocol):
    """The body of a response, as Server-Sent Events."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._rest = b""

    @override
    def dataReceived(self, data: bytes) -> None:
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        for block in blocks:
            self._take(block)

    def _take(self, block: bytes) -> None:
        name, payload = "message", []
        for line in block.split(b"\n"):
            field, _, value = line.partition(b": ")
            if field == b"event":
                name = value.decode("utf-8", "replace")
            elif field == b"data":
                payload.append(value)
        if payload:
            self._listener.heard(name, b"\n".join(payload), len(block) + 2)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        done = reason.check(ResponseDone)
        self._listener.ended("the server ended the stream" if done else "connection lost")


@implementer(IAgentEndpointFactory)
class _Always:
    """Connects nowhere but there."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, uri: object) -> IStreamClientEndpoint:  # noqa: N802 # Twisted's
        """Give the one way."""
        return self._endpoint


class SSEReaders:
    """Makes readers over Server-Sent Events."""

    def __init__(self, reactor: Any, plan: Plan) -> None:
        endpoint = plan.target.endpoint(reactor)
        pool = HTTPConnectionPool(reactor, persistent=False)
        self._agent = Agent.usingEndpointFactory(reactor, _Always(endpoint), pool)
        path = f"{plan.target.prefix}{API}/{plan.stream.replace(':', '/')}"
        query = f"?{plan.query}" if plan.query else ""
        scheme = "https" if plan.target.tls else "http"
        self._url = f"{scheme}://{plan.target.authority}{path}{query}".encode()

    def connect(self, token: str, listener: Listener) -> None:
        """Connect one."""
        headers = Headers({"Authorization": [f"Bearer {token}"], "User-Agent": ["flodgatt-load"]})
        asked: Deferred[Any] = self._agent.request(b"GET", self._url, headers)

        def answered(response: Any) -> None:
            if response.code == 200:
                response.deliverBody(EventStream(listener))
                listener.opened()
            else:
                listener.refused(str(response.code))
                response._transport.abortConnection()

        asked.addCallback(answered)
        asked.addErrback(lambda failure: listener.refused(_reason(failure)))


class _Socket(WebSocketClientProtocol):
    """One WebSocket."""

    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self._listener = listener

    @override
    def onOpen(self) -> None:
        self._listener.opened()

    @override
    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        message = orjson.loads(payload)
        self._listener.heard(
            message.get("event", "error"), message.get("payload", ""), len(payload)
        )

    @override
    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        status = (getattr(self, "http_status_line", "") or "").split(" ")
        if status[1:2] not in ([], ["101"]):
            self._listener.refused(status[1])
        self._listener.ended(f"closed with {code}" if wasClean else "connection lost")


class WebSocketReaders:
    """Makes readers over WebSockets."""

    def __init__(self, reactor: Any, plan: Plan) -> None:
        self._endpoint = plan.target.endpoint(reactor)
        self._reactor = reactor
        stream = urlencode({"stream": plan.stream})
        query = "&".join(filter(None, (stream, plan.query)))
        scheme = "wss" if plan.target.tls else "ws"
        port = plan.target.port or 80
        host = f"[{plan.target.host}]" if ":" in plan.target.host else plan.target.host
        self._url = f"{scheme}://{host}:{port}{plan.target.prefix}{API}?{query}"

    def connect(self, token: str, listener: Listener) -> None:
        """Connect one."""
        factory: Any = WebSocketClientFactory(
            self._url,
            useragent="flodgatt-load",
            headers={"Authorization": f"Bearer {token}"},
            reactor=self._reactor,
        )
        factory.noisy = False
        factory.protocol = lambda: _Socket(listener)
        connecting: Deferred[Any] = self._endpoint.connect(factory)
        connecting.addErrback(lambda failure: listener.refused(_reason(failure)))


MAKERS: dict[str, Callable[[Any, Plan], SSEReaders | WebSocketReaders]] = {
    "sse": SSEReaders,
    "websocket": WebSocketReaders,
}


def _reason(failure: Failure) -> str:
    """Say in a few words why a connection did not come about."""
    value: Any = failure.value
    if reasons := getattr(value, "reasons", None):
        value = reasons[0].value
    return str(getattr(value, "osError", None) or type(value).__name__)
