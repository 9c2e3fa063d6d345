"""
What an open WebSocket has to remember.

Autobahn gives every protocol some ninety attributes: copies of the factory's options, all that was
said in the handshake, and states in which it rests as long as nothing unusual happens. Thousands of
protocols share those here, in their class.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.protocol import TrafficStats

# What is looked at before anything is sent or closed, while nothing has been.
_AT_REST: Mapping[str, Any] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                *("_perMessageCompress", "trackedTimings", "wasNotCleanReason", "current_frame"),
                *("localCloseCode", "localCloseReason", "remoteCloseCode", "remoteCloseReason"),
                *("openHandshakeTimeoutCall", "closeHandshakeTimeoutCall"),
                *("autoPingTimeoutCall", "autoPingPending", "autoPingPendingCall"),
                *("autoPingPendingSent", "websocket_protocol_in_use"),
            )
        ),
        **dict.fromkeys(
            (
                *("triggered", "closedByMe", "failedByMe", "droppedByMe", "wasClean"),
                *("wasMaxFramePayloadSizeExceeded", "wasMaxMessagePayloadSizeExceeded"),
                *("wasServerConnectionDropTimeout", "wasOpenHandshakeTimeout"),
                *("wasCloseHandshakeTimeout", "wasServingFlashSocketPolicyFile", "inside_message"),
            ),
            False,
        ),
        "autoPingPendingSeq": 0,
        "data": b"",
        "websocket_version": 13,
    }
)
# Of the handshake, tokens included; or what is the same for all of them, or never used.
_NEEDLESS = (
    *("http_request_data", "http_status_line", "http_headers", "http_request_uri"),
    *("http_request_path", "http_request_params", "http_request_host", "http_response_data"),
    *("websocket_extensions", "websocket_extensions_in_use", "websocket_protocols"),
    *("websocket_origin", "_wskey", "peer", "_results", "_valid_events"),
    *("_transport_details", "trafficStats", "send_queue"),
)

_FORGOTTEN = frozenset(_AT_REST).union(_NEEDLESS)


def share_options(
    protocol: type[WebSocketServerProtocol], factory: WebSocketServerFactory
) -> type[Any]:
    """Make the class of a factory's protocols, which has what they would have copies of."""
    options = {name: getattr(factory, name) for name in protocol.CONFIG_ATTRS}
    shared = {"CONFIG_ATTRS": (), "trafficStats": TrafficStats(), "send_queue": (), "peer": ""}
    return type(protocol.__name__, (protocol,), {**_AT_REST, **options, **shared})


def forget_handshake(protocol: WebSocketServerProtocol) -> None:
    """Let an open WebSocket forget what it does not need any more, or shares with all others."""
    said = protocol.__dict__
    kept = {name: value for name, value in said.items() if name not in _FORGOTTEN}
    if said["data"]:
        kept["data"] = said["data"]  # frames that came with the handshake
    protocol.__dict__ = kept
