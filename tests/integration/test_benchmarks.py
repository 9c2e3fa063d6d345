"""The programs that the benchmarks compile: that what they count is what there was."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from benchmarks.statuses import STAMP, message
from flodgatt_tx.demo.processes import free_port
from tests.integration.site import PATIENCE, ROOT, eventually, shared_servers

UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
STREAMING = b"HTTP/1.1 200 OK\r\n\r\n"


class ProgramsTestCase(SynchronousTestCase):
    """A test with both programs, freshly compiled."""

    def setUp(self) -> None:
        """Compile."""
        compiler = shutil.which("cc")
        if compiler is None or not (ROOT / "benchmarks" / "load.c").exists():
            raise SkipTest("there is no C compiler, or no source")
        folder = tempfile.TemporaryDirectory(prefix="flodgatt-benchmarks-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for name in ("load", "floor"):
            source = ROOT / "benchmarks" / f"{name}.c"
            flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"]
            subprocess.run([compiler, *flags, "-o", self.folder / name, source], check=True)
        (self.folder / "message").write_bytes(message(1))

    def load(self, port: int, transport: str, channel: str, *more: str) -> Load:
        """Start a load whose readers come to this port."""
        words = [
            *("--port", str(port), "--redis-port", str(shared_servers().redis_port)),
            *("--transport", transport, "--path", "/%d", "--channel", channel),
            *("--message", str(self.folder / "message"), "--patience", "5", *more),
        ]
        load = Load([str(self.folder / "load"), *words])
        self.addCleanup(load.close)
        return load


class Load:
    """A `load` process."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def say(self, command: str) -> None:
        """Give a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        """Wait for the answer to a command."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def __call__(self, command: str) -> Any:
        """Give a command, and wait for the answer."""
        self.say(command)
        return self.hear()

    def close(self) -> None:
        """Let the readers leave."""
        self._process.communicate(timeout=PATIENCE)


class FloorTests(ProgramsTestCase):
    """Load and floor against each other."""

    @contextmanager
    def floor(self, channel: str) -> Iterator[int]:
        """Run a floor; yield its port."""
        port = free_port()
        words = [str(port), str(shared_servers().redis_port), channel]
        process = subprocess.Popen([str(self.folder / "floor"), *words])
        try:
            eventually(lambda: connects(port), "the floor listens")
            yield port
        finally:
            process.kill()
            process.wait()

    def test_both_transports(self) -> None:
        """Every event reaches every reader, whatever the window, and also after some came anew."""
        for transport in ("ws", "sse"):
            with self.floor(f"floor-{transport}") as port:
                load = self.load(port, transport, f"floor-{transport}")
                self.assertEqual(30, load("open 30")["came"])
                self.assertEqual(50, load("open 20")["reading"])
                self.assertEqual(5000, load("events 100 16")["came"])
                self.assertEqual((20, 50), counts(load("churn 20"), "came", "reading"))
                answer = load("pace 20 200")
                self.assertEqual((1000, 1000, 20), counts(answer, "came", "wanted", "events"))
                times = answer["ms"]
                self.assertTrue(0 < times["p50"] <= times["p99"] <= times["max"] < 5000, times)
                load.close()

    def test_health(self) -> None:
        """Who asks the floor how it is gets an answer, and is no reader."""
        with self.floor("floor-health") as port, connect(port) as asker:
            for _ in range(2):
                asker.sendall(b"GET /api/v1/streaming/health HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertTrue(asker.recv(4096).endswith(b"\r\n\r\nOK"))


class LoadTests(ProgramsTestCase):
    """Load against a server that does its worst."""

    @contextmanager
    def reader(self, transport: str, head: bytes, *more: str) -> Iterator[tuple[Any, Load]]:
        """Bring one reader; yield the server's end of it, and the load."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(PATIENCE)
            load = self.load(listener.getsockname()[1], transport, "unheard", *more)
            load.say("open 1")
            end, _ = listener.accept()
            end.settimeout(PATIENCE)
            with closing(end):
                self.request = end.recv(4096)
                end.sendall(head)
                yield end, load
                load.close()

    def publishes(self, load: Load, command: str) -> None:
        """Give a command to publish, and wait until that has begun."""
        with connect(shared_servers().redis_port) as redis:
            redis.sendall(b"SUBSCRIBE unheard\r\n")
            self.assertIn(b"subscribe", redis.recv(4096))
            load.say(command)
            self.assertIn(b"message", redis.recv(4096))

    def test_cut_anywhere(self) -> None:
        """Stamps, heads and headers of frames are recognised when they come byte by byte."""
        text = STAMP.replace("0", "1").encode()
        for transport, head, event in (
            ("ws", UPGRADED, b"\x81\x12~" + text),
            ("ws", UPGRADED, b"\x81\x7e\x00\xc8" + text.ljust(200)),
            ("sse", STREAMING, b"event: update\ndata: ~" + text + b"\n\n"),
        ):
            with self.reader(transport, head[:1]) as (end, load):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for byte in head[1:]:
                    end.sendall(bytes([byte]))
                self.assertEqual(1, load.hear()["came"])
                self.publishes(load, "events 3 3")
                for byte in event * 3:
                    end.sendall(bytes([byte]))
                self.assertEqual((3, 3), counts(load.hear(), "came", "wanted"))

    def test_pings(self) -> None:
        """A ping is answered with what was in it, masked, while nobody gives a command."""
        with self.reader("ws", UPGRADED) as (end, load):
            self.assertIn(b"Upgrade: websocket", self.request)
            load.hear()
            end.sendall(b"\x89\x05hel")
            end.sendall(b"lo\x89\x00")
            got = b""
            while len(got) < 17:
                got += end.recv(64)
            self.assertEqual(b"\x8a\x85\0\0\0\0hello\x8a\x80\0\0\0\0", got)

    def test_number(self) -> None:
        """A reader says who it is."""
        with self.reader("sse", STREAMING, "--first", "42") as (_, load):
            load.hear()
            self.assertTrue(self.request.startswith(b"GET /42 HTTP/1.1\r\n"))

    def test_refused(self) -> None:
        """A reader that is refused is counted as that."""
        with self.reader("ws", b"HTTP/1.1 401 Unauthorized\r\n\r\n") as (_, load):
            self.assertEqual((0, 1, 0), counts(load.hear(), "came", "refused", "reading"))

    def test_thrown_out(self) -> None:
        """Readers who are thrown out are counted, and what they would have got is missing."""
        with self.reader("ws", UPGRADED, "--patience", "0.2") as (end, load):
            load.hear()
            self.publishes(load, "events 1 1")
            end.close()
            self.assertEqual(
                (0, 1, 1, 0), counts(load.hear(), "came", "wanted", "dropped", "reading")
            )


def counts(answer: Any, *names: str) -> tuple[int, ...]:
    """Pick some counts out of an answer."""
    return tuple(answer[name] for name in names)


def connect(port: int) -> socket.socket:
    """Connect to a port of this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def connects(port: int) -> bool:
    """Tell whether somebody listens on a port."""
    try:
        connect(port).close()
    except ConnectionRefusedError:
        return False
    return True
