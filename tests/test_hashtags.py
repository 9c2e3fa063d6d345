"""Hashtags as Rails normalises them."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.hashtags import normalize_hashtag
from tests.properties import FEW

# Letters and digits that NFKC leaves alone; of what stands beside what was taken out, NFKC could
# still make something else.
SOUND = some.characters(categories=["L", "Nd"], include_characters="_·・\u200c").filter(
    lambda letter: (
        unicodedata.is_normalized("NFKC", letter) and not "\u1100" <= letter <= "\u11ff"
    )  # the parts of Hangul syllables
)


class NormalizeHashtagTests(SynchronousTestCase):
    """A stream listens where Rails publishes."""

    def test_table(self) -> None:
        """Case, width, accents and punctuation do not make another hashtag."""
        for expected, name in (
            ("cats", "Cats"),
            ("cats", "#cats"),
            ("cats", "ＣＡＴＳ"),
            ("2026", "２０２６"),
            ("cafe", "Café"),
            ("cafe", "Cafe\u0301"),
            ("koln", "KÖLN"),
            ("abc・e", "ABC・É"),
            ("テスト", "ﾃｽﾄ"),
            ("ガ", "ｶﾞ"),
            ("हिनदी", "हिन्दी"),
            ("cafe", "Cafe\u0301\u0302"),
            ("ไทย", "ไทย"),
            ("قهوه\u200cای", "قهوه\u200cای"),
            ("l·l", "l·l"),
            ("snake_case", "snake_case"),
            ("٣", "٣"),
            ("〇", "〇"),
            ("二〇二六", "二〇二六"),
            ("viii", "Ⅷ"),
            ("οδοσ", "ΟΔΟΣ"),
            ("οδος", "οδος"),
            ("straße", "Straße"),
            ("straße", "STRAẞE"),
            ("istanbul", "İstanbul"),
            ("isik", "ISIK"),
            ("isik", "ışık"),
            ("æœþ", "ÆŒÞ"),
            ("ddhiklnot", "ðđħıĸłŋøŧ"),
            ("ijs", "Ĳſ"),
            ("việt_ệ", "Việt_Ệ"),
            ("ab", "a b"),
            ("ab", "a-b!"),
            ("", "☃❤!?"),
            ("", ""),
        ):
            self.assertEqual(expected, normalize_hashtag(name), msg=repr(name))

    @given(some.text(SOUND))
    @FEW
    def test_idempotence(self, name: str) -> None:
        """What is normalised stays as it is."""
        once = normalize_hashtag(name)
        self.assertEqual(once, normalize_hashtag(once))

    @given(some.text())
    @FEW
    def test_anything(self, name: str) -> None:
        """Nothing is left that Rails has no place for in a hashtag."""
        for letter in normalize_hashtag(name):
            kind = unicodedata.category(letter)
            self.assertTrue(
                kind[0] in "LM" or kind in ("Nd", "Nl") or letter in "_·・\u200c", letter
            )
