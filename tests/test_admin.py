"""
Tests for flodgatt_tx.admin, against a server in memory.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from twisted.internet.defer import fail
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.admin.guard import check_head
from flodgatt_tx.admin.live import Live
from flodgatt_tx.admin.picture import picture
from flodgatt_tx.admin.service import CONNECTIONS, make_front
from flodgatt_tx.errors import ForbiddenError
from tests.stage import API, STANDARD, Stage, Visitor


class GuardTests(SynchronousTestCase):
    """Whose requests are taken."""

    def heads(self, host: str, *origins: str) -> bytes:
        """Write the head of a request."""
        lines = ["GET / HTTP/1.1", f"Host: {host}", *(f"Origin: {each}" for each in origins)]
        return "\r\n".join(lines).encode()

    def test_ours(self) -> None:
        """Addresses and localhost are ours, from our own pages."""
        for host in ("localhost", "LOCALHOST:4001", "127.0.0.1:4001", "10.0.0.7", "[::1]:4001"):
            check_head(self.heads(host))
            check_head(self.heads(host, f"http://{host}"))
            check_head(self.heads(host, f"https://{host}"))

    def test_foreign_host(self) -> None:
        """Names that somebody else may have lead here are not."""
        for host in (
            *("evil.example", "evil.example:4001", "localhost.evil.example", "", "::1", "1.2.3"),
            *("127.0.0.1.evil.example", "localhost:x", "[::1", "localhost, evil.example"),
        ):
            self.assertRaises(ForbiddenError, check_head, self.heads(host))
        self.assertRaises(ForbiddenError, check_head, b"GET / HTTP/1.0")
        twice = self.heads("localhost") + b"\r\nHost: evil.example"
        self.assertRaises(ForbiddenError, check_head, twice)

    def test_foreign_origin(self) -> None:
        """Pages of other origins are not, be it another port or none."""
        for origin in (
            "http://evil.example",
            "null",
            "http://localhost",
            "",
            "ws://localhost:4001",
        ):
            self.assertRaises(ForbiddenError, check_head, self.heads("localhost:4001", origin))
        both = self.heads("localhost", "http://localhost", "http://evil.example")
        self.assertRaises(ForbiddenError, check_head, both)


class AdminTestCase(SynchronousTestCase):
    """A server in memory, visited by administrators."""

    def setUp(self) -> None:
        """Let those who connect come in by the administrators' door."""
        self.stage = Stage()
        self.addCleanup(self.stage.close)
        api = self.stage.parts.api
        self.live = Live(self.stage.clock, api.reports, lambda: 1000.5)
        front = make_front(self.stage.clock, api, STANDARD, self.live)
        self.clients = self.stage.parts
        self.stage.parts = replace(self.stage.parts, front=front)

    def get(self, path: str, **headers: str) -> Visitor:
        """Ask for something."""
        return self.stage.get(path, **headers)


