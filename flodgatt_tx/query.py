"""
The query of a request: `?stream=hashtag&tag=cats` as names and values.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

_MOST_PARAMETERS = 100
_FALSE = frozenset({"", "0", "f", "F", "false", "FALSE", "off", "OFF"})


def split_target(target: bytes) -> tuple[str, dict[str, str]]:
    """
    Split a request's target into its path and its parameters.

    Where a name is repeated the first value counts. Bytes that are not UTF-8 become U+FFFD, and
    a query with more than a hundred parameters is taken for an empty one.
    """
    path, _, query = target.partition(b"#")[0].partition(b"?")
    try:
        pairs = parse_qsl(
            query.decode("utf-8", "replace"),
            keep_blank_values=True,
            max_num_fields=_MOST_PARAMETERS,
            errors="replace",
        )
    except ValueError:
        pairs = []
    parameters: dict[str, str] = {}
    for name, value in pairs:
        parameters.setdefault(name, value)
    return path.decode("ascii", "replace"), parameters


def is_truthy(value: object) -> bool:
    """Whether a parameter such as `only_media` is switched on, by Mastodon's list of noes."""
    return bool(value) and not (isinstance(value, str) and value in _FALSE)
