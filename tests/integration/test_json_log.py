"""
The log as JSON, of one process and of several.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.site import Daemon, eventually, shared_rails, shared_servers


class JsonTests(SynchronousTestCase):
    """Every line is one object, whoever wrote it."""

    def lines(self, daemon: Daemon) -> list[dict[str, Any]]:
        """What is logged, after what twistd itself writes before there is a log."""
        return [json.loads(line) for line in daemon.log.splitlines()]

    def assert_told(self, *options: str) -> Daemon:
        """Fail unless an end is told."""
        environment = {**shared_servers().environment(), "LOG_LEVEL": "info"}
        daemon = Daemon(environment, "--log-format=json", *options)
        self.addCleanup(daemon.stop)
        person = shared_rails().person()
        client = daemon.websocket(person.token, stream="user")
        shared_rails().notify(person, "delete", "1")
        client.hears()
        client.close()

        def ends() -> list[dict[str, Any]]:
            return [each for each in self.lines(daemon) if "seconds" in each]

        eventually(lambda: bool(ends()), "the end is told")
        (end,) = ends()
        self.assertEqual(("left", 1, "user"), (end["reason"], end["events"], end["streams"]))
        self.assertEqual(str(person.account), end["account_id"])
        return daemon

    def test_one(self) -> None:
        """One process names no worker."""
        daemon = self.assert_told()
        self.assertFalse(any("worker" in each for each in self.lines(daemon)))

    def test_workers(self) -> None:
        """Workers say who they are."""
        daemon = self.assert_told("--workers=2")
        said = self.lines(daemon)
        self.assertLessEqual({each.get("worker") for each in said}, {None, 1, 2})
        self.assertTrue(any("worker" in each for each in said))
