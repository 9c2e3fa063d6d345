"""
Hashtags as Rails normalises them, so that a stream listens where Rails publishes.

Mastodon's `HashtagNormalizer`: NFKC, lower case, accents off the Latin letters of ISO 8859 and
Latin Extended-A, then everything but letters, marks, decimal digits and a few joiners taken out.
"""

from __future__ import annotations

import unicodedata

_KEPT = frozenset("_\u00b7\u30fb\u200c")
# Nl for the ideographic zero, among others: Ruby counts letter-like numbers as letters.
_KEPT_CATEGORIES = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl"})
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


def normalize_hashtag(name: str) -> str:
    """Bring a hashtag, as a client writes it, into the form of Rails' channel names."""
    # Letter by letter, because Ruby knows no final sigma and `str.lower` does.
    lowered = "".join(map(str.lower, unicodedata.normalize("NFKC", name)))
    # The lower case of the Turkish capital I with a dot is an i with a dot too many.
    folded = lowered.replace("i\u0307", "i").translate(_FOLDED)
    return "".join(filter(_is_kept, folded))


def _is_kept(letter: str) -> bool:
    return letter in _KEPT or unicodedata.category(letter) in _KEPT_CATEGORIES
