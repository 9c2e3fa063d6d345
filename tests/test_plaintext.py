"""What a status says, as text."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import flodgatt_tx
from flodgatt_tx.plaintext import html_to_text, searchable_text
from tests.properties import FEW


class HtmlTests(SynchronousTestCase):
    """HTML becomes text."""

    def test_reduces_html_to_text(self) -> None:
        """Tags go, references are resolved, breaks end lines, what nobody sees is left out."""
        for html, expected in [
            ("", ""),
            ("plain", "plain"),
            ("dra<b>gon</b> &amp; se&#99;ret", "dragon & secret"),
            ("<p>red</p><p>wedding</p>", "red\nwedding\n"),
            ("a<br>b<br/>c<BR />d", "a\nb\nc\nd"),
            ("<a href='https://dragon.example'>link</a>", "link"),
            ("a <!-- no --> b", "a  b"),
            ("<?php no ?>a", "a"),
            ('<?xml version="1.0" encoding="ascii"?><p>é', "é"),
            ("<meta charset=latin1>é", "é"),
            ("a<script>no</script>b<style>no</style>c", "abc"),
            ("a<svg><text>no</text></svg>b", "ab"),
            ("I <3 you", "I <3 you"),
            ("<ruby>明日 <rp>(</rp><rt>Ashita</rt><rp>)</rp></ruby>", "明日 (Ashita)"),
            ("<!-- only -->", ""),
        ]:
            self.assertEqual(expected, html_to_text(html), msg=repr(html))

    def test_reads_on_behind_what_is_broken(self) -> None:
        """Nothing in the HTML makes the text behind it disappear."""
        for broken in [
            "\0",
            "\ud800",
            "\ufffe\x01",
            "&bogus; &#0; &#xd800; &#x110000;",
            "</p></div></body></html>",
            "<b>" * 1500,
            "<p>" * 10000,
            "<" * 10000 + " ",
            "&" * 10000,
            f'<a href="{"x" * 100000}">',
            "<br " + " " * 10000 + ">",
            "<p <p <p>",
        ]:
            self.assertIn("dragon", html_to_text(f"{broken}dragon"), msg=repr(broken[:30]))

    @settings(FEW)
    @given(st.lists(st.sampled_from(["<", ">", "/", "!--", "b", "p", "&", ";", "\0", "é", " "])))
    def test_takes_anything(self, pieces: list[str]) -> None:
        """No HTML raises."""
        self.assertIsInstance(html_to_text("".join(pieces)), str)


class StatusTests(SynchronousTestCase):
    """The parts of a status are joined."""

    def test_joins_what_is_said(self) -> None:
        """Warning, content, poll options and descriptions follow each other on blank lines."""
        status = {
            "spoiler_text": "a <b> c",
            "content": "<p>one &lt; two</p>",
            "poll": {"options": [{"title": "yes &amp; no"}, {"title": "cat"}]},
            "media_attachments": [{"description": "<i>"}, {"description": None}, {}],
        }
        self.assertEqual(
            "a <b> c\n\none < two\n\n\nyes &amp; no\n\ncat\n\n<i>", searchable_text(status)
        )

    def test_a_boost_says_what_it_boosts(self) -> None:
        """Of a boost the boosted status is read."""
        self.assertEqual(
            "original", searchable_text({"content": "", "reblog": {"content": "original"}})
        )
        self.assertEqual("mine", searchable_text({"content": "mine", "reblog": None}))

    def test_leaves_out_wrong_types(self) -> None:
        """What is not of its type is left out, and nothing is raised."""
        for wrong in [None, 1, "text", [], [1], {}, {"options": 1}, {"options": [1, {"title": 2}]}]:
            status = {
                "content": "ok",
                "poll": wrong,
                "media_attachments": wrong,
                "reblog": wrong if not isinstance(wrong, dict) else None,
            }
            self.assertEqual("ok", searchable_text(status), msg=repr(wrong))
            self.assertEqual(
                "ok",
                searchable_text(
                    {
                        "content": wrong if not isinstance(wrong, str) else None,
                        "spoiler_text": "ok",
                    }
                ),
                msg=repr(wrong),
            )
        self.assertEqual("", searchable_text({}))


class LazinessTests(SynchronousTestCase):
    """Nobody pays for filters that nobody has."""

    def test_libraries_are_imported_with_the_first_need(self) -> None:
        """Importing the modules imports neither the parser nor the automaton."""
        program = (
            "import sys, flodgatt_tx.keywords, flodgatt_tx.plaintext\n"
            "print({'lxml', 'lxml.etree', 'ahocorasick_rs'} & sys.modules.keys())"
        )
        said = subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(flodgatt_tx.__file__).parents[1],
            capture_output=True,
            text=True,
        )
        self.assertEqual("set()\n", said.stdout, msg=said.stderr)
