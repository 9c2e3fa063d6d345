"""Which filters a text matches, and how that is told."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx import keywords
from flodgatt_tx.keyword_filters import Filter, Row, filters_from_rows
from flodgatt_tx.keywords import compile
from flodgatt_tx.plaintext import searchable_text
from tests.properties import FEW

Keywords = tuple[tuple[str, bool], ...]

NOW = 1_700_000_000.0
SPOILERS = Filter(
    "701",
    "Spoilers",
    ("home", "public"),
    None,
    None,
    "warn",
    (("dragon", True), ("red wedding", False)),
)
EXPIRED = Filter(
    "702",
    "Expired",
    ("public",),
    "2023-11-13T22:13:20.000Z",
    NOW - 86400,
    "hide",
    (("gone", True),),
)
HIDDEN = Filter(
    "703",
    "Hidden",
    ("public",),
    "2035-01-01T00:00:00.000Z",
    2051222400.0,
    "hide",
    (("secret", True),),
)


def asking(*kinds: Keywords) -> list[Filter]:
    """Make a filter of each list of keywords, with ids from 1."""
    return [
        Filter(str(number), "", (), None, None, "warn", kind)
        for number, kind in enumerate(kinds, 1)
    ]


def named(results: Iterable[Mapping[str, object]]) -> dict[str, str]:
    """Tell the match that is named for each filter."""
    told = {}
    for result in results:
        match result:
            case {"filter": {"id": str(number)}, "keyword_matches": [str(match)]}:
                told[number] = match
    return told


def found(text: str, *kinds: Keywords) -> list[str]:
    """Tell what is named when *text* is held against these filters."""
    return list(named(compile(asking(*kinds)).results(text, NOW)).values())


class StatusTests(SynchronousTestCase):
    """What Mastodon's own server was seen to answer."""

    def test_answers_as_mastodon_does(self) -> None:
        """The recorded statuses match the recorded filters."""
        matcher = compile([SPOILERS, EXPIRED, HIDDEN])
        cases: list[tuple[dict[str, str], dict[str, object]]] = [
            ({"701": "dragon"}, {"content": "<p>A dragon came</p>"}),
            ({"701": "DRAGON"}, {"content": "<p>A DRAGON, twice a dragon</p>"}),
            ({}, {"content": "<p>dragonfly</p>"}),
            ({"701": "Red Wedding"}, {"content": "<p>the Red Wedding.</p>"}),
            ({}, {"content": "<p>red</p><p>wedding</p>"}),
            ({}, {"content": "<p>all gone</p>"}),
            ({"703": "secret"}, {"content": "<p>plain</p>", "spoiler_text": "my secret"}),
            (
                {"701": "dragon"},
                {"content": "", "poll": {"options": [{"title": "dragon"}, {"title": "cat"}]}},
            ),
            (
                {"701": "dragon", "703": "secret"},
                {"content": "", "media_attachments": [{"description": "a secret dragon"}]},
            ),
            ({}, {"content": "<p>plain</p>", "media_attachments": [{"description": None}]}),
            (
                {"701": "dragon", "703": "secret"},
                {"content": "<p>dra<b>gon</b> &amp; se&#99;ret</p>"},
            ),
            ({"701": "dragon", "703": "secret"}, {"content": "<p>secret<br>dragon</p>"}),
            ({}, {"content": "<a href='https://dragon.example'>link</a>"}),
            ({"701": "dragon"}, {"content": "<p>dragon again</p>"}),
            ({}, {"content": ""}),
        ]
        for expected, status in cases:
            results = matcher.results(searchable_text(status), NOW)
            self.assertEqual(expected, named(results), msg=repr(status))

    def test_tells_it_as_a_filter_result(self) -> None:
        """A FilterResult has the filter, the first match and no statuses."""
        self.assertEqual(
            [
                {
                    "filter": {
                        "id": "703",
                        "title": "Hidden",
                        "context": ["public"],
                        "expires_at": "2035-01-01T00:00:00.000Z",
                        "filter_action": "hide",
                    },
                    "keyword_matches": ["Secret"],
                    "status_matches": None,
                }
            ],
            compile([HIDDEN]).results("A Secret secret", NOW),
        )

    def test_expires(self) -> None:
        """A filter counts until its moment has passed."""
        matcher = compile([SPOILERS, HIDDEN, EXPIRED])
        for now, expected in [
            (NOW - 86401, {"702": "gone"}),
            (NOW - 86400, {"702": "gone"}),
            (NOW - 86399, {}),
        ]:
            self.assertEqual(expected, named(matcher.results("gone", now)), msg=repr(now))


