"""
What both transports need: one object that carries the parts they share.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request

from flodgatt_tx import status
from flodgatt_tx.credentials import find_token
from flodgatt_tx.edge.admission import Visit
from flodgatt_tx.edge.heartbeat import Heartbeat
from flodgatt_tx.edge.login import Login
from flodgatt_tx.edge.metrics import BAD_TOKEN, NO_TOKEN, UNAVAILABLE, Metrics
from flodgatt_tx.edge.outlet import Backlog
from flodgatt_tx.edge.readiness import Readiness
from flodgatt_tx.edge.reports import Reports
from flodgatt_tx.edge.subscribing import Subscriber
from flodgatt_tx.errors import UNEXPECTED, RefusalError, UnauthorizedError
from flodgatt_tx.streams import PREFIX, kind_of_path
from flodgatt_tx.viewer import Viewer

_OTHER_PATHS = frozenset(
    {
        *{"", PREFIX.rstrip("/"), f"{PREFIX}health", f"{PREFIX}health/ready"},
        *{"/metrics", "/favicon.ico", *status.PATHS},
    }
)
_REQUEST_ID = re.compile(r"[\w-]{1,200}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Api:
    """
    The middle of the server, as its two doors see it.

    *pings* and *thumps* are the heartbeats of WebSockets and of SSE; *backlog* counts what waits
    for clients; *reports* is what this and the server's other processes say of themselves.
    """

    clock: Any
    login: Login
    subscriber: Subscriber
    metrics: Metrics
    readiness: Readiness
    pings: Heartbeat
    thumps: Heartbeat
    backlog: Backlog
    reports: Reports

    async def log_in(
        self, visit: Visit, authorization: str | None, parameter: str | None, protocols: str | None
    ) -> Viewer:
        """
        Find out who owns the token in one of these places; the connection may have tries left.

        :raises RefusalError: as `find_token` and `Login.viewer` do, and for limits.
        """
        cause = NO_TOKEN
        try:
            token = find_token(authorization, parameter, protocols)
            cause = "failed_logins"
            visit.try_token()
            cause = UNAVAILABLE
            viewer = await self._viewer(token, visit)
            cause = "account"
            visit.log_in(viewer.account_id)
        except UnauthorizedError:
            self.metrics.logins_refused.counts[(NO_TOKEN if cause == NO_TOKEN else BAD_TOKEN,)] += 1
            raise
        except RefusalError:
            self.metrics.logins_refused.counts[(cause,)] += 1
            raise
        self.metrics.logins.inc()
        return viewer

    async def _viewer(self, token: str, visit: Visit) -> Viewer:
        try:
            return await self.login.viewer(token)
        except UnauthorizedError:
            visit.fail()
            raise


def shown_path(path: str) -> str:
    """The path of a request for the log; one that leads nowhere may hold whatever was sent."""
    known = kind_of_path(path, False) or path.rstrip("/") in _OTHER_PATHS
    return path if known else "(another path)"


def refusal_of(failure: Failure, log: Logger) -> RefusalError:
    """What a client is told of a *failure*; one that nobody expected is logged."""
    if isinstance(failure.value, RefusalError):
        return failure.value
    log.failure("a stream could not be opened", failure)
    return RefusalError(UNEXPECTED)


def header(request: Request, name: bytes) -> str | None:
    """A header of a request as text, whatever bytes it has."""
    value = request.getHeader(name)
    return None if value is None else value.decode("latin-1")


def request_id(given: str | None) -> str:
    """Name a request: as the proxy in front has named it, if that is a fit name."""
    return given if given and _REQUEST_ID.fullmatch(given) else str(uuid4())
