"""
Tests for flodgatt_tx.status and flodgatt_tx.edge.census, and for where they can be asked for.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import succeed
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.errors import UNKNOWN_CHANNEL
from flodgatt_tx.status import CONNECTIONS, QUEUE, TIMELINES, add_up, as_json, as_text
from tests.stage import API, Stage, StageTestCase, status

ONE = {
    "connections": {"websocket": 2, "eventsource": 1},
    "timelines": {"user": 3, "public": 1},
    "queue": {"clients": 1, "longest": 50, "unsent": 50, "judging": 0},
}
OTHER = {
    "connections": {"websocket": 1, "eventsource": 0},
    "timelines": {"user": 1, "hashtag:local": 12},
    "queue": {"clients": 2, "longest": 70, "unsent": 90, "judging": 4},
}


class CountTests(SynchronousTestCase):
    """What the counts of several processes are together, and how they are told."""

    def test_add_up(self) -> None:
        """All are added, but for the longest queue, which is the longest of all."""
        self.assertEqual(
            {
                "connections": {"websocket": 3, "eventsource": 1},
                "timelines": {"user": 4, "public": 1, "hashtag:local": 12},
                "queue": {"clients": 3, "longest": 70, "unsent": 140, "judging": 4},
            },
            add_up([ONE, OTHER]),
        )
        self.assertEqual({"connections": {}, "timelines": {}, "queue": {}}, add_up([]))

    def test_json(self) -> None:
        """Programs get the numbers with their sum."""
        self.assertEqual({"total": 3, "connections": ONE["connections"]}, as_json(CONNECTIONS, ONE))
        self.assertEqual({"total": 4, "timelines": ONE["timelines"]}, as_json(TIMELINES, ONE))
        self.assertEqual(ONE["queue"], as_json(QUEUE, ONE))

    def test_connections(self) -> None:
        """The first line is Flodgatt's."""
        self.assertEqual(
            "Current connections: 3\n  websocket: 2\neventsource: 1\n", as_text(CONNECTIONS, ONE)
        )
        self.assertEqual("Current connections: 0\n", as_text(CONNECTIONS, add_up([])))

    def test_timelines(self) -> None:
        """The busiest comes first."""
        self.assertEqual("hashtag:local: 12\n         user: 1\n", as_text(TIMELINES, OTHER))
        self.assertEqual("Nobody listens.\n", as_text(TIMELINES, add_up([])))

    def test_queue(self) -> None:
        """The longest queue comes first."""
        self.assertEqual(
            "Longest queue of a client: 70 bytes\nUnsent to all clients: 90 bytes\n"
            "Clients with a queue: 2\nEvents that wait to be judged: 4\n",
            as_text(QUEUE, OTHER),
        )
        self.assertIn("client: 0 bytes\n", as_text(QUEUE, add_up([])))


class OffTests(StageTestCase):
    """Nobody is told unless that is wanted."""

    def test_unknown(self) -> None:
        """The paths lead nowhere, as in Mastodon's own server."""
        for path in ("status", "status/per_timeline", "status/queue"):
            client = self.stage.get(f"{API}/{path}")
            self.assertEqual(400, client.status, path)
            self.assertIn(UNKNOWN_CHANNEL.encode(), client.body)


class OnTests(SynchronousTestCase):
    """What everybody is told where it is wanted."""

    def setUp(self) -> None:
        """Set up a server that tells."""
        self.stage = Stage(status=True)
        self.addCleanup(self.stage.close)

    def told(self, path: str) -> Any:
        """What a program is told."""
        client = self.stage.get(f"{API}/status{path}", Accept="application/json")
        self.assertEqual("application/json", client.headers["content-type"])
        return json.loads(client.body)

    def test_connections(self) -> None:
        """Clients are counted while they are here."""
        self.assertEqual(0, self.told("")["total"])
        socket = self.stage.websocket(f"{API}?access_token=ann&stream=user")
        self.stage.get(f"{API}/public?access_token=ben")
        expected = {"total": 2, "connections": {"websocket": 1, "eventsource": 1}}
        self.assertEqual(expected, self.told(""))
        socket.hang_up()
        self.assertEqual(1, self.told("")["total"])

    def test_timelines(self) -> None:
        """Streams are counted by their kinds; nobody is told whose, or which tag."""
        socket = self.stage.websocket(f"{API}?access_token=ann&stream=user")
        socket.say({"type": "subscribe", "stream": "hashtag", "tag": "secret"})
        self.stage.get(f"{API}/hashtag?access_token=ben&tag=other")
        expected = {"total": 3, "timelines": {"user": 1, "hashtag": 2}}
        self.assertEqual(expected, self.told("/per_timeline"))

    def test_queue(self) -> None:
        """What waits for clients is counted, and what waits to be judged."""
        client = self.stage.get(f"{API}/public?access_token=ann")
        self.stage.get(f"{API}/public?access_token=ben")
        outlet: Any = client.wire.producer
        outlet.pauseProducing()
        self.stage.publish("timeline:public", "delete", "1")
        for path in ("/queue", "/backpressure", "/backpresure"):
            told = self.told(path)
            self.assertEqual((1, 0), (told["clients"], told["judging"]))
            self.assertGreater(told["longest"], 20)
            self.assertEqual(told["longest"], told["unsent"])
        outlet.resumeProducing()
        self.assertEqual(0, self.told("/queue")["longest"])

    def test_judging(self) -> None:
        """A status that PostgreSQL is asked about waits, and so does what comes behind it."""
        self.stage.get(f"{API}/public?access_token=ann")
        self.stage.mastodon.held = []
        self.stage.publish("timeline:public", "update", status())
        self.stage.publish("timeline:public", "delete", "1")
        self.assertEqual(2, self.told("/queue")["judging"])

    def test_text(self) -> None:
        """Eyes get text."""
        client = self.stage.get(f"{API}/status/")
        self.assertEqual("text/plain; charset=utf-8", client.headers["content-type"])
        self.assertEqual("Accept", client.headers["vary"])
        self.assertTrue(client.body.startswith(b"Current connections: 0\n"))
        self.assertEqual(405, self.stage.get(f"{API}/status", "POST", Content_Length="0").status)

    def test_workers(self) -> None:
        """All workers are told of together; one that does not answer is left out."""
        answers = {"1": ONE, "2": OTHER, "3": None}
        self.stage.parts.api.reports.ask_all = lambda question: succeed(answers)
        self.assertEqual(4, self.told("")["total"])

    def test_channels(self) -> None:
        """Who may know more is told the channels."""
        self.stage.get(f"{API}/user?access_token=ann")
        self.stage.get(f"{API}/public?access_token=ann")
        self.stage.get(f"{API}/public?access_token=ben")
        told = self.stage.parts.api.reports.own("timelines")
        readers = {each["channel"]: each["readers"] for each in told}
        self.assertEqual(2, readers["timeline:public"])
        self.assertEqual(1, readers["timeline:1"])