class PageTests(AdminTestCase):
    """What is there."""

    def test_pages(self) -> None:
        """Pages, scripts and styles are there, under a policy that allows nothing else."""
        for path, kind in (
            ("/", "text/html"),
            ("/console", "text/html"),
            ("/static/style.css", "text/css"),
            ("/static/live.js", "text/javascript"),
            ("/static/console.js", "text/javascript"),
            ("/favicon.ico", "image/svg+xml"),
        ):
            answer = self.get(path)
            self.assertEqual(200, answer.status, path)
            self.assertEqual(kind, answer.headers["content-type"].partition(";")[0])
            self.assertIn("default-src 'none'", answer.headers["content-security-policy"])
            self.assertEqual("nosniff", answer.headers["x-content-type-options"])
            self.assertNotIn("access-control-allow-origin", answer.headers)

    def test_nothing_from_elsewhere(self) -> None:
        """No page names another host, or has scripts or styles in itself."""
        for path in ("/", "/console", "/static/style.css", "/static/live.js"):
            text = self.get(path).body.decode().replace("http://www.w3.org/2000/svg", "")
            for forbidden in ("http://", "https://", "//cdn", "<style", " style=", " onclick="):
                self.assertNotIn(forbidden, text, path)

    def test_nowhere(self) -> None:
        """What is not there is refused as everywhere."""
        for path in ("/static/../site.py", "/static/", "/etc/passwd", "/static/nope.js"):
            self.assertEqual(400, self.get(path).status, path)

    def test_no_preflight(self) -> None:
        """Scripts of other origins may ask for nothing."""
        answer = self.stage.get("/live", "OPTIONS", Access_Control_Request_Headers="x")
        self.assertEqual(405, answer.status)
        self.assertNotIn("access-control-allow-origin", answer.headers)

    def test_guarded(self) -> None:
        """Who does not come from here comes in nowhere, not even to streams."""
        for path in ("/", f"{API}/user", "/metrics", "/live"):
            visitor = self.stage.connect()
            visitor.send(f"GET {path} HTTP/1.1\r\nHost: evil.example\r\n\r\n".encode())
            self.assertEqual(403, visitor.status, path)
            self.assertNotIn("access-control-allow-origin", visitor.headers)
            self.assertTrue(visitor.closed)
        self.assertEqual(403, self.get("/live", Origin="http://evil.example").status)
        socket = self.stage.websocket(Origin="http://evil.example", Authorization="Bearer ann")
        self.assertFalse(socket.open)

    def test_streams(self) -> None:
        """Streams are those of clients, over both transports."""
        listener = self.get(f"{API}/public", Authorization="Bearer ann")
        socket = self.stage.websocket(f"{API}?stream=public", "ann", Origin="http://localhost")
        self.assertTrue(socket.open)
        self.stage.publish("timeline:public", "delete", "7")
        self.assertEqual([("delete", "7")], listener.events)
        self.assertEqual(["delete"], [each["event"] for each in socket.messages])
        self.assertNotIn("access-control-allow-origin", listener.headers)

    def test_full(self) -> None:
        """They come in when clients do not, and have their own limit."""
        self.stage.close()
        self.setUp()
        for _ in range(CONNECTIONS):
            self.get("/live")
        self.assertEqual(503, self.get("/").status)


class TokenTests(AdminTestCase):
    """Whose a token is."""

    def test_viewer(self) -> None:
        """Account, token, scopes and languages are told."""
        answer = self.get("/token", Authorization="Bearer ben")
        self.assertEqual(
            {"account_id": "2", "token_id": "1002", "scopes": ["read"], "languages": None},
            json.loads(answer.body),
        )

    def test_refused(self) -> None:
        """A wrong one is refused, and one in an address is none."""
        self.assertEqual(401, self.get("/token", Authorization="Bearer nobody").status)
        self.assertEqual(401, self.get("/token?access_token=ann").status)


class TimelinesTests(AdminTestCase):
    """Who listens to what, by names."""

    def test_channels(self) -> None:
        """Channels are named here."""
        self.assertEqual(b"Nobody listens.\n", self.get(f"{API}/status/per_timeline").body)
        self.get(f"{API}/public", Authorization="Bearer ann")
        self.get(f"{API}/user", Authorization="Bearer ann")
        answer = self.get(f"{API}/status/per_timeline", Accept="application/json")
        timelines = json.loads(answer.body)["timelines"]
        self.assertEqual(1, timelines["timeline:1"])
        self.assertIn(b"timeline:public: 1\n", self.get(f"{API}/status/per_timeline").body)


