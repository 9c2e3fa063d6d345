"""The pages in `docs/`, as far as a machine can tell whether they are true."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import flodgatt_tx
from flodgatt_tx import errors
from flodgatt_tx.events import EXPECTED, OTHER, SYSTEM
from flodgatt_tx.settings import VARIABLES
from flodgatt_tx.streams import KINDS
from tests.test_readme import settings_table

ROOT = Path(flodgatt_tx.__file__).absolute().parent.parent
DOCS = ROOT / "docs"
READ_ELSEWHERE = [ROOT / "README.md", ROOT / "deploy" / "README.md", ROOT / "fuzz" / "README.md"]
PAGES = [*sorted(DOCS.glob("*.md")), *READ_ELSEWHERE]
_FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_VARIABLE = re.compile(r"FLODGATT_[A-Z_]*[A-Z]\b(?!_?…)")


def text_of(page: Path) -> str:
    """What a page says."""
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """The names by which forges, and the site, let one link to a page's headings."""
    headings = _HEADING.findall(_FENCED.sub("", text_of(page)))
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def broken_links(page: Path) -> list[str]:
    """The relative links of a page that lead nowhere."""
    broken = []
    for link in _LINK.findall(_FENCED.sub("", text_of(page))):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if ":" in path:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


class PageTests(SynchronousTestCase):
    """The pages belong together."""

    def test_links_lead_somewhere(self) -> None:
        """Files and headings that pages link to are there."""
        found = {page.name: broken_links(page) for page in PAGES}
        self.assertEqual({}, {name: links for name, links in found.items() if links})

    def test_every_page_is_in_the_site(self) -> None:
        """The start page lists each of the others, and none that is not there."""
        trees = re.findall(r"```{toctree}\n(.*?)```", text_of(DOCS / "index.md"), re.DOTALL)
        listed = {line for tree in trees for line in tree.split("\n") if line[:1].isalpha()}
        pages = {page.stem for page in DOCS.glob("*.md")} - {"index"}
        self.assertEqual(pages, listed - {"api/modules"})

    def test_headings_skip_no_level(self) -> None:
        """No heading is two levels below the one before it."""
        for page in PAGES:
            text = _FENCED.sub("", text_of(page))
            levels = [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]
            self.assertEqual(1, levels[0], page)
            for before, after in pairwise(levels):
                self.assertLessEqual(after, before + 1, page)

    def test_variables_exist(self) -> None:
        """What the pages call one of our variables is one."""
        known = {variable.name for variable in VARIABLES}
        for page in PAGES:
            self.assertEqual(set(), set(_VARIABLE.findall(text_of(page))) - known, page)


class SettingsTests(SynchronousTestCase):
    """What can be set."""

    def test_is_the_table_of_variables(self) -> None:
        """The page has exactly the variables that there are."""
        lines = text_of(DOCS / "settings.md").split("\n")
        table = [line for line in lines if line.startswith("|")]
        self.assertEqual(settings_table().split("\n"), table)


class EndpointTests(SynchronousTestCase):
    """What can be asked for."""

    def setUp(self) -> None:
        """Read the page."""
        self.text = text_of(DOCS / "endpoints.md")

    def test_every_stream_is_there(self) -> None:
        """The table has each kind of stream, and no other."""
        table = self.text.partition("## Streams")[2].partition("## Events")[0]
        self.assertEqual(
            list(KINDS), sorted(re.findall(r"^\| `([^`]+)`", table, re.MULTILINE), key=KINDS.index)
        )

    def test_every_refusal_is_there(self) -> None:
        """The page has the text of each refusal."""
        texts = {text for name, text in vars(errors).items() if name.isupper()}
        self.assertEqual(set(), {text for text in texts if f"`{text}`" not in self.text})

    def test_every_event_is_there(self) -> None:
        """The page has each event that clients are to expect."""
        names = {name for kind, name in EXPECTED if kind != SYSTEM and name != OTHER}
        self.assertEqual(set(), {name for name in names if f"`{name}`" not in self.text})
