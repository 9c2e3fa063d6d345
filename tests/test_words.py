"""How text is made ready for finding keywords in it."""

from __future__ import annotations

import sys
from unicodedata import category

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.words import _MASK, Needle, Text, is_word, needle


class WordTests(SynchronousTestCase):
    """What is a word character."""

    def test_letters_marks_digits_and_connectors_are_words(self) -> None:
        """Letters, marks, digits, letter numbers, connectors, circled letters, some numbers are."""
        for char in "aZ09_éßİ日本हि्ÅⅫ‿ⓐ🅰٣¹²³¼½¾":
            self.assertTrue(is_word(char), msg=repr(char))

    def test_symbols_spaces_and_joiners_are_none(self) -> None:
        """Punctuation, symbols, other numbers, spaces, joiners and NUL are not."""
        for char in " \n\u00a0-+$.#@'’⁴⅓①🐉\u200d\u200c\u30fb\0\ud800":
            self.assertFalse(is_word(char), msg=repr(char))

    def test_folding_keeps_words_words(self) -> None:
        """No character changes sides when its case is folded, or into how many it is folded."""
        for char in "".join(map(chr, range(sys.maxunicode + 1))):
            if (folded := char.casefold()) != char:
                sides = {is_word(each) for each in folded}
                self.assertEqual({is_word(char)}, sides, msg=f"{char!r} {category(char)}")


class NeedleTests(SynchronousTestCase):
    """What a keyword is searched for as."""

    def test_marks_its_bounds(self) -> None:
        """Words are marked inside always, at the keyword's ends if whole words count."""
        for keyword, whole_word, expected in [
            ("Dragon", True, Needle(b"\0dragon\0", "dragon")),
            ("Dragon", False, Needle(b"dragon", None)),
            ("red wedding", True, Needle(b"\0red\0 \0wedding\0", "wedding")),
            ("red wedding", False, Needle(b"red\0 \0wedding", None)),
            ("c++", True, Needle(b"\0c\0++", "c")),
            ("$AAPL", True, Needle(b"$\0aapl\0", "aapl")),
            ("++", True, Needle(b"++", None)),
            ("", True, Needle(b"", None)),
            ("", False, Needle(b"", None)),
            ("\0", False, Needle("\ufffd".encode(), None)),
            ("🐉", True, Needle("🐉".encode(), None)),
            ("\ud800", True, Needle(b"\xed\xa0\x80", None)),
        ]:
            self.assertEqual(expected, needle(keyword, whole_word), msg=repr(keyword))


class TextTests(SynchronousTestCase):
    """What keywords are searched in."""

    def test_is_marked_and_knows_its_words(self) -> None:
        """A text is folded and marked where words begin and end."""
        for text, marked, words in [
            ("", "", set()),
            ("A b", "\0a\0 \0b\0", {"a", "b"}),
            ("(x)", "(\0x\0)", {"x"}),
            ("Maße", "\0masse\0", {"masse"}),
            ("a\0b", "\0a\0\ufffd\0b\0", {"a", "b"}),
            ("हिन्दी!", "\0हिन्दी\0!", {"हिन्दी"}),
        ]:
            self.assertEqual(marked.encode(), Text(text).marked, msg=repr(text))
            self.assertEqual(words, Text(text).words, msg=repr(text))

    def test_gives_what_was_written(self) -> None:
        """A match is given as it stands in the text, with or without the marks beside it."""
        for text, match, expected in [
            ("My DRAGON.", b"dragon", "DRAGON"),
            ("My DRAGON.", b"\0dragon\0", "DRAGON"),
            ("é — É!", "\0é\0!".encode(), "É!"),
            ("a\ud800B", b"b", "B"),
            ("Ein Spaß", b"spass", "Spaß"),
            ("Ein Spaß", b"\0spass\0", "Spaß"),
            ("Spaß muß", b"\0muss\0", "muß"),
            ("ŉ (ﬁ) x", b"\0fi\0)", "ﬁ)"),
        ]:
            place = Text(text)
            start = place.marked.rindex(match)
            self.assertFalse(place.divides(start, start + len(match)), msg=repr(text))
            self.assertEqual(expected, place.between(start, start + len(match)), msg=repr(text))

    def test_notices_divided_characters(self) -> None:
        """A match of half of what a character is folded to divides it."""
        text = Text("aß")
        for start, end, divided in [
            (0, 2, False),
            (1, 4, False),
            (2, 5, False),
            (1, 3, True),
            (3, 5, True),
        ]:
            self.assertEqual(divided, text.divides(start, end), msg=repr((start, end)))

    def test_is_cut_short(self) -> None:
        """Only the first 65536 characters are searched."""
        self.assertEqual(65536 + 2, len(Text("x" * 70000).marked))

    def test_rare_characters_are_not_remembered(self) -> None:
        """A text of characters that hardly anybody uses takes no memory for good."""
        before = len(_MASK)
        self.assertEqual({"🅰", "𠀀"}, Text("🅰🐉𠀀").words)
        self.assertEqual(before, len(_MASK))
