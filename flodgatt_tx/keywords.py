"""
Keyword filters: which of an account's filters a text matches, told as Mastodon's FilterResults.

A keyword means itself and is never a pattern; what counts as equal, and as a whole word, is said
in `words`. All keywords of an account are searched for together, by an Aho-Corasick automaton,
which looks at each byte of a text once whatever the keywords are.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from flodgatt_tx.keyword_filters import Filter
from flodgatt_tx.words import Text, needle, read

if TYPE_CHECKING:
    from ahocorasick_rs import BytesAhoCorasick

# What one account can cost is bounded: by the characters of all its keywords, each of which counts
# at least ten, and by the places where keywords can be found in one text.
_MOST_CHARACTERS = 100_000
_MOST_PLACES = 1 << 17


class Matcher:
    """All filters of one account, ready to be held against texts."""

    def __init__(self, filters: Iterable[Filter]) -> None:
        self._filters = tuple(filters)
        self._entities = [each.entity() for each in self._filters]
        # For each needle, who asks for it: filter and keyword, by position.
        self._askers: dict[bytes, list[tuple[int, int]]] = {}
        self._words: set[str] = set()
        self._wordless = False
        self._gather()

    def _gather(self) -> None:
        room = _MOST_CHARACTERS
        for position, each in enumerate(self._filters):
            for order, (keyword, whole_word) in enumerate(each.keywords):
                room -= max(len(keyword), 10)
                value, word = needle(keyword, whole_word) if room >= 0 else (b"", None)
                if not value:
                    continue
                self._askers.setdefault(value, []).append((position, order))
                if word is None:
                    self._wordless = True
                else:
                    self._words.add(word)

    def results(self, text: str, now: float) -> list[dict[str, object]]:
        """
        Give a FilterResult for each filter that matches *text* and has not expired at *now*.

        The match named is the leftmost; of several at one place, that of the keyword listed first.
        """
        haystack = read(text)
        # Most texts have none of the words: a set knows that sooner than the automaton.
        if not self._wordless and self._words.isdisjoint(haystack.words):
            return []
        matches = self._matches(haystack)
        return [
            {
                "filter": self._entities[position],
                "keyword_matches": [haystack.between(*matches[position])],
                "status_matches": None,
            }
            for position in sorted(matches)
            if self._filters[position].alive(now)
        ]

    def _matches(self, haystack: Text) -> dict[int, tuple[int, int]]:
        """Find the first match of each filter that has one."""
        seen: set[int] = set()
        best: dict[int, tuple[int, int, int]] = {}
        for number, start, end in self._automaton.find_matches_as_indexes(
            haystack.marked[: self._reach], overlapping=True
        ):
            # The matches of one keyword come from left to right.
            if number in seen or haystack.divides(start, end):
                continue
            seen.add(number)
            # A match may begin with a mark, another at the same place with the word behind it.
            start += haystack.marked[start] == 0
            for position, order in self._numbered[number]:
                match = (start, order, end)
                best[position] = min(best.get(position, match), match)
        return {position: (start, end) for position, (start, _, end) in best.items()}

    @cached_property
    def _numbered(self) -> list[list[tuple[int, int]]]:
        return list(self._askers.values())

    @cached_property
    def _reach(self) -> int:
        """How far into a text keywords are searched for; only keywords like *a, aa, aaa* cut it."""
        lengths = {len(value) for value in self._askers}
        # Of the keywords found where one ends, all are endings of the longest.
        most = max(
            sum(value[-length:] in self._askers for length in lengths if length <= len(value))
            for value in self._askers
        )
        return _MOST_PLACES // most

    @cached_property
    def _automaton(self) -> BytesAhoCorasick:
        # Imported and built with the first need: most processes and many accounts have none.
        from ahocorasick_rs import BytesAhoCorasick, Implementation

        # Of the implementations the one that is small and quickly built.
        return BytesAhoCorasick(self._askers, implementation=Implementation.ContiguousNFA)


def compile(filters: Iterable[Filter]) -> Matcher:
    """
    Make filters ready to be held against texts; linear in the size of their keywords.

    Keywords beyond the first 100 000 characters of one account, each counting at least ten, are
    left out.
    """
    return Matcher(filters)