class RowsTests(SynchronousTestCase):
    """Filters come out of database rows."""

    def test_gathers_keywords(self) -> None:
        """Rows of one filter become one, filters are in order of their ids."""
        rows: list[Row] = [
            (10, "Ten", ["home"], None, None, 2, "x", True),
            ("9", "Nine", ["public", "home"], "2035-01-01T00:00:00.000Z", 5.0, 1, "y", False),
            (10, "Ten", ["home"], None, None, 2, "z", False),
        ]
        self.assertEqual(
            (
                Filter(
                    "9",
                    "Nine",
                    ("public", "home"),
                    "2035-01-01T00:00:00.000Z",
                    5.0,
                    "hide",
                    (("y", False),),
                ),
                Filter("10", "Ten", ("home",), None, None, "blur", (("x", True), ("z", False))),
            ),
            filters_from_rows(rows),
        )
        self.assertEqual((), filters_from_rows([]))

    def test_unknown_actions_are_left_out(self) -> None:
        """The number of an action becomes its name; one nobody knows is not told."""
        for number, expected in [(0, "warn"), (1, "hide"), (2, "blur"), (3, None), (-1, None)]:
            (each,) = filters_from_rows([(1, "", [], None, None, number, "x", True)])
            self.assertEqual(expected, each.action)
            self.assertEqual(expected is not None, "filter_action" in each.entity())


class KeywordTests(SynchronousTestCase):
    """What a keyword finds."""

    def test_whole_words(self) -> None:
        """Unicode says what a word is; a bound is demanded only at ends that are words."""
        for keyword, text, expected in [
            ("été", "un été chaud", ["été"]),
            ("été", "xétéy", []),
            ("café", "CAFÉ.", ["CAFÉ"]),
            ("cafe", "cafe\u0301", []),
            ("हिन्द", "हिन्दी", []),
            ("日本", "日本語", []),
            ("日本", "「日本」", ["日本"]),
            ("c++", "xc++", []),
            ("c++", "C++11", ["C++"]),
            ("$AAPL", "buy x$aapl", ["$aapl"]),
            ("$AAPL", "$aapls", []),
            ("++", "c++d", ["++"]),
            ("x", "x⁴", ["x"]),
            ("m", "m²", []),
            ("m²", "5 m².", ["m²"]),
            ("x", "x_", []),
            ("a b", "a b", ["a b"]),
            ("a b", "a  b", []),
            ("a b", "aa b", []),
        ]:
            self.assertEqual(expected, found(text, ((keyword, True),)), msg=repr((keyword, text)))

    def test_parts_of_words(self) -> None:
        """If not only whole words count, a keyword is found anywhere."""
        for keyword, text, expected in [
            ("naïve", "NAÏVETÉ", ["NAÏVE"]),
            (".net", "asp.net's", [".net"]),
            ("red wedding", "bored weddings", ["red wedding"]),
            ("日本", "日本語", ["日本"]),
            ("🐉", "a🐉b", ["🐉"]),
            ("\ud800", "a\ud800b", ["\ud800"]),
            ("\ud800", "a\ud801b", []),
            ("\0", "a\ufffdb", ["\ufffd"]),
            ("", "anything", []),
            ("x", "", []),
        ]:
            self.assertEqual(expected, found(text, ((keyword, False),)), msg=repr((keyword, text)))

    def test_case(self) -> None:
        """Full case foldings are compared, and characters are found whole."""
        for keyword, text, expected in [
            ("straße", "STRASSE", ["STRASSE"]),
            ("STRASSE", "Straße", ["Straße"]),
            ("groß", "GROẞ", ["GROẞ"]),
            ("fish", "ﬁsh", ["ﬁsh"]),
            ("k", "\u212a", ["\u212a"]),
            ("mess", "meſs", ["meſs"]),
            ("σασ", "ΣΑΣ", ["ΣΑΣ"]),
            ("σας", "ΣΑΣ", ["ΣΑΣ"]),
            ("İ", "i\u0307", ["i\u0307"]),
            ("i\u0307", "İ", ["İ"]),
            ("i", "İ", []),
            ("ı", "I", []),
            ("s", "ß", []),
            ("mas", "maße", []),
            ("se", "maße", []),
            ("s", "ßs", ["s"]),
        ]:
            self.assertEqual(expected, found(text, ((keyword, False),)), msg=repr((keyword, text)))

    def test_never_a_pattern(self) -> None:
        """A keyword means itself."""
        for keyword in (".*", "a|b", "(a", "[a-z]", "\\w", "^a", "a$", "\\Q", "(?i)a", "a{2}"):
            self.assertEqual([], found("aab xyz", ((keyword, False),)), msg=keyword)
            self.assertEqual([keyword], found(f"x {keyword} y", ((keyword, True),)), msg=keyword)

    def test_names_the_leftmost(self) -> None:
        """The leftmost match is named; at one place, that of the keyword listed first."""
        for kind, text, expected in [
            ((("wedding", True), ("red", True)), "red wedding", "red"),
            ((("cat", False), ("category", False)), "a category", "cat"),
            ((("category", False), ("cat", False)), "a category", "category"),
            ((("cat", True), ("category", True)), "a category", "category"),
            ((("cat", True), ("category", False)), "cat category", "cat"),
            ((("cat s", False), ("cat", True)), "cat s", "cat s"),
            ((("cat", True), ("cat s", False)), "cat s", "cat"),
            ((("b", False), ("abc", False)), "abc", "abc"),
        ]:
            self.assertEqual([expected], found(text, kind), msg=repr((kind, text)))

    def test_filters_are_apart(self) -> None:
        """Filters find their own matches, one within the other's or the very same."""
        self.assertEqual(
            ["bcd", "abc", "c", "bcd"],
            found("abcd", (("bcd", False),), (("abc", False),), (("c", False),), (("BCD", False),)),
        )


