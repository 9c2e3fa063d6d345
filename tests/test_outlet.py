"""
The way out to clients that read slowly, or not at all.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.outlet import MOST_UNSENT, Outlet
from tests.stage import API, StageTestCase, Visitor


class OutletTests(SynchronousTestCase):
    """What is written, and what is given up."""

    def setUp(self) -> None:
        """Make an outlet."""
        self.written: list[bytes] = []
        self.overflows = 0
        self.outlet = Outlet(self.written.append, self._overflow)

    def _overflow(self) -> None:
        self.overflows += 1

    def test_flowing(self) -> None:
        """To who reads, any amount may be written."""
        for _ in range(5):
            self.outlet.send(b"x" * MOST_UNSENT)
        self.assertEqual((5, 0), (len(self.written), self.overflows))

    def test_blocked(self) -> None:
        """What waits for who does not read is bounded; beyond that they are given up, once."""
        self.outlet.pauseProducing()
        self.outlet.send(b"x" * MOST_UNSENT)
        self.assertEqual((1, 0), (len(self.written), self.overflows))
        self.outlet.send(b"x")
        self.outlet.send(b"x")
        self.assertEqual((1, 1), (len(self.written), self.overflows))

    def test_catching_up(self) -> None:
        """Who reads again begins with a clean slate."""
        for _ in range(3):
            self.outlet.pauseProducing()
            self.outlet.send(b"x" * MOST_UNSENT)
            self.outlet.resumeProducing()
        self.outlet.stopProducing()
        self.assertEqual((3, 0), (len(self.written), self.overflows))


class SlowReaderTests(StageTestCase):
    """Clients of both kinds that stop reading."""

    def both(self) -> dict[str, Visitor]:
        """One client of each kind, whose transports have enough."""
        clients: dict[str, Visitor] = {
            "websocket": self.stage.websocket(f"{API}?access_token=ann&stream=user"),
            "eventsource": self.stage.get(f"{API}/user?access_token=ann"),
        }
        for client in clients.values():
            transport: Any = client.wire
            transport.producer.pauseProducing()
        return clients

    def test_dropped(self) -> None:
        """They are cut off and counted when too much waits for them."""
        clients = self.both()
        self.stage.publish("timeline:1", "big", "x" * (MOST_UNSENT - 1000))
        self.assertEqual([False] * 2, [each.closed for each in clients.values()])
        self.stage.publish("timeline:1", "big", "x" * 2000)
        self.assertEqual([True] * 2, [each.closed for each in clients.values()])
        for transport, client in clients.items():
            dropped = self.stage.metric("slow_readers_dropped_total", type=transport)
            self.assertEqual(1, dropped, transport)
            client.hang_up()

    def test_killed(self) -> None:
        """A kill cuts them off: nothing that waits is for them any more."""
        for client in self.both().values():
            self.stage.publish("timeline:system:1", "kill")
            self.assertTrue(client.closed)
            self.assertNotIn(b"\x88\x00", client.raw)
