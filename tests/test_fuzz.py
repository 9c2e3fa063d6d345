"""What fuzzing has found stays found: every file of the corpora is let in again."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import fuzz
from fuzz.targets import TARGETS

CORPUS = Path(fuzz.__file__).parent / "corpus"


class CorpusTests(SynchronousTestCase):
    """One test for each target."""

    def check(self, name: str) -> None:
        """Let in all that is kept for one target, which looks for accidents itself."""
        self.addCleanup(self.flushLoggedErrors)
        files = sorted((CORPUS / name).iterdir())
        self.assertTrue(files, "nothing is kept")
        for file in files:
            try:
                TARGETS[name](file.read_bytes())
            except Exception as error:
                raise AssertionError(f"{name}: {file.name}") from error

    def test_all_are_known(self) -> None:
        """Nothing is kept for a target that is not there."""
        self.assertEqual(set(TARGETS), {folder.name for folder in CORPUS.iterdir()})


def _add_targets() -> None:
    for name in TARGETS:

        def test(self: CorpusTests, name: str = name) -> None:
            self.check(name)

        setattr(CorpusTests, f"test_{name}", test)


_add_targets()
