"""
A connection that changes its protocol.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Protocol
from twisted.protocols.policies import ProtocolWrapper


def hand_over(transport: Any, protocol: Protocol) -> None:
    """Let *protocol* have all that the *transport* reads from now on, and its end."""
    if isinstance(transport, ProtocolWrapper):
        transport.wrappedProtocol = protocol
    else:
        transport.protocol = protocol
    protocol.makeConnection(transport)
