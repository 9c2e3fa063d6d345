"""How `make docs` makes a site of these pages."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

from flodgatt_tx._version import __version__

ROOT = Path(__file__).parent.parent

project = "flodgatt_tx"
author = "the authors of flodgatt_tx"
release = __version__
extensions = ["myst_parser", "sphinx.ext.apidoc", "sphinx.ext.autodoc"]
exclude_patterns: list[str] = []

# As forges make them, so that a link to a heading leads there in both places.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

apidoc_modules = [
    {
        "path": str(ROOT / "flodgatt_tx"),
        "destination": "api",
        "separate_modules": True,
        "module_first": True,
    }
]
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # those of Twisted are in another markup
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "undoc-members": True, "show-inheritance": True}

# Two modules of the demonstration have errors of one name.
suppress_warnings = ["ref.python"]

html_theme = "furo"
html_title = f"flodgatt_tx {release}"
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False


# What is read in its own folder on a forge, and is a page of the site.
ELSEWHERE = {
    "deploying": "deploy/README.md",
    "fuzzing": "fuzz/README.md",
    "readme": "README.md",
    "changelog": "CHANGELOG.md",
}


def _fetch(app: Sphinx, page: str, source: list[str]) -> None:
    """Put what lies outside of this folder where the site has it, and let links lead there."""
    if page in ELSEWHERE:
        source[0] = (ROOT / ELSEWHERE[page]).read_text(encoding="utf-8")
        source[0] = source[0].replace("](../docs/", "](").replace("](docs/", "](")
        source[0] = source[0].replace("](LICENSE)", "](../LICENSE)")
    for name, path in ELSEWHERE.items():
        source[0] = re.sub(rf"]\((?:\.\./)?{re.escape(path)}", f"]({name}.md", source[0])
        folder = path.removesuffix("README.md")
        if folder:
            source[0] = re.sub(
                rf"]\((?:\.\./)?{re.escape(folder)}(docker/)?\)", f"]({name}.md)", source[0]
            )


def _show_as_written(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Let indented examples in docstrings stand as they are, though `:` alone announces them."""
    for at, line in enumerate(lines[:-2]):
        if line.endswith(":") and not lines[at + 1].strip() and lines[at + 2].startswith("    "):
            lines[at] = f"{line}:"


def setup(app: Sphinx) -> None:
    """Take part in the making."""
    app.connect("source-read", _fetch)
    app.connect("autodoc-process-docstring", _show_as_written)
