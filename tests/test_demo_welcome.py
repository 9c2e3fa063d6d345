"""What the demonstration greets with."""

from __future__ import annotations

import shlex
from urllib.parse import parse_qs, urlsplit

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from flodgatt_tx.demo.welcome import welcome


class WelcomeTests(SynchronousTestCase):
    """The text consists of commands that can be pasted into a shell."""

    @override
    def setUp(self) -> None:
        """Greet."""
        self.lines = [line.strip() for line in welcome("127.0.0.1:4001").splitlines()]

    def commands(self, program: str) -> list[list[str]]:
        """Split the lines that call *program*, as a shell would."""
        return [shlex.split(line) for line in self.lines if line.startswith(f"{program} ")]

    def test_address(self) -> None:
        """It says where the server is."""
        self.assertIn("http://127.0.0.1:4001", self.lines[0])

    def test_curl(self) -> None:
        """Every curl command shows events as they come, with a token, from one URL."""
        commands = self.commands("curl")
        self.assertGreater(len(commands), 4)
        for *options, url in commands:
            self.assertEqual(["curl", "-N", "-H", "Authorization: Bearer demo-alice"], options)
            self.assertTrue(url.startswith("http://127.0.0.1:4001/api/v1/streaming/"), url)
            self.assertTrue(url.isascii(), url)

    def test_websocket(self) -> None:
        """There is a line for each WebSocket tool, with stream and token in the query."""
        for program in ("websocat", "wscat"):
            for command in self.commands(program):
                query = parse_qs(urlsplit(command[-1]).query)
                self.assertEqual({"stream": ["user"], "access_token": ["demo-alice"]}, query)
        self.assertEqual([1, 1], [len(self.commands(tool)) for tool in ("websocat", "wscat")])

    def test_python(self) -> None:
        """The Python one-liner is Python, also after the shell has taken its quotes."""
        programs = [words for words in self.commands("python3") if words[1] == "-c"]
        self.assertEqual(1, len(programs))
        compile(programs[0][2], "<welcome>", "exec")
