"""
How Mastodon's REST API shows what happens, and therefore what Rails puts into events.

Everything is rendered for one viewer, as on home channels, or for nobody in particular, as on
public ones.
"""

from __future__ import annotations

import html
from datetime import UTC, datetime, timedelta
from typing import Any

from flodgatt_tx.demo.people import SITE, Person
from flodgatt_tx.demo.statuses import Status, addressee
from flodgatt_tx.hashtags import normalize_hashtag

Entity = dict[str, Any]

_EMOJI = f"https://{SITE}/emoji/ferret.png"


def status_entity(status: Status, viewer: Person | None = None) -> Entity:
    """Render a status for *viewer*, or for nobody in particular."""
    shown = status.boosted or status
    return {
        "id": str(status.id),
        "created_at": timestamp(status.created),
        "in_reply_to_id": str(shown.answers.id) if shown.answers else None,
        "in_reply_to_account_id": str(shown.answers.author.id) if shown.answers else None,
        "sensitive": bool(shown.warning),
        "spoiler_text": shown.warning,
        "visibility": status.visibility,
        "language": shown.language,
        "uri": f"{status.url}/activity" if status.boosted else status.url,
        "url": status.url,
        "replies_count": 0,
        "reblogs_count": 0,
        "favourites_count": 0,
        "edited_at": timestamp(shown.edited) if shown.edited else None,
        "content": _content(shown),
        "reblog": status_entity(status.boosted, viewer) if status.boosted else None,
        "application": {"name": "Web", "website": None} if status.author.is_local else None,
        "account": account_entity(status.author),
        "media_attachments": [_image(shown, at) for at in range(len(shown.media))],
        "mentions": [_mention(person) for person in shown.mentions],
        "tags": [{"name": tag, "url": _tag_url(tag)} for tag in shown.tags],
        "emojis": [_custom_emoji()] if ":ferret:" in shown.text else [],
        "card": None,
        "poll": _poll(shown, viewer) if shown.poll else None,
        **(_for_viewer() if viewer else {}),
    }


def account_entity(person: Person) -> Entity:
    """Render an account."""
    images = f"https://{SITE}/images/{person.number}"
    return {
        "id": str(person.id),
        "username": person.username,
        "acct": person.acct,
        "display_name": person.name,
        "locked": False,
        "bot": person.username == "trader",
        "discoverable": True,
        "indexable": False,
        "group": False,
        "created_at": "2024-01-01T00:00:00.000Z",
        "note": f"<p>{html.escape(person.name)}</p>",
        "url": person.url,
        "uri": f"https://{person.domain or SITE}/users/{person.username}",
        **{name: f"{images}/avatar.png" for name in ("avatar", "avatar_static")},
        **{name: f"{images}/header.png" for name in ("header", "header_static")},
        "followers_count": 3,
        "following_count": 5,
        "statuses_count": 8,
        "last_status_at": "2026-01-01",
        "hide_collections": None,
        "emojis": [],
        "fields": [],
        **({"noindex": False, "roles": []} if person.is_local else {}),
    }


def notification_entity(
    identifier: int, kind: str, now: datetime, by: Person, status: Status | None, viewer: Person
) -> Entity:
    """Render what *viewer* is told: that *by* followed, mentioned, boosted, favourited."""
    about = {"status": status_entity(status, viewer)} if status else {}
    return {
        "id": str(identifier),
        "type": kind,
        "created_at": timestamp(now),
        "group_key": f"{kind}-{status.id if status else identifier}",
        "account": account_entity(by),
        **about,
    }


def conversation_entity(status: Status, viewer: Person) -> Entity:
    """Render the conversation that a direct *status* belongs to, as *viewer* sees it."""
    others = [person for person in (status.author, *status.mentions) if person != viewer]
    return {
        "id": str((status.answers or status).id % 100_000),
        "unread": status.author != viewer,
        "accounts": [account_entity(person) for person in others],
        "last_status": status_entity(status, viewer),
    }


def announcement_entity(identifier: int, text: str, now: datetime) -> Entity:
    """Render an announcement, as Rails does without a reader: nothing says whether it is read."""
    return {
        "id": str(identifier),
        "content": f"<p>{html.escape(text)}</p>",
        "starts_at": None,
        "ends_at": None,
        "all_day": False,
        "published_at": timestamp(now),
        "updated_at": timestamp(now),
        **{name: [] for name in ("mentions", "statuses", "tags", "emojis", "reactions")},
    }


def timestamp(moment: datetime) -> str:
    """Write a time as Mastodon does: UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _for_viewer() -> Entity:
    # That `filtered` is there tells a streaming server that Rails has applied the filters.
    flags = ("favourited", "reblogged", "muted", "bookmarked")
    return {**dict.fromkeys(flags, False), "filtered": []}


def _content(status: Status) -> str:
    return f"<p>{''.join(map(_markup, status.pieces))}</p>"


def _markup(piece: str) -> str:
    text = html.escape(piece, quote=False)
    if piece.startswith("#"):
        url = _tag_url(normalize_hashtag(piece))
        return f'<a href="{url}" class="mention hashtag" rel="tag">#<span>{text[1:]}</span></a>'
    if person := addressee(piece):
        link = f'<a href="{person.url}" class="u-url mention">@<span>{person.username}</span></a>'
        return f'<span class="h-card" translate="no">{link}</span>'
    if piece.startswith("https://"):
        return f'<a href="{text}" target="_blank" rel="nofollow noopener">{text[8:]}</a>'
    return text


def _tag_url(tag: str) -> str:
    return f"https://{SITE}/tags/{tag}"


def _mention(person: Person) -> Entity:
    identity = {"id": str(person.id), "username": person.username}
    return {**identity, "url": person.url, "acct": person.acct}


def _image(status: Status, at: int) -> Entity:
    url = f"https://{SITE}/media/{status.id}-{at}"
    size = {"width": 1200, "height": 800, "size": "1200x800", "aspect": 1.5}
    return {
        "id": str(status.id + at + 1),
        "type": "image",
        "url": f"{url}.jpg",
        "preview_url": f"{url}-small.jpg",
        "remote_url": None if status.author.is_local else f"{status.url}.jpg",
        "meta": {"original": size, "small": size},
        "description": status.media[at],
        "blurhash": "UBL_:rOpGG-oBUNG,qRj2so|=eE1w^n4S5NH",
    }


def _custom_emoji() -> Entity:
    plain = {"shortcode": "ferret", "url": _EMOJI, "static_url": _EMOJI}
    return {**plain, "visible_in_picker": True}


def _poll(status: Status, viewer: Person | None) -> Entity:
    return {
        "id": str(status.id % 1_000_000),
        "expires_at": timestamp(status.created + timedelta(days=1)),
        "expired": False,
        "multiple": False,
        "votes_count": 0,
        "voters_count": 0,
        "options": [{"title": title, "votes_count": 0} for title in status.poll],
        "emojis": [],
        **({"voted": status.author == viewer, "own_votes": []} if viewer else {}),
    }
