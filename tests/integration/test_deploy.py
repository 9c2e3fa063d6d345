"""
What `deploy/` has for administrators, as far as a machine without systemd can tell.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.options import Options
from tests.integration.proxies import DEPLOY, program
from tests.integration.site import API, PATIENCE, Daemon, get, shared_rails, shared_servers

UNITS = DEPLOY / "systemd"
_TWISTD = re.compile(r"/home/mastodon/flodgatt_tx/\.venv/bin/twistd")


class UnitTests(SynchronousTestCase):
    """systemd's units."""

    def test_verify(self) -> None:
        """systemd finds no fault with them, with and without the socket."""
        analyze = program("systemd-analyze")
        for with_socket in (False, True):
            folder = Path(tempfile.mkdtemp(prefix="flodgatt-test-"))
            self.addCleanup(shutil.rmtree, folder)
            names = ["flodgatt.service", "flodgatt@.service"]
            names += ["flodgatt.socket", "flodgatt.service.d/socket.conf"] if with_socket else []
            for name in names:
                target = folder / name
                target.parent.mkdir(exist_ok=True)
                # What is not installed here is taken for something that is.
                text = _TWISTD.sub("/bin/true", (UNITS / name).read_text())
                target.write_text(text.replace("file:/home", "file:///home"))
            units = [str(folder / name) for name in names if not name.endswith(".conf")]
            checked = subprocess.run(
                [analyze, "verify", *units], capture_output=True, text=True, check=False
            )
            ours = [line for line in checked.stderr.splitlines() if "flodgatt" in line]
            self.assertEqual([], ours)

    def test_options(self) -> None:
        """What they start understands its options."""
        for path in (*UNITS.rglob("*.service"), *UNITS.rglob("*.conf")):
            for line in re.findall(r"(?m)^ExecStart=(.+)$", path.read_text()):
                words = shlex.split(line)
                options = Options({"NODE_ENV": "production"}, Path(self.mktemp()))
                options.parseOptions(words[words.index("flodgatt") + 1 :])
                self.assertEqual(["-n", "--pidfile="], words[1:3])


class ImageTests(SynchronousTestCase):
    """The container image, as far as it can be tried without one."""

    def test_commands(self) -> None:
        """What the image starts serves, and its health check tells whether it does."""
        text = (DEPLOY / "docker" / "Dockerfile").read_text()
        health, command = map(json.loads, re.findall(r"(?m)^ *CMD (\[.*\])$", text))
        self.assertEqual(["twistd", "-n", "--pidfile=", "flodgatt"], command[:4])
        daemon = Daemon(shared_servers().environment(), *command[4:])
        self.addCleanup(daemon.stop)
        environment = {"PORT": str(daemon.port)}
        words = [sys.executable, *health[1:]]
        self.assertEqual("python", health[0])
        for expected in (0, 1):
            ended = subprocess.run(words, env=environment, capture_output=True, check=False)
            self.assertEqual(expected, ended.returncode, ended.stderr)
            daemon.stop()

    def test_compose(self) -> None:
        """The service asks for its health where it listens, and may take its time to leave."""
        text = (DEPLOY / "docker" / "compose.yaml").read_text()
        self.assertIn('      PORT: "4000"\n', text)
        (line,) = re.findall(r"(?m)^ *test: (\[.*\])$", text)
        self.assertIn("http://127.0.0.1:4000/api/v1/streaming/health", json.loads(line)[3])
        (grace,) = re.findall(r"(?m)^ *stop_grace_period: (\d+)s$", text)
        self.assertGreater(int(grace), Options({}, Path(self.mktemp())).load().drain_seconds)


class SocketActivationTests(SynchronousTestCase):
    """systemd holds the socket."""

    def activated(self, held: socket.socket, domain: str, *options: str) -> Daemon:
        """Start a server on a socket that it is given."""
        listen = f"--listen=systemd:domain={domain}:name=streaming"
        environment = {**shared_servers().environment(), "LOG_LEVEL": "info"}
        daemon = Daemon(environment, listen, *options, sockets=(held,))
        self.addCleanup(daemon.stop)
        return daemon

    def test_restart(self) -> None:
        """Whoever connects while the server is down is served when it is up again."""
        for options in ((), ("--workers=2",)):
            with socket.create_server(("127.0.0.1", 0), backlog=100) as held:
                port = held.getsockname()[1]
                for _ in range(2):
                    early = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
                    early.sendall(f"GET {API}/health HTTP/1.1\r\nHost: h\r\n\r\n".encode())
                    daemon = self.activated(held, "INET", *options)
                    self.assertTrue(early.recv(65536).startswith(b"HTTP/1.1 200 OK"))
                    early.close()
                    self.assertEqual(200, get(port, f"{API}/health")[0])
                    person = shared_rails().person()
                    client = daemon.websocket(person.token, stream="user")
                    client.close()
                    self.assertEqual(0, daemon.stop())
                    daemon.is_well()

    def test_path(self) -> None:
        """A UNIX socket keeps its place, its mode and its queue."""
        for options in ((), ("--workers=2",)):
            path = Path(self.mktemp()).absolute()
            with socket.socket(socket.AF_UNIX) as held:
                held.bind(str(path))
                path.chmod(0o660)
                held.listen(100)
                for _ in range(2):
                    daemon = self.activated(held, "UNIX", *options)
                    with socket.socket(socket.AF_UNIX) as client:
                        client.settimeout(PATIENCE)
                        client.connect(str(path))
                        client.sendall(f"GET {API}/health HTTP/1.0\r\n\r\n".encode())
                        self.assertIn(b" 200 OK", client.recv(65536))
                    self.assertEqual(0, daemon.stop())
                    self.assertEqual(0o660, path.stat().st_mode & 0o777)
