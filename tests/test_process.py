"""
What the process asks of the system.
"""

from __future__ import annotations

import resource

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.process import raise_file_limit


class ProcessTests(SynchronousTestCase):
    """Files."""

    def test_files(self) -> None:
        """As many files may be open as the system allows at most."""
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        self.assertEqual(before[1], raise_file_limit())
        self.assertEqual((before[1],) * 2, resource.getrlimit(resource.RLIMIT_NOFILE))
