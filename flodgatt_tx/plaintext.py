"""
The text of a status that keyword filters are held against.

It is what Mastodon's own `searchable_text` is made of: content warning, content, poll options and
media descriptions. Only the content is HTML; the others are taken as they stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache

_BREAK = re.compile(r"<br\s*/?>|</p>", re.IGNORECASE)
# What Mastodon takes away with all its content before anybody sees a status.
_UNSEEN = (
    "iframe",
    "math",
    "noembed",
    "noframes",
    "noscript",
    "plaintext",
    "script",
    "style",
    "svg",
    "xmp",
)


def searchable_text(status: Mapping[str, object]) -> str:
    """
    Give all that is said in *status*, joined with blank lines; in what it boosts, if it is a boost.

    Anything that is not of the type it should be is left out.
    """
    reblog = status.get("reblog")
    said = reblog if isinstance(reblog, Mapping) else status
    content = said.get("content")
    poll = said.get("poll")
    parts = [
        said.get("spoiler_text"),
        html_to_text(content) if isinstance(content, str) else None,
        *_each(poll.get("options") if isinstance(poll, Mapping) else None, "title"),
        *_each(said.get("media_attachments"), "description"),
    ]
    return "\n\n".join(part for part in parts if isinstance(part, str) and part)


def _each(things: object, name: str) -> Iterable[object]:
    if not isinstance(things, list):
        return []
    return [thing.get(name) for thing in things if isinstance(thing, Mapping)]


def html_to_text(html: str) -> str:
    """
    Reduce HTML, however broken, to its text; paragraphs and `<br>` end lines.
    """
    broken = _BREAK.sub(r"\g<0>\n", html).replace("\0", "\ufffd")
    return _parser()(broken.encode("utf-8", "replace"))


@cache
def _parser() -> Callable[[bytes], str]:
    # Imported with the first need: lxml costs four megabytes, and many processes have none.
    from lxml import etree

    # The encoding is given, so that nothing written in the HTML can change it. *huge_tree* lifts
    # limits that would cut texts short: nesting to 256, one text to ten million characters.
    parser = etree.HTMLParser(
        encoding="utf-8", huge_tree=True, no_network=True, remove_comments=True, remove_pis=True
    )

    def parse(html: bytes) -> str:
        root = etree.fromstring(html, parser)
        if root is None:
            return ""
        etree.strip_elements(root, *_UNSEEN, with_tail=False)
        return str(etree.tostring(root, method="text", encoding="unicode"))

    return parse
