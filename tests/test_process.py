"""
What the process asks of the system.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.process import cores, raise_file_limit


class ProcessTests(SynchronousTestCase):
    """Files."""

    def test_cores(self) -> None:
        """A container that gets less time than there are cores has fewer."""
        file = Path(self.mktemp())
        here = len(os.sched_getaffinity(0))
        for text, expected in (
            ("100000 100000\n", 1),
            ("50000 100000\n", 1),
            ("150000 100000\n", min(2, here)),
            ("99900000 100000\n", here),
            ("max 100000\n", here),
            ("nonsense", here),
        ):
            file.write_text(text)
            self.assertEqual(expected, cores(file), text)
        self.assertEqual(here, cores(Path(self.mktemp())))

    def test_end_with(self) -> None:
        """A process ends with the status that it is told, and what it wrote is not lost."""
        script = "from flodgatt_tx.edge.process import end_with; end_with(7); print('bye')"
        ended = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False
        )
        self.assertEqual((7, "bye\n"), (ended.returncode, ended.stdout))

    def test_files(self) -> None:
        """As many files may be open as the system allows at most."""
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        self.assertEqual(before[1], raise_file_limit())
        self.assertEqual((before[1],) * 2, resource.getrlimit(resource.RLIMIT_NOFILE))
