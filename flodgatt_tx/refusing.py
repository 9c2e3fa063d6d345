"""
Refusals as bytes, for clients that are turned away before anybody has understood what they want.
"""

from __future__ import annotations

from http import HTTPStatus

import orjson

from flodgatt_tx.errors import ForbiddenError, RefusalError


def write_refusal(refusal: RefusalError, request_id: str, bodiless: bool) -> bytes:
    """
    Write a whole response, after which the connection ends.

    It is *bodiless* for those who could not read a body: HEAD, and WebSocket handshakes. The
    headers are those of other refusals, of both transports.
    """
    body = b"" if bodiless else orjson.dumps({"error": refusal.message})
    lines = [
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}",
        "Connection: close",
        f"Content-Type: {'text/plain' if bodiless else 'application/json'}",
        f"Content-Length: {len(body)}",
        *_openness(refusal),
        f"X-Request-Id: {request_id}",
        f"X-Error-Message: {refusal.message}",
    ]
    if refusal.retry_after is not None:
        lines.append(f"Retry-After: {refusal.retry_after}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def _openness(refusal: RefusalError) -> list[str]:
    """Let scripts of all origins read why, unless nothing here is theirs to read."""
    return [] if isinstance(refusal, ForbiddenError) else ["Access-Control-Allow-Origin: *"]
