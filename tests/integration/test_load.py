"""
The load tester, against the real daemon.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.integration.site import ROOT, VisitTestCase, shared_servers


class LoadTests(VisitTestCase):
    """`flodgatt-load` as an administrator calls it."""

    def load(self, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run it, with the tokens of three people."""
        tokens = Path(self.mktemp()).absolute()
        people = [self.rails.person() for _ in range(3)]
        tokens.write_text("\n".join(each.token for each in people))
        ended = subprocess.run(
            [sys.executable, "-m", "flodgatt_tx.load", "--tokens", str(tokens), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=ROOT,
        )
        self.assertEqual(status, ended.returncode, ended.stderr)
        for person in people:
            self.assertNotIn(person.token, ended.stdout + ended.stderr)
        return ended

    def measure(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        """Run it against the daemon, and give what it tells."""
        url = f"http://localhost:{self.daemon.port}"
        ended = self.load("--json", "--readers=12", *arguments, url, status=status)
        told: dict[str, Any] = json.loads(ended.stdout)
        return told

    def test_publishes(self) -> None:
        """Over both transports all hear all that is published, and charts are drawn."""
        page = Path(self.mktemp()).absolute()
        redis = f"redis://127.0.0.1:{shared_servers().redis_port}"
        told = self.measure(
            *("--transport=mixed", "--duration=1", "--rate=20", f"--redis={redis}"),
            *("--stream=hashtag", "--tag=load", f"--plot={page}"),
        )
        self.assertEqual(12, told["connected"])
        self.assertGreaterEqual(told["published"], 15)
        self.assertEqual((12 * told["published"], 0), (told["owed"], told["lost"]))
        self.assertEqual(told["owed"], told["deliveries"])
        self.assertTrue(0 < told["latency"]["p50"] <= told["latency"]["max"] < 5)
        self.assertIn("<polyline", page.read_text())

    def test_refused(self) -> None:
        """Who is refused is counted by the status, over both transports."""
        url = f"http://localhost:{self.daemon.port}"
        for transport in ("sse", "websocket"):
            ended = subprocess.run(
                [
                    *(sys.executable, "-m", "flodgatt_tx.load", "--token-pattern", "nobody-{n}"),
                    *("--json", "--readers=3", "--duration=0.1", f"--transport={transport}", url),
                ],
                capture_output=True,
                text=True,
                timeout=60,
                cwd=ROOT,
            )
            self.assertEqual(1, ended.returncode, ended.stderr)
            self.assertEqual({"401": 3}, json.loads(ended.stdout)["refused"], transport)

    def test_nobody_there(self) -> None:
        """Where there is no server nobody is connected."""
        ended = self.load("--readers=2", "--duration=0.1", "http://127.0.0.1:1", status=1)
        self.assertIn("Refused     2: ", ended.stdout)

    def test_strangers(self) -> None:
        """Servers of others are left alone."""
        for arguments in (
            ("http://192.0.2.1",),
            ("--redis=redis://192.0.2.1", f"http://localhost:{self.daemon.port}"),
        ):
            ended = self.load(*arguments, status=2)
            self.assertIn("192.0.2.1 is not this machine", ended.stderr)