class LiveTests(AdminTestCase):
    """The live page's events."""

    def pictures(self, visitor: Visitor) -> list[Any]:
        """What somebody has been shown so far."""
        blocks = visitor.body.decode().split("\n\n")
        return [json.loads(each[6:]) for each in blocks if each.startswith("data: ")]

    def test_pictures(self) -> None:
        """A picture comes at once, and then one every second."""
        self.get(f"{API}/public", Authorization="Bearer ann")
        watcher = self.get("/live")
        self.assertEqual("text/event-stream", watcher.headers["content-type"])
        self.stage.publish("timeline:public", "delete", "7")
        self.stage.wait(2)
        seen = self.pictures(watcher)
        self.assertEqual(3, len(seen))
        self.assertEqual(1000.5, seen[0]["time"])
        self.assertEqual(1, seen[0]["status"]["connections"]["eventsource"])
        self.assertEqual([0, 1], [each["sent"]["eventsource"] for each in seen[:2]])
        self.assertEqual({"channel": "timeline:public", "readers": 1}, seen[0]["busiest"][0])
        self.assertEqual([""], [each["name"] for each in seen[0]["workers"]])
        self.assertTrue(seen[0]["dependencies"]["redis"]["up"])

    def test_long(self) -> None:
        """It goes on for as long as somebody watches, whatever limits there are for requests."""
        watcher = self.get("/live")
        self.stage.wait(200)
        self.assertEqual(201, len(self.pictures(watcher)))
        self.assertFalse(watcher.closed)

    def test_nobody_watches(self) -> None:
        """While nobody watches nobody is asked."""
        watcher, other = self.get("/live"), self.get("/live")
        watcher.hang_up()
        self.stage.wait(1)
        self.assertEqual(1, len(self.pictures(other)))
        other.hang_up()
        self.stage.parts.api.reports.ask_all = lambda question: fail(ValueError("asked"))
        self.stage.wait(3)
        self.assertEqual([], self.flushLoggedErrors())

    def test_slow(self) -> None:
        """Who does not read is not written to, and then shown how it is now."""
        watcher = self.get("/live")
        producer: Any = watcher.wire.producer
        producer.pauseProducing()
        self.stage.wait(5)
        self.assertEqual(1, len(self.pictures(watcher)))
        producer.resumeProducing()
        self.stage.wait(1)
        self.assertEqual(2, len(self.pictures(watcher)))

    def test_end(self) -> None:
        """When the server ends, so does the stream."""
        watcher = self.get("/live")
        self.live.startService()
        self.live.stopService()
        self.stage.turn()
        self.assertTrue(watcher.ended)

    def test_head(self) -> None:
        """Its headers can be asked for."""
        answer = self.stage.get("/live", "HEAD")
        self.assertEqual((200, b""), (answer.status, answer.body))

    def test_no_answer(self) -> None:
        """If there is no answer once, there is one the next time."""
        reports = self.stage.parts.api.reports
        reports.ask_all = lambda question: fail(ValueError("no"))
        watcher = self.get("/live")
        self.assertEqual(0, len(self.pictures(watcher)))
        self.assertEqual(1, len(self.flushLoggedErrors()))
        reports.ask_all = None
        self.stage.wait(1)
        self.assertEqual(1, len(self.pictures(watcher)))


class PictureTests(SynchronousTestCase):
    """What several workers are together."""

    def answers(self, **more: Any) -> dict[str, Any]:
        """What two workers answer, of which one has just died."""
        sent = ["messages_sent", "counter", "", [["messages_sent_total", {"type": "websocket"}, 3]]]
        up = {"up": True, "since": "x"}
        down = {"up": False, "since": "y", "missing": ["commands"]}
        return {
            "metrics": {"1": [sent], "2": None, "gone": [sent], "parent": []},
            "status": {"1": {"connections": {"websocket": 1}}, "2": None},
            "readiness": {
                "1": {"dependencies": {"redis": up, "postgresql": down}},
                "2": {"dependencies": {"redis": down, "postgresql": up}},
                "3": None,
            },
            "busiest": {
                "1": [{"channel": "a", "readers": 1}, {"channel": "b", "readers": 2}],
                "2": [{"channel": "a", "readers": 4}],
                "3": None,
            },
            **more,
        }

    def test_workers(self) -> None:
        """What those who are gone have sent counts, but they are not shown as workers."""
        metrics = {name: each for name, each in self.answers()["metrics"].items() if each}
        seen = picture(5.0, self.answers(metrics=metrics))
        self.assertEqual({"websocket": 6}, seen["sent"])
        self.assertEqual(["1"], [each["name"] for each in seen["workers"]])

    def test_dependencies(self) -> None:
        """What one worker misses is missing."""
        seen = picture(5.0, self.answers(metrics={}))
        states = {name: each["up"] for name, each in seen["dependencies"].items()}
        self.assertEqual({"redis": False, "postgresql": False}, states)

    def test_busiest(self) -> None:
        """Readers of one channel are added up."""
        seen = picture(5.0, self.answers(metrics={}))
        readers = [(each["channel"], each["readers"]) for each in seen["busiest"]]
        self.assertEqual([("a", 5), ("b", 2)], readers)
