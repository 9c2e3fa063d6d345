"""
Refusals as bytes.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.errors import HeaderTooLargeError, TooManyRequestsError
from flodgatt_tx.refusing import write_refusal


class WriteRefusalTests(SynchronousTestCase):
    """What is written for those who are turned away."""

    def test_with_body(self) -> None:
        """HTTP clients read the reason in the body, as JSON, also scripts of other origins."""
        self.assertEqual(
            b"HTTP/1.1 429 Too Many Requests\r\n"
            b"Connection: close\r\n"
            b"Content-Type: application/json\r\n"
            b"Content-Length: 15\r\n"
            b"Access-Control-Allow-Origin: *\r\n"
            b"X-Request-Id: id\r\n"
            b"X-Error-Message: why\r\n"
            b"Retry-After: 7\r\n"
            b"\r\n"
            b'{"error":"why"}',
            write_refusal(TooManyRequestsError("why", 7), "id", bodiless=False),
        )

    def test_bodiless(self) -> None:
        """Others read it in a header."""
        said = write_refusal(HeaderTooLargeError("why"), "id", bodiless=True)
        self.assertTrue(said.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n"))
        self.assertTrue(said.endswith(b"X-Error-Message: why\r\n\r\n"))
        self.assertIn(b"Content-Length: 0\r\n", said)
        self.assertNotIn(b"Retry-After", said)