ALPHABET = "abB_1ée\u0301日-+. $²\n\u200d"
TEXTS = st.text(ALPHABET, max_size=24)
KINDS = st.lists(st.tuples(st.text(ALPHABET, max_size=4), st.booleans()), max_size=6).map(tuple)
FOLDED = "sSßẞſiİ\u0307kKﬁf \0"


def by_pattern(text: str, kind: Keywords) -> str | None:
    """Find the first match as a regular expression with explicit bounds does."""
    word = r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}¹²³¼½¾]"
    options = []
    for keyword, whole_word in kind:
        before = f"(?<!{word})" if whole_word and regex.match(word, keyword) else ""
        after = f"(?!{word})" if whole_word and regex.match(word, keyword[-1:]) else ""
        if keyword:
            options.append(before + regex.escape(keyword) + after)
    match = regex.search("|".join(options), text, regex.I | regex.V1) if options else None
    return match and match[0]


def by_trying(text: str, kind: Keywords) -> str | None:
    """Find the first match of any part of words by trying all places."""
    for start in range(len(text)):
        for keyword, _ in kind:
            for end in range(start + 1, len(text) + 1):
                if text[start:end].casefold() == keyword.casefold():
                    return text[start:end]
    return None


class ReferenceTests(SynchronousTestCase):
    """Slower ways of finding keywords come to the same results."""

    @settings(FEW, max_examples=150)
    @given(TEXTS, st.lists(KINDS, max_size=3))
    @example("a category", [(("cat", True), ("category", True))])
    def test_agrees_with_a_pattern(self, text: str, kinds: list[Keywords]) -> None:
        """Each filter finds what an alternation of its keywords finds."""
        expected = {str(n): by_pattern(text, kind) for n, kind in enumerate(kinds, 1)}
        self.assertEqual(
            {number: match for number, match in expected.items() if match is not None},
            named(compile(asking(*kinds)).results(text, NOW)),
        )

    @settings(FEW, max_examples=100)
    @given(st.text(FOLDED, max_size=12), st.lists(st.text(FOLDED, max_size=4), max_size=4))
    def test_agrees_with_trying(self, text: str, listed: list[str]) -> None:
        """Characters that fold to several are found as by comparing all parts of the text."""
        text = text.replace("\0", "\ufffd")
        kind = tuple((keyword.replace("\0", "\ufffd"), False) for keyword in listed)
        expected = by_trying(text, kind)
        self.assertEqual([] if expected is None else [expected], found(text, kind))

    @settings(FEW)
    @given(st.text(max_size=20), st.lists(st.tuples(st.text(max_size=5), st.booleans())))
    def test_takes_anything(self, text: str, listed: list[tuple[str, bool]]) -> None:
        """Whatever keywords and texts are, nothing is raised, and what is named is in the text."""
        for match in found(text, tuple(listed)):
            self.assertIn(unicodedata.normalize("NFC", match), unicodedata.normalize("NFC", text))


