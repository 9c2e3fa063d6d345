"""
The library masto.js, unchanged, which Elk and Phanpy use, under node.

It is strict: a message without `stream` throws in it, and so does any error, in all streams.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest

from tests.integration.site import (
    PATIENCE,
    Daemon,
    Person,
    VisitTestCase,
    eventually,
    shared_servers,
)
from tests.stage import status

HERE = Path(__file__).parent / "masto"


@functools.cache
def installed() -> Path:
    """Install the library, once for all runs, and return the folder of the script beside it."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise SkipTest(f"{program} is not on this machine")
    folder = cache() / "masto"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        # Several test runs may want it at the same time.
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted, done = (HERE / "package.json").read_text(), folder / "package.json.installed"
        if not done.exists() or done.read_text() != wanted:
            install(folder)
            done.write_text(wanted)
        shutil.copy(HERE / "listen.mjs", folder)
    return folder


def cache() -> Path:
    """Choose a folder that outlives the run: with the interpreter's, if that is ours."""
    own = Path(sys.prefix) / "share"
    ours = sys.prefix != sys.base_prefix and os.access(sys.prefix, os.W_OK)
    return (own if ours else Path(tempfile.gettempdir())) / "flodgatt-tx-tests"


def install(folder: Path) -> None:
    """Let npm install into *folder*."""
    shutil.copy(HERE / "package.json", folder)
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise SkipTest(f"npm cannot install masto: {done.stderr.strip()[-300:]}")


class Listener:
    """A process of node that listens."""

    def __init__(self, daemon: Daemon, person: Person, streams: list[Any]) -> None:
        script = str(installed() / "listen.mjs")
        self._output = tempfile.NamedTemporaryFile(prefix="flodgatt-masto-")  # noqa: SIM115
        self._process = subprocess.Popen(
            ["node", script, f"ws://127.0.0.1:{daemon.port}", person.token, json.dumps(streams)],
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._read = 0

    def hears(self) -> Any:
        """Wait for the next event."""
        path = Path(self._output.name)
        lines = eventually(
            lambda: path.read_text().splitlines(keepends=True)[self._read :], "an event"
        )
        self._read += 1
        return json.loads(lines[0])

    def unsubscribe(self, stream: str) -> None:
        """Unsubscribe from a stream."""
        assert self._process.stdin
        self._process.stdin.write(f"{stream}\n")
        self._process.stdin.flush()

    def end(self) -> None:
        """Let it close its connection, and end."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()


class MastoTests(VisitTestCase):
    """What it subscribes to, and what it makes of what it hears."""

    def setUp(self) -> None:
        """Sign up."""
        installed()
        super().setUp()
        self.person = self.rails.person()

    def listen(self, *streams: tuple[Any, ...], to: Daemon | None = None) -> Listener:
        """Listen for as long as the test lasts."""
        listener = Listener(to or self.daemon, self.person, [list(stream) for stream in streams])
        self.addCleanup(listener.end)
        return listener

    def assert_hears(self, listener: Listener, name: str, event: str, payload: object) -> Any:
        """Fail unless this is heard next; return the whole message."""
        message = listener.hears()
        expected = (name, event, payload)
        self.assertEqual(expected, (message.get("name"), message.get("event"), message["payload"]))
        return message

    def test_user(self) -> None:
        """The home stream, with events of all shapes."""
        listener = self.listen(("user",))
        self.rails.hears_of(self.person.home)
        eventually(
            lambda: self.rails.redis("EXISTS", f"subscribed:{self.person.home}"), "Rails knows"
        )
        post = {**status("1"), "filtered": []}
        self.rails.push(self.person.home, "update", post)
        self.rails.publish(self.person.home, "delete", "1")
        self.rails.push(self.person.home, "announcement.delete", "8")
        self.rails.notify(self.person, "notification", {"id": "3", "type": "follow"})
        self.assert_hears(listener, "user", "update", post)
        self.assert_hears(listener, "user", "delete", "1")
        self.assert_hears(listener, "user", "announcement.delete", 8)
        self.assert_hears(listener, "user", "notification", {"id": "3", "type": "follow"})

    def test_filters_changed(self) -> None:
        """`filters_changed` without a payload is an event like others."""
        listener = self.listen(("user",))
        self.rails.hears_of(self.person.home)
        self.rails.publish(self.person.home, "filters_changed")
        self.rails.publish(self.person.home, "delete", "1")
        message = listener.hears()
        self.assertEqual(("filters_changed", ["user"]), (message["event"], message["stream"]))
        self.assert_hears(listener, "user", "delete", "1")

    def test_streams(self) -> None:
        """Streams share a connection; it knows them by the names that it asked for."""
        mine = str(self.rails.keep_list(self.person))
        streams: list[tuple[Any, ...]] = [
            ("public",),
            ("public.local",),
            ("public.remote.media",),
            ("hashtag", {"tag": "Été"}),
            ("hashtag.local", {"tag": "CATS"}),
            ("list", {"list": mine}),
            ("direct",),
            ("user.notification",),
        ]
        channels = [
            "timeline:public",
            "timeline:public:local",
            "timeline:public:remote:media",
            "timeline:hashtag:ete",
            "timeline:hashtag:cats:local",
            f"timeline:list:{mine}",
            f"timeline:direct:{self.person.account}",
            f"{self.person.home}:notifications",
        ]
        listener = self.listen(*streams)
        self.rails.hears_of(*channels)
        for number, (stream, channel) in enumerate(zip(streams, channels, strict=True)):
            self.rails.publish(channel, "delete", str(number))
            message = self.assert_hears(listener, stream[0], "delete", str(number))
            asked = list(stream[1].values()) if stream[1:] else []
            self.assertEqual([stream[0].replace(".", ":"), *asked], message["stream"])

    def test_unsubscribe(self) -> None:
        """What it unsubscribes from ends, and nothing else does."""
        listener = self.listen(("hashtag", {"tag": "cats"}), ("user",))
        self.rails.hears_of("timeline:hashtag:cats", self.person.home)
        listener.unsubscribe("hashtag")
        eventually(
            lambda: not self.rails.redis.subscribers("timeline:hashtag:cats"), "unsubscribed"
        )
        self.rails.publish(self.person.home, "delete", "1")
        self.assert_hears(listener, "user", "delete", "1")

    def test_error(self) -> None:
        """A list of somebody else is an error that it can show."""
        other = str(self.rails.keep_list(self.rails.person()))
        listener = self.listen(("list", {"list": other}))
        expected = {"name": "list", "error": "Not authorized to stream this list"}
        self.assertEqual(expected, listener.hears())

    def test_comes_back(self) -> None:
        """After a restart of the server it is back by itself, and listens again."""
        environment = shared_servers().environment()
        first = Daemon(environment)
        self.addCleanup(first.stop)
        listener = self.listen(("user",), to=first)
        self.rails.hears_of(self.person.home)
        port = first.port
        self.assertEqual(0, first.stop())
        second = Daemon({**environment, "PORT": str(port)})
        self.addCleanup(second.stop)
        self.rails.hears_of(self.person.home)
        self.rails.publish(self.person.home, "delete", "1")
        self.assert_hears(listener, "user", "delete", "1")
