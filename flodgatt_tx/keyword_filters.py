"""
Keyword filters as values: what the database says about them, and what clients are told of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_ACTIONS = {0: "warn", 1: "hide", 2: "blur"}

Row = tuple[int | str, str, Sequence[str], str | None, float | None, int, str, bool]


@dataclass(frozen=True, slots=True)
class Filter:
    """
    One filter of an account.

    *expires_at* is the moment as clients see it, *expires* the same in seconds since 1970.
    *keywords* are pairs of a keyword and whether only whole words count.
    """

    id: str
    title: str
    context: tuple[str, ...]
    expires_at: str | None
    expires: float | None
    action: str | None
    keywords: tuple[tuple[str, bool], ...]

    def entity(self) -> dict[str, object]:
        """Give this filter as it stands in a FilterResult; an unknown action is left out."""
        entity: dict[str, object] = {
            "id": self.id,
            "title": self.title,
            "context": list(self.context),
            "expires_at": self.expires_at,
        }
        return entity if self.action is None else {**entity, "filter_action": self.action}

    def alive(self, now: float) -> bool:
        """Tell whether this filter still counts at *now*."""
        return self.expires is None or self.expires >= now


def filters_from_rows(rows: Iterable[Row]) -> tuple[Filter, ...]:
    """
    Gather filters, by ascending id, from rows of one keyword each.

    A row is: filter id, title, context, expiry as text, expiry in seconds, action, keyword, and
    whether only whole words count.
    """
    filters: dict[int, tuple[Row, list[tuple[str, bool]]]] = {}
    for row in rows:
        filters.setdefault(int(row[0]), (row, []))[1].append((row[6], row[7]))
    return tuple(
        Filter(
            id=str(number),
            title=row[1],
            context=tuple(row[2]),
            expires_at=row[3],
            expires=row[4],
            action=_ACTIONS.get(row[5]),
            keywords=tuple(keywords),
        )
        for number, (row, keywords) in sorted(filters.items())
    )
