"""
The HTTP side, against a server in memory.
"""

from __future__ import annotations

from tests.stage import API, StageTestCase

UNKNOWN = b'{"error":"Unknown channel requested"}'


class PathTests(StageTestCase):
    """Which path is answered by what."""

    def test_health(self) -> None:
        """Health is told to everybody, with or without a slash."""
        for path in (f"{API}/health", f"{API}/health/", f"{API}/health?x=1"):
            client = self.stage.get(path)
            self.assertEqual((200, b"OK"), (client.status, client.body), path)
            self.assertEqual("text/plain", client.headers["content-type"])
            self.assertEqual("private, no-store", client.headers["cache-control"])

    def test_head(self) -> None:
        """Health can be asked for without its body."""
        client = self.stage.get(f"{API}/health", "HEAD")
        self.assertEqual((200, b""), (client.status, client.body))

    def test_metrics(self) -> None:
        """The metrics are Prometheus' text."""
        client = self.stage.get("/metrics")
        self.assertEqual(200, client.status)
        self.assertTrue(client.headers["content-type"].startswith("text/plain; version=0.0.4"))
        self.assertIn(b'connected_clients{type="websocket"} 0', client.body)

    def test_favicon(self) -> None:
        """There is no icon."""
        self.assertEqual(404, self.stage.get("/favicon.ico").status)

    def test_unknown(self) -> None:
        """Whatever else is asked for is no channel, even without a token."""
        for path in ("/", API, f"{API}/", f"{API}/nope", f"{API}/user/nope", "/api/v1/x"):
            client = self.stage.get(path)
            self.assertEqual((400, UNKNOWN), (client.status, client.body), path)
            self.assertEqual("application/json", client.headers["content-type"])

    def test_slash(self) -> None:
        """A slash at the end does not matter."""
        self.assertEqual(200, self.stage.get(f"{API}/user/?access_token=ann").status)

    def test_media(self) -> None:
        """Media may be asked for in the path or by the parameter."""
        for path in ("public/media", "public/local/media", "public/remote/media"):
            self.assertEqual(200, self.stage.get(f"{API}/{path}?access_token=ann").status, path)
        for value, channel in (("true", "timeline:public:media"), ("false", "timeline:public")):
            self.stage.get(f"{API}/public?only_media={value}&access_token=ann")
            self.assertIn(channel, self.stage.redis.channels())


class MethodTests(StageTestCase):
    """What one may do with a path."""

    def test_not_allowed(self) -> None:
        """Other methods than reading are refused on paths that exist, whoever asks."""
        for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE"):
            for path in ("health", "user", "user?access_token=ann"):
                client = self.stage.get(f"{API}/{path}", method, Content_Length="0")
                self.assertEqual(
                    (405, b'{"error":"Method not allowed"}', "GET, HEAD, OPTIONS"),
                    (client.status, client.body, client.headers["allow"]),
                    (method, path),
                )

    def test_not_allowed_nowhere(self) -> None:
        """On other paths they are refused for the path."""
        client = self.stage.get("/nowhere", "POST", Content_Length="0")
        self.assertEqual((400, UNKNOWN), (client.status, client.body))

    def test_preflight(self) -> None:
        """A browser may ask from everywhere, with whatever headers."""
        client = self.stage.get(
            f"{API}/user",
            "OPTIONS",
            Origin="https://app.example",
            Access_Control_Request_Method="GET",
            Access_Control_Request_Headers="authorization",
        )
        self.assertEqual((204, b""), (client.status, client.body))
        self.assertEqual("*", client.headers["access-control-allow-origin"])
        self.assertEqual("authorization", client.headers["access-control-allow-headers"])
        self.assertEqual(
            "GET,HEAD,PUT,PATCH,POST,DELETE", client.headers["access-control-allow-methods"]
        )
        self.assertEqual("Access-Control-Request-Headers", client.headers["vary"])

    def test_plain_options(self) -> None:
        """OPTIONS need not be a browser's."""
        client = self.stage.get("/anything", "OPTIONS")
        self.assertEqual(204, client.status)
        self.assertNotIn("access-control-allow-headers", client.headers)


class HeaderTests(StageTestCase):
    """The headers of every response."""

    def test_everywhere(self) -> None:
        """Every response is open to all origins, has a name, and does not name the server."""
        for path in (f"{API}/health", "/metrics", "/nowhere", f"{API}/user", "/favicon.ico"):
            client = self.stage.get(path, Origin="https://app.example")
            self.assertEqual("*", client.headers["access-control-allow-origin"], path)
            self.assertRegex(client.headers["x-request-id"], r"\A[0-9a-f-]{36}\Z")
            self.assertNotIn("server", client.headers)

    def test_request_id(self) -> None:
        """The caller's name for a request is kept if it is a fit one."""
        for given, kept in (
            ("abc-DEF_123", True),
            ("x" * 200, True),
            ("x" * 201, False),
            ("a b", False),
            ("a\xe9", False),
        ):
            client = self.stage.get(f"{API}/health", X_Request_Id=given)
            self.assertEqual(kept, client.headers["x-request-id"] == given, given)

    def test_keep_alive(self) -> None:
        """A connection serves request after request, also when they come together."""
        client = self.stage.get(f"{API}/health")
        client.wire.clear()
        client.request("/nowhere")
        self.assertEqual(400, client.status)
        client.wire.clear()
        client.send(f"GET {API}/health HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 3)
        self.assertEqual(3, client.raw.count(b"200 OK"))
        self.assertFalse(client.closed)

    def test_http_1_0(self) -> None:
        """The old HTTP is spoken, too."""
        client = self.stage.connect()
        client.send(f"GET {API}/health HTTP/1.0\r\n\r\n".encode())
        self.assertEqual((200, b"OK", True), (client.status, client.body, client.closed))


class RubbishTests(StageTestCase):
    """Requests that no client of Mastodon makes."""

    def test_bytes_in_headers(self) -> None:
        """Headers may hold any bytes."""
        client = self.stage.connect()
        client.send(
            b"GET /api/v1/streaming/user HTTP/1.1\r\nHost: x\r\n"
            b"X-Request-Id: \xff\r\nAuthorization: Bearer \xff\xfe\r\n\r\n"
        )
        self.assertEqual(401, client.status)
        self.assertNotIn("\xff", client.headers["x-request-id"])

    def test_bodies(self) -> None:
        """A body is read to its end, kept nowhere, and answered like none."""
        client = self.stage.connect()
        client.send(b"POST /api/v1/streaming/user HTTP/1.1\r\nHost: x\r\n")
        client.send(b"Content-Length: 1000000\r\n\r\n")
        for _ in range(100):
            client.send(b"x" * 10_000)
            for request in client.wire.protocol._channel.requests:
                self.assertEqual(0, len(request.content.getvalue()))
        self.assertEqual(405, client.status)
