"""
Variables from files: Mastodon's dotenv file, and secrets that are given as files.

Nothing goes into `os.environ`: the dotenv file also holds what only Rails needs to know.

The file is read by the rules of Node's dotenv, which Mastodon's own server uses. python-dotenv's
are others: it keeps a `#` in an unquoted value, knows no backticks and no `NAME: value`, removes
backslashes in quotes, and gives up on lines with an odd quote. A password could differ silently.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from flodgatt_tx.settings import Layer, environment_of

# In a value a quote may be escaped; the backslash stays. What follows a quoted value must be a
# comment, or else the quotes are part of an unquoted value, which ends before any `#`.
_ASSIGNMENT = re.compile(
    r"""
    ^ \s* (?: export \s+ )?
    (?P<name> [A-Za-z0-9_.-]+ )
    (?: \s* = \s*? | : \s+? )
    (?P<value>
        \s* ' (?: \\' | [^'] )* '
      | \s* " (?: \\" | [^"] )* "
      | \s* ` (?: \\` | [^`] )* `
      | [^#\n]+
    )?
    \s* (?: \# .* )? $
    """,
    re.MULTILINE | re.VERBOSE,
)
_QUOTED = re.compile(r"""(['"`])(.*)\1""", re.DOTALL)


class UnreadableFileError(Exception):
    """A file that settings come from cannot be read; the text says which, and why."""


def dotenv_layer(upper: list[Layer], directory: Path, chosen: str | None = None) -> Layer:
    """
    Read the file *chosen*, or else the one that belongs to `NODE_ENV`, which *upper* layers set.

    The latter may be missing. `NODE_ENV` itself cannot come from a file, as for Node.

    :raises UnreadableFileError: if the file cannot be read.
    """
    usual = ".env.production" if environment_of(upper) == "production" else ".env"
    path = directory / (chosen or usual)
    try:
        text = _read(path, f"{'--env-file' if chosen else usual}: cannot read {path}", "replace")
    except UnreadableFileError as error:
        if chosen or not isinstance(error.__cause__, FileNotFoundError):
            raise
        text = ""
    values = parse_dotenv(text)
    return Layer(chosen or usual, {name: values[name] for name in values if name != "NODE_ENV"})


def read_secret(path: Path, flag: str) -> str:
    """
    Read the file that the option *flag* names; the line break at its end does not count.

    :raises UnreadableFileError: if it cannot be read.
    """
    # Without the name: who writes --db-pass, which is short for --db-pass-file, gave the secret.
    return _read(path, f"--{flag}: cannot read that file").removesuffix("\n")


def parse_dotenv(text: str) -> Mapping[str, str]:
    """Read assignments as Node's dotenv does; lines that it does not understand are skipped."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    return {
        found["name"]: _unquoted((found["value"] or "").strip())
        for found in _ASSIGNMENT.finditer(unified)
    }


def _unquoted(value: str) -> str:
    found = _QUOTED.fullmatch(value)
    text = found[2] if found else value
    # Even where the closing quote is missing.
    return text.replace(r"\n", "\n").replace(r"\r", "\r") if value.startswith('"') else text


def _read(path: Path, what: str, errors: str = "strict") -> str:
    try:
        return path.read_text(encoding="utf-8-sig", errors=errors)
    except OSError as error:
        raise UnreadableFileError(f"{what}: {error.strerror}") from error
    except ValueError:
        # The error's own text may quote the content.
        raise UnreadableFileError(f"{what}: not a text in UTF-8") from None
