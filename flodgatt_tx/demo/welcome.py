"""What the demonstration tells whoever started it: commands to paste that show something."""

from __future__ import annotations

from urllib.parse import quote

_STREAMS = (
    ("everything public", "public", "public"),
    ("with pictures only, from here only", "public/local?only_media=true", "public:local:media"),
    ("one hashtag", "hashtag?tag=wildlife", "hashtag&tag=wildlife"),
    ("another, seldom", f"hashtag?tag={quote('猫')}", f"hashtag&tag={quote('猫')}"),
    ("the home feed and notifications of alice", "user", "user"),
    ("a list of hers", "list?list=1", "list&list=1"),
    ("her private conversations", "direct", "direct"),
)
_TOKEN = "demo-alice"


def welcome(address: str) -> str:
    """
    Write the text for a server at *address*, a host and a port.

    Tokens are in headers where a shell user expects them, in the query where a tool has no headers.
    """
    base = f"{address}/api/v1/streaming"
    lines = [
        f"A small Mastodon is up at http://{address}, and about once a second somebody writes.",
        "",
        "Server-sent events:",
    ]
    for about, path, _ in _STREAMS:
        lines += [f"  # {about}", f"  {_curl(base, path)}"]
    lines += ["", "WebSocket, whichever tool you have:"]
    for tool in ("websocat", "wscat -c", "python3 -m websockets"):
        lines.append(f"  {tool} '{_websocket(base, 'user')}'")
    lines += ["", "Other streams, as its query:"]
    lines += [f"  stream={stream:<32} # {about}" for about, _, stream in _STREAMS]
    lines += [
        "",
        "In Python, with the library `websockets`:",
        f'  python3 -c "{_python(base)}"',
        "",
        "Tokens: demo-alice, demo-bob, demo-chiyo, demo-dagny, demo-farid, demo-gauri, demo-ines;",
        "they block, mute, filter and choose languages differently. demo-alice-revoked is refused.",
        "Ctrl-C ends it, with its own Redis and PostgreSQL, and leaves nothing behind.",
    ]
    return "\n".join(lines)


def _curl(base: str, path: str) -> str:
    return f"curl -N -H 'Authorization: Bearer {_TOKEN}' 'http://{base}/{path}'"


def _websocket(base: str, stream: str) -> str:
    return f"ws://{base}?stream={stream}&access_token={_TOKEN}"


def _python(base: str) -> str:
    # Printed as it comes, an endless loop in one line.
    url = _websocket(base, "public")
    return f"from websockets.sync.client import connect; [*map(print, connect('{url}'))]"
