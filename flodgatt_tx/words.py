"""
Text made ready for finding keywords in it: case is folded and the bounds of words are marked.

A mark is written wherever a word begins or ends, in the text as in the keywords. Whether there is
one between two characters depends on these two alone, so a keyword, marked likewise, is found by
plain substring search, and one marked at its ends too is found as a whole word only. No pattern is
ever built from a keyword, and nothing needs checking beside a match.

What is a word character is what Ruby's `\\b` says: letters, marks, decimal digits, letter numbers,
connectors, circled letters, and of other numbers `¹`, `²`, `³`, `¼`, `½` and `¾`.

Two texts are equal if their full case foldings are: `ß`, `ẞ`, `ss` and `SS`; `K` (Kelvin) and `k`;
`ſ` and `s`; `σ` and `ς`; `ﬁ` and `fi`; `İ` and `i̇`, but not `İ` and `i`. A character is found whole
or not at all, so there is no `s` in `ß`. Nothing else is made equal: neither accents nor the
composed and decomposed forms of a letter.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from unicodedata import category

# NUL cannot be in a keyword, because PostgreSQL has none in text, and HTML reads it as U+FFFD.
_MARK = "\0"
_WORD_CATEGORIES = frozenset(["Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "Pc"])
# The letters are symbols by category, but alphabetic:
# https://www.unicode.org/Public/UNIDATA/PropList.txt (Other_Alphabetic)
_ALSO_WORDS = re.compile("[Ⓐ-ⓩ🄰-🅉🅐-🅩🅰-🆉¹²³¼½¾]")
_RUN = re.compile("w+")
_ASCII_RUN = re.compile(r"(\w+)", re.ASCII)
# Nobody reads further; the longest status that remote servers deliver has a million characters.
_LONGEST = 1 << 16


def is_word(char: str) -> bool:
    """Tell whether *char* is a word character, as Ruby's `\\b` does."""
    return category(char) in _WORD_CATEGORIES or _ALSO_WORDS.match(char) is not None


class _Mask(dict[int, str]):
    """What `str.translate` makes of each character: *w* in a word, *-* between words."""

    def __missing__(self, ordinal: int) -> str:
        kind = "w" if is_word(chr(ordinal)) else "-"
        # The rest of Unicode is too large to be remembered, should somebody write all of it.
        if ordinal < 0x10000:
            self[ordinal] = kind
        return kind


_MASK = _Mask()


def _fold(text: str) -> str:
    return text.replace(_MARK, "\ufffd").casefold()


def _encode(text: str) -> bytes:
    # JSON may carry lone surrogates; they are as good as any other character here.
    return text.encode("utf-8", "surrogatepass")


def _split(text: str) -> list[str]:
    """Split *text* into what is between words and words, in turn; the ends may be empty."""
    if text.isascii():
        return _ASCII_RUN.split(text)
    pieces: list[str] = []
    seen = 0
    for run in _RUN.finditer(text.translate(_MASK)):
        start, end = run.span()
        pieces += (text[seen:start], text[start:end])
        seen = end
    pieces.append(text[seen:])
    return pieces


class Needle(NamedTuple):
    """
    A keyword as it is searched for.

    *value* is what to find in `Text.marked`, empty if there is nothing to find. *word*, if not
    None, is in the `Text.words` of every text that has this keyword.
    """

    value: bytes
    word: str | None


def needle(keyword: str, whole_word: bool) -> Needle:
    """
    Make a keyword ready to be searched for.

    A bound of *whole_word* is demanded only where the keyword's own end is a word character.
    """
    pieces = _split(_fold(keyword))
    marked = _MARK.join(pieces)
    if not whole_word:
        return Needle(_encode(marked.strip(_MARK)), None)
    return Needle(_encode(marked), max(pieces[1::2], key=len, default=None))


class Text:
    """
    A text in which keywords are searched: its first 65536 characters.
    """

    def __init__(self, text: str) -> None:
        self._text = text[:_LONGEST]
        folded = _fold(self._text)
        pieces = _split(folded)
        self.words = frozenset(pieces[1::2])
        self.marked = _encode(_MARK.join(pieces))
        # Folding only ever adds characters: where it added none, each is still in its place.
        self._places = self._count() if len(folded) != len(self._text) else None

    def _count(self) -> dict[int, int]:
        """Count at which offsets of `marked` which characters of the text begin."""
        places = {len(self.marked): len(self._text)}
        offset = 0
        for index, char in enumerate(self._text):
            places[offset] = index
            if self.marked[offset] == 0:
                offset += 1
                places[offset] = index
            offset += len(_encode(_fold(char)))
        places[offset] = len(self._text)
        return places

    def divides(self, start: int, end: int) -> bool:
        """Tell whether a match in `marked` begins or ends inside a character of the text."""
        places = self._places
        return places is not None and not (start in places and end in places)

    def between(self, start: int, end: int) -> str:
        """Give the text as written for a match in `marked` that does not divide a character."""
        return self._text[self._place(start) : self._place(end)]

    def _place(self, offset: int) -> int:
        if self._places is not None:
            return self._places[offset]
        before = self.marked[:offset].decode("utf-8", "surrogatepass")
        return len(before) - before.count(_MARK)


# One status is searched for many readers, one after the other.
read = lru_cache(maxsize=8)(Text)
