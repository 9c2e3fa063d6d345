"""
One client that listens over Server-Sent Events, once its stream is open.

The connection has been taken over from HTTP: nothing of the request is kept, frames go straight to
the socket, and the connection ends with the stream.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from typing_extensions import override

from flodgatt_tx.edge.admission import Visit
from flodgatt_tx.edge.api import Api
from flodgatt_tx.edge.farewell import LEFT, LOST, SHUTDOWN, say_farewell
from flodgatt_tx.edge.metrics import REVOKED
from flodgatt_tx.edge.outlet import Outlet, open_outlet
from flodgatt_tx.edge.readers import EVENTSOURCE, Reader
from flodgatt_tx.framing import CHUNKED, LAST_CHUNK, SSE_HEARTBEAT, frame_chunk

CLOSE_TIMEOUT = 5  # seconds for a client to read its last bytes

_CHUNKED_HEARTBEAT = frame_chunk(SSE_HEARTBEAT)


class EventStream(Protocol):
    """
    Serves *reader*, from when the head of the response and the greeting have been written.

    What the client says is ignored: it can only be a request behind one that never ends.
    """

    def __init__(self, api: Api, reader: Reader, visit: Visit) -> None:
        self._api = api
        self._reader = reader
        self._visit = visit
        self._outlet: Outlet | None = None
        self._ending: IDelayedCall | None = None

    @override
    def connectionMade(self) -> None:
        self._outlet = open_outlet(self.transport, self._api.backlog, self._overflow)
        self._reader.connection = self
        self._reader.outlet = self._outlet
        self._reader.ready = True
        self._api.thumps.add(self)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._api.thumps.discard(self)
        why = LEFT if reason.check(ConnectionDone) else LOST
        say_farewell(self._reader, self._api.clock.seconds(), why)
        self._api.subscriber.leave(self._reader)
        self._visit.leave()
        self._outlet = None
        if self._ending and self._ending.active():
            self._ending.cancel()

    def beat(self) -> None:
        """Send a comment, which clients ignore and proxies do not."""
        if self._outlet:
            self._outlet.send(_CHUNKED_HEARTBEAT if self._chunked else SSE_HEARTBEAT)

    def kill(self) -> None:
        """
        End the stream.

        What waits for a client that does not read is not for it any more: it is cut off.
        """
        self._reader.end = self._reader.end or REVOKED
        if not self._outlet or self._outlet.blocked:
            self._reader.ready = False
            self._abort()
        else:
            self.go_away()

    def go_away(self) -> None:
        """
        End the stream, and with it the connection; the client comes back by itself.

        One that does not read so much as that is cut off.
        """
        self._reader.end = self._reader.end or SHUTDOWN
        self._reader.ready = False
        self._api.thumps.discard(self)
        outlet, self._outlet = self._outlet, None
        if outlet:
            outlet.close()
            transport: Any = self.transport
            if self._chunked:
                transport.write(LAST_CHUNK)
            transport.loseConnection()
            self._ending = self._api.clock.callLater(CLOSE_TIMEOUT, self._abort)

    @property
    def _chunked(self) -> bool:
        return self._reader.framing == CHUNKED

    def _overflow(self, cause: str) -> None:
        self._api.metrics.readers_dropped.counts[EVENTSOURCE, cause] += 1
        self._reader.end = cause
        self.go_away()

    def _abort(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()
