"""
The events that Mastodon publishes, and on which channels.

Names of events come from outside, and other software publishes others; what counts events by their
names counts those together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flodgatt_tx.envelope import FILTERS_CHANGED, KILL
from flodgatt_tx.streams import KINDS, NOTIFICATION, is_filtered

SYSTEM = "system"
OTHER = "other"

_STATUSES = ("update", "status.update", "delete")
_ANNOUNCEMENTS = ("announcement", "announcement.reaction", "announcement.delete")
_USUAL: Mapping[str, Sequence[str]] = {
    SYSTEM: (KILL, FILTERS_CHANGED),
    "user": (*_STATUSES, NOTIFICATION, *_ANNOUNCEMENTS, FILTERS_CHANGED),
    "user:notification": (NOTIFICATION, "notifications_merged"),
    "direct": ("conversation",),
    **{
        kind: _STATUSES
        for kind in KINDS
        if kind == "list" or (is_filtered(f"timeline:{kind}:") and "allow_local_only" not in kind)
    },
}
_KNOWN = frozenset(name for names in _USUAL.values() for name in names)
# All that are to be expected, as kinds of channels and names of events.
EXPECTED = tuple((kind, name) for kind, names in _USUAL.items() for name in (*names, OTHER))


def event_label(name: str) -> str:
    """The name of an event, if it is one of Mastodon's."""
    return name if name in _KNOWN else OTHER


def channel_label(channel: str) -> str:
    """The kind of stream that a Redis channel is the channel of; `system` if there is none."""
    name = channel[9:]  # what is behind `timeline:`
    if name[:1].isdigit():
        return "user:notification" if name.endswith(":notifications") else "user"
    kind = name.partition(":")[0]
    if kind == "hashtag":
        return "hashtag:local" if name.endswith(":local") else kind
    label = name if kind == "public" else kind
    return label if label in _USUAL else SYSTEM
