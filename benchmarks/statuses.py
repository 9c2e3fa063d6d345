"""A status as Rails publishes it, of ordinary length: 2.2 kB."""

from __future__ import annotations

import json

STAMP = "~" + "0" * 16  # where `load.c` writes the time

_SENTENCE = "Somebody has something to say about gardens, trains, small computers or the weather. "


def message(author: int) -> bytes:
    """Write what is published: an `update` by this account, with `STAMP` in it once."""
    event = {"event": "update", "payload": _status(author), "queued_at": 1_700_000_000_000}
    return json.dumps(event, separators=(",", ":")).encode()


def _status(author: int) -> dict[str, object]:
    address = f"https://social.example/users/u{author}"
    return {
        "id": "115000000000000001",
        "created_at": "2026-11-23T10:00:00.000Z",
        "in_reply_to_id": None,
        "in_reply_to_account_id": None,
        "sensitive": False,
        "spoiler_text": "",
        "visibility": "public",
        "language": "en",
        "uri": f"{address}/statuses/115000000000000001",
        "url": f"https://social.example/@u{author}/115000000000000001",
        "replies_count": 0,
        "reblogs_count": 0,
        "favourites_count": 0,
        "edited_at": None,
        "content": f'<p>{_SENTENCE * 7}{STAMP} <a href="https://social.example/tags/trains"'
        ' class="mention hashtag" rel="tag">#<span>trains</span></a></p>',
        "reblog": None,
        "application": {"name": "Web", "website": None},
        "account": _account(author, address),
        "media_attachments": [],
        "mentions": [],
        "tags": [{"name": "trains", "url": "https://social.example/tags/trains"}],
        "emojis": [],
        "card": None,
        "poll": None,
    }


def _account(author: int, address: str) -> dict[str, object]:
    picture = "https://files.social.example/accounts/{}/000/900/001/original/0123456789abcdef.png"
    return {
        "id": str(author),
        "username": f"u{author}",
        "acct": f"u{author}",
        "display_name": "A neighbour",
        "locked": False,
        "bot": False,
        "discoverable": True,
        "group": False,
        "created_at": "2022-11-01T00:00:00.000Z",
        "note": "<p>Mostly harmless.</p>",
        "url": f"https://social.example/@u{author}",
        "uri": address,
        "avatar": picture.format("avatars"),
        "avatar_static": picture.format("avatars"),
        "header": picture.format("headers"),
        "header_static": picture.format("headers"),
        "followers_count": 812,
        "following_count": 344,
        "statuses_count": 5021,
        "last_status_at": "2026-11-23",
        "emojis": [],
        "fields": [],
    }
