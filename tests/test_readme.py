"""
The README, as far as a machine can tell whether it is true.

`python -c 'from tests.test_readme import settings_table; print(settings_table())'` writes the table
of settings anew.
"""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import flodgatt_tx
from flodgatt_tx.settings import VARIABLES, Variable
from tests.stage import API, Stage

README = Path(flodgatt_tx.__file__).absolute().parent.parent / "README.md"
HEADER = ("| variable | option | default | meaning |", "|---|---|---|---|")
_PATH = re.compile(rf"(?:{API}|/metrics)[\w/]*(?:\?\w+=\w+(?:&\w+=\w+)*)?")


def settings_table() -> str:
    """Write the table of all variables."""
    return "\n".join((*HEADER, *map(_row, VARIABLES)))


def _row(variable: Variable) -> str:
    option = f"`--{variable.flag}`" if variable.flag else ""
    return f"| `{variable.name}` | {option} | {variable.default} | {variable.help} |"


def mentioned_paths(text: str) -> list[str]:
    """The paths of this server that *text* mentions, with their queries, each once."""
    return sorted(set(_PATH.findall(text)))


class SettingsTableTests(SynchronousTestCase):
    """What can be set is in the README."""

    def test_is_the_table_of_variables(self) -> None:
        """The README has exactly the variables, options, defaults and meanings that there are."""
        lines = README.read_text(encoding="utf-8").split("\n")
        start = lines.index(HEADER[0])
        end = next(at for at in range(start, len(lines)) if not lines[at].startswith("|"))
        self.assertEqual(settings_table().split("\n"), lines[start:end])


class PathTests(SynchronousTestCase):
    """What can be asked for is answered."""

    def setUp(self) -> None:
        """Set up a server that tells all it may."""
        self.stage = Stage(status=True)
        self.addCleanup(self.stage.close)

    def test_every_path_is_answered(self) -> None:
        """Each path that the README mentions answers, WebSockets on the one without a stream."""
        paths = mentioned_paths(README.read_text(encoding="utf-8"))
        self.assertIn(f"{API}/health", paths)
        self.stage.mastodon.lists.add((1, 12))
        for path in paths:
            if path.partition("?")[0] == API:
                self.assertTrue(self.stage.websocket(path, Authorization="Bearer ann").open, path)
            else:
                answer = self.stage.get(path, Authorization="Bearer ann")
                self.assertEqual((200, path), (answer.status, path))
                answer.hang_up()
