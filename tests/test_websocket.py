"""
WebSocket clients, from their handshake to their close, against a server in memory.
"""

from __future__ import annotations

from tests.stage import API, StageTestCase, status


class HandshakeTests(StageTestCase):
    """Who gets in, and how the others are told."""

    def test_subprotocol(self) -> None:
        """The token may be offered as the subprotocol, which is echoed."""
        socket = self.stage.websocket(subprotocol="ann")
        self.assertTrue(socket.open)
        self.assertEqual("ann", socket.protocol.subprotocol)

    def test_streams(self) -> None:
        """An event is sent under the name of its stream."""
        socket = self.stage.websocket(f"{API}?stream=user&access_token=ann")
        self.stage.publish("timeline:1", "update", status())
        self.assertEqual(["user"], socket.messages[0]["stream"])