class Counting:
    """An automaton that counts what it is asked and what it answers."""

    def __init__(self, automaton: object) -> None:
        self._automaton = automaton
        self.searches = 0
        self.places = 0

    def find_matches_as_indexes(self, text: bytes, overlapping: bool) -> list[tuple[int, int, int]]:
        """Search as the automaton does, and count."""
        found: list[tuple[int, int, int]]
        found = self._automaton.find_matches_as_indexes(text, overlapping)  # type: ignore[attr-defined]
        self.searches += 1
        self.places += len(found)
        return found


def counted(kind: Keywords, text: str) -> tuple[Counting, list[dict[str, object]]]:
    """Hold *text* against a filter for each keyword, counting."""
    matcher = compile(asking(*((keyword,) for keyword in kind)))
    counting = Counting(matcher._automaton)
    matcher.__dict__["_automaton"] = counting
    return counting, matcher.results(text, NOW)


class CostTests(SynchronousTestCase):
    """No keywords can hold the process for long."""

    def test_one_search_for_all(self) -> None:
        """However many keywords there are, a text is searched once, and the places are few."""
        for kind, text in [
            (tuple((f"word{n}", False) for n in range(5000)), "word1 word4999 " * 100),
            (tuple(("a" * n, False) for n in range(1, 440)), "a" * 100_000),
            (tuple(("a" * n + "b", False) for n in range(1, 440)), "a" * 100_000),
            (tuple(("a" * n, True) for n in range(1, 440)), "a" * 100_000),
            (tuple((f"{'a' * 300}{n}", False) for n in range(300)), "a" * 100_000),
            ((("s", False),), "ß" * 100_000),
            ((("a", False),) * 9_999, "a" * 100_000),
        ]:
            counting, _ = counted(kind, text)
            self.assertLessEqual(counting.searches, 1, msg=repr(kind[0]))
            self.assertLessEqual(counting.places, keywords._MOST_PLACES, msg=repr(kind[0]))

    def test_texts_without_the_words_are_not_searched(self) -> None:
        """If only whole words count, a text that has none of them is not searched at all."""
        kind = (("dragon", True), ("red wedding", True))
        self.assertEqual(0, counted(kind, "dragonfly red")[0].searches)
        self.assertEqual(1, counted(kind, "the wedding")[0].searches)
        self.assertEqual(1, counted((*kind, ("x", False)), "dragonfly")[0].searches)

    def test_too_many_keywords_are_left_out(self) -> None:
        """Keywords beyond the first 100 000 characters find nothing; the others do."""
        kind = (("dragon", True), ("x" * 99_989, False), ("y", False), ("cat", True))
        self.assertEqual(["dragon"], found("dragon", kind))
        self.assertEqual([], found("y cat", kind))

    def test_long_texts(self) -> None:
        """Keywords of many lengths are found as far as a text is read."""
        kind = (("cat", False), *(("!" + "y" * n, False) for n in range(100)))
        self.assertEqual(["cat"], found("x " * 32_000 + "cat", kind))
        self.assertEqual([], found("x " * 33_000 + "cat", kind))
