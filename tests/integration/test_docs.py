"""
A newcomer's walk through the documents: every command in them is executed, or it is said why not.

What is in a `console` block is executed in order, and has to say what the page says; what is in a
`sh` block has to succeed. Numbers of ports are those of the demonstration that the walk has.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.site import ROOT, Daemon
from tests.integration.test_admin import admin_address

PAGES = sorted((ROOT / "docs").glob("*.md"))
_BLOCK = re.compile(r"^ *```(console|sh)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
# What a newcomer does that this test does not, by how the commands begin.
ELSEWHERE = {
    "git clone ": "the walk is in the clone",
    "cd ": "the walk is in the clone",
    "make run": "the demonstration is started as it does, on another port",
    "twistd -n ": "the demonstration is started with this option",
    "curl -N -H 'Authorization: Bearer TOKEN'": "needs a token of a live site",
    "systemctl ": "needs systemd",
    "journalctl ": "needs systemd",
}


def commands(page: Path) -> Iterator[tuple[str, str | None]]:
    """The commands of a page, each with what it says, or None if that is not told."""
    for kind, block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind == "sh":
            yield from ((line.strip(), None) for line in block.splitlines() if line.strip())
        else:
            for part in block.split("$ ")[1:]:
                command, _, said = part.partition("\n")
                yield command, said


def is_elsewhere(command: str) -> bool:
    """Whether a command is one that others try."""
    return command.startswith(tuple(ELSEWHERE))


class WalkTests(SynchronousTestCase):
    """The walk."""

    def setUp(self) -> None:
        """Start the demonstration, and let alice listen over three connections."""
        self.daemon = Daemon({}, "--demo", "--port=0", "--status", "--admin=tcp:0")
        self.addCleanup(self.daemon.stop)
        self.ports = {
            ":4000": f":{self.daemon.port}",
            ":4001": f":{admin_address(self.daemon).rpartition(':')[2]}",
        }
        found = re.search(r"REDIS_PORT=(\d+)", self.daemon.log)
        assert found
        self.redis = found[1]

    def listen(self) -> None:
        """Let alice listen as the pages have it."""
        first = self.daemon.websocket("demo-alice", stream="user")
        first.subscribe("public")
        stream = self.daemon.sse("user", "demo-alice")
        for each in (first, self.daemon.websocket("demo-alice", stream="user"), stream):
            self.addCleanup(each.close)
        first.hears()

    def execute(self, command: str) -> str:
        """Execute a command, and return what it says."""
        for there, here in self.ports.items():
            command = command.replace(f"127.0.0.1{there}", f"127.0.0.1{here}")
        command = command.replace("redis-cli ", f"redis-cli -p {self.redis} ")
        command = command.replace("python3 ", f"{sys.executable} ")
        ended = subprocess.run(
            ["bash", "-c", command],
            capture_output=True,
            text=True,
            timeout=20,
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
        )
        self.assertEqual(0, ended.returncode, f"{command}\n{ended.stdout}\n{ended.stderr}")
        return ended.stdout

    def test_commands(self) -> None:
        """Every command does what its page says."""
        self.listen()
        executed = 0
        for page in PAGES:
            for command, expected in commands(page):
                if is_elsewhere(command):
                    continue
                said = self.execute(command)
                executed += 1
                if expected is not None:
                    self.assertEqual(expected.strip(), said.strip(), f"{page.name}: {command}")
        self.assertGreater(executed, 10)

    def test_elsewhere(self) -> None:
        """Every reason for not trying a command is still one."""
        all_ = [command for page in PAGES for command, _ in commands(page)]
        for beginning in ELSEWHERE:
            self.assertTrue(any(each.startswith(beginning) for each in all_), beginning)
