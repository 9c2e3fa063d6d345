"""
Hashtags as Rails normalises them, so that a stream listens where Rails publishes.

Mastodon's `HashtagNormalizer`: NFKC, lower case, accents off the Latin letters of ISO 8859 and
Latin Extended-A, then everything taken out but letters, digits and a few joiners. What a letter is
Ruby's `[[:alnum:]]` decides, which is Unicode's property Alphabetic: it holds the vowel signs of
Indic scripts but not their viramas, so that `हिन्दी` is published as `हिनदी`.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from regex import Pattern

# Letters of the folded blocks that Unicode does not take apart into a base letter and a mark.
_INDIVISIBLE = dict(zip("ðđħıĸłŋøŧ", "ddhiklnot", strict=True))
# æ, œ, ß, þ and the ij ligature stand for themselves.
_UNFOLDED = frozenset("æœßþĳ")


def _base_letter(letter: str) -> str:
    return _INDIVISIBLE.get(letter) or unicodedata.normalize("NFD", letter)[0]


_FOLDED = str.maketrans(
    {
        letter: _base_letter(letter)
        for letter in map(chr, range(0xDF, 0x17F))
        if letter.islower() and letter not in _UNFOLDED
    }
)


@cache
def _left_out() -> Pattern[str]:
    # Imported with the first hashtag, for its two megabytes; `re` knows no Alphabetic.
    import regex

    # U+0E47 to U+0E4E are Thai signs that Mastodon lets in by hand.
    return regex.compile(r"[^\p{Alphabetic}\p{Nd}\u0E47-\u0E4E_\u00B7\u30FB\u200C]")


def normalize_hashtag(name: str) -> str:
    """Bring a hashtag, as a client writes it, into the form of Rails' channel names."""
    lowered = lower_hashtag(unicodedata.normalize("NFKC", name))
    normalized: str = _left_out().sub("", lowered.translate(_FOLDED))
    return normalized


def lower_hashtag(name: str) -> str:
    """Do as Mastodon did before 4.0: only turn capitals into small letters."""
    # Letter by letter, because Ruby knows no final sigma and `str.lower` does.
    return "".join(map(str.lower, name))
