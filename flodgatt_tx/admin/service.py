"""
The administrators' listener, and what runs behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from twisted.application.service import IService
from twisted.internet.interfaces import IStreamServerEndpoint

from flodgatt_tx.admin.guard import check_head
from flodgatt_tx.admin.live import Live
from flodgatt_tx.admin.site import AdminSite
from flodgatt_tx.edge.admission import Admission
from flodgatt_tx.edge.api import Api
from flodgatt_tx.edge.entrance import EntranceFactory
from flodgatt_tx.edge.listeners import Listeners
from flodgatt_tx.edge.web import StreamingSite
from flodgatt_tx.edge.websocket import StreamingSocketFactory
from flodgatt_tx.limits import Limits

CONNECTIONS = 64  # at once, beside those of clients: who looks after a full server gets in
ANNOUNCEMENT = "Administrators are served on {address}"


def make_front(reactor: Any, api: Api, limits: Limits, live: Live) -> EntranceFactory:
    """Make what administrators' connections are handed to; its limits are those of clients."""
    limits = replace(limits, connections=CONNECTIONS)
    admission = Admission(limits, (), api.metrics, reactor)
    site = StreamingSite(AdminSite(api, live), limits, reactor)
    return EntranceFactory(reactor, site, StreamingSocketFactory(api), admission, check_head)


def make_admin(
    reactor: Any,
    api: Api,
    limits: Limits,
    places: Sequence[tuple[str, IStreamServerEndpoint]],
    fail: Callable[[str], NoReturn],
) -> tuple[Listeners, IService]:
    """Make the listeners for these *places*, and the service that has to run with them."""
    live = Live(reactor, api.reports)
    front = make_front(reactor, api, limits, live)
    return Listeners(reactor, places, front, fail, ANNOUNCEMENT), live
