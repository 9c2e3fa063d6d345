"""Tells `twistd` that there is a service called `flodgatt`."""

from twisted.application.service import ServiceMaker

flodgatt = ServiceMaker(
    "flodgatt",
    "flodgatt_tx.edge.tap",
    "Mastodon's streaming API over SSE and WebSocket.",
    "flodgatt",
)
