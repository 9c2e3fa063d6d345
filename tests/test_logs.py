"""
What is logged, and what never is.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import skipIf

from twisted.application.service import Application, MultiService
from twisted.logger import (
    ILogObserver,
    Logger,
    LogLevel,
    LogPublisher,
    eventAsText,
    globalLogPublisher,
)
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.logs import FILE_SIZE, FILES, LoggedService, make_observer, open_output
from flodgatt_tx.errors import UNAVAILABLE, UnavailableError
from flodgatt_tx.settings import LOG_LEVELS
from tests.stage import API, StageTestCase, status, viewer

TOKEN = "sEcReT-tOkEn_0123456789"


class LevelTests(SynchronousTestCase):
    """How much is written."""

    def written(self, level: str) -> list[str]:
        """What is written at a level, of one event of each of Twisted's levels."""
        output = StringIO()
        log = Logger("test", observer=make_observer(level, output))
        for each in LogLevel.iterconstants():
            log.emit(each, "{name}", name=each.name)
        return [line.split()[-1] for line in output.getvalue().splitlines()]

    def test_levels(self) -> None:
        """Each of Node's levels lets through what it names and what is worse."""
        everything = ["debug", "info", "warn", "error", "critical"]
        for level, written in (
            ("trace", everything),
            ("debug", everything),
            ("info", everything[1:]),
            ("warn", everything[2:]),
            ("error", everything[3:]),
            ("fatal", everything[4:]),
            ("silent", []),
        ):
            self.assertEqual(written, self.written(level), level)

    def test_all(self) -> None:
        """Every level that can be set can be made."""
        for level in LOG_LEVELS:
            make_observer(level, StringIO())


class OutputTests(SynchronousTestCase):
    """Where it is written."""

    def setUp(self) -> None:
        """Leave the signal as it is."""
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.getsignal(signal.SIGUSR1))
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)

    def test_terminal(self) -> None:
        """In the foreground it is the terminal, and so it is for a dash."""
        for twistd in ({"nodaemon": True}, {"logfile": "-"}, {"logfile": "-", "nodaemon": True}):
            self.assertIs(sys.stdout, open_output(twistd), twistd)

    def test_theirs(self) -> None:
        """Syslog and loggers of their own are left to twistd."""
        for twistd in ({"syslog": True}, {"logger": "some.observer"}):
            self.assertIsNone(open_output(twistd), twistd)

    def test_bounded(self) -> None:
        """Files grow to a size and a number, and no further."""
        path = Path(self.mktemp()).absolute()
        path.mkdir()
        output: Any = open_output({"logfile": str(path / "x.log"), "nodaemon": True})
        self.addCleanup(output.close)
        self.assertEqual((FILE_SIZE, FILES), (output.rotateLength, output.maxRotatedFiles))
        for _ in range(FILES + 3):
            output.write("x")
            output.rotate()
        self.assertEqual(FILES + 1, len(list(path.iterdir())))

    @skipIf(os.getuid(), "only root can give files away")
    def test_given_away(self) -> None:
        """A log that root opens belongs to whom twistd is told to become."""
        path = Path(self.mktemp()).absolute()
        output: Any = open_output({"logfile": str(path), "uid": 1234, "gid": 5678})
        self.addCleanup(output.close)
        self.assertEqual((1234, 5678), (path.stat().st_uid, path.stat().st_gid))

    def test_signal(self) -> None:
        """SIGUSR1 begins a new file, unless it means something already."""
        path = Path(self.mktemp()).absolute()
        output: Any = open_output({"logfile": str(path)})
        output.close()
        handler = signal.getsignal(signal.SIGUSR1)
        self.assertTrue(callable(handler))
        another: Any = open_output({"logfile": str(path)})
        another.close()
        self.assertIs(handler, signal.getsignal(signal.SIGUSR1))


class ServiceTests(SynchronousTestCase):
    """The service that brings its own observer."""

    def test_observer(self) -> None:
        """The application logs with it."""
        observer = LogPublisher()
        application: Any = Application("x")
        LoggedService(observer).setServiceParent(application)
        self.assertIs(observer, application.getComponent(ILogObserver))

    def test_none(self) -> None:
        """Without one the application logs as it likes, and other parents do not mind."""
        application: Any = Application("x")
        LoggedService(None).setServiceParent(application)
        self.assertIsNone(application.getComponent(ILogObserver))
        LoggedService(LogPublisher()).setServiceParent(MultiService())


class SecretTests(StageTestCase):
    """What never gets into a log."""

    def setUp(self) -> None:
        """Listen to all that is logged, by whomever."""
        super().setUp()
        self.events: list[Any] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.stage.mastodon.tokens[TOKEN] = viewer(1)

    def come(self) -> None:
        """Bring the token in every way there is, good or bad."""
        stage = self.stage
        for path in ("user", "public", "nope", "hashtag", "list?list=9", "user/"):
            mark = "&" if "?" in path else "?"
            stage.get(f"{API}/{path}{mark}access_token={TOKEN}").hang_up()
            stage.get(f"{API}/{path}", Authorization=f"Bearer {TOKEN}", Referer=TOKEN).hang_up()
            stage.get(f"{API}/{path}", Sec_WebSocket_Protocol=TOKEN).hang_up()
        stage.get(f"/?access_token={TOKEN}", "POST", Content_Length="0")
        for target, subprotocol, headers in (
            (f"{API}?stream=public&access_token={TOKEN}", None, {}),
            (API, TOKEN, {}),
            (f"{API}?stream=nope", None, {"Authorization": f"Bearer {TOKEN}"}),
            (f"{API}?access_token={TOKEN}", None, {"Origin": "https://[broken"}),
            (f"{API}?access_token={TOKEN}", None, {"Sec_WebSocket_Version": TOKEN}),
        ):
            socket = stage.websocket(target, subprotocol, **headers)
            stage.publish("timeline:public", "update", status())
            if socket.open:
                socket.subscribe("nope", access_token=TOKEN)
                socket.send(b"\xff" + TOKEN.encode())
            socket.hang_up()
        upgrade = "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        for target in (
            f"/?access_token={TOKEN}&tag=a b",
            f"/#access_token={TOKEN}",
            f"//[x?access_token={TOKEN}",
            f"/user%3Faccess_token={TOKEN}",
        ):
            for more in (upgrade, "Host: x\r\n\r\n"):
                client = stage.connect()
                client.send(f"GET {target} HTTP/1.1\r\n{more}".encode())
                self.assertNotIn(TOKEN.encode(), client.raw)
        stage.connect().send(f"GET /?access_token={TOKEN}\r\n\r\n".encode())
        stage.connect().send(f"GET /?access_token={TOKEN} HTTP/1.1\r\nbroken\r\n\r\n".encode())

    def test_tokens(self) -> None:
        """No log event has a token in it, whether things go well, badly, or very badly."""
        self.come()
        del self.stage.mastodon.tokens[TOKEN]
        self.come()
        for trouble in (UnavailableError(UNAVAILABLE), ZeroDivisionError()):
            self.stage.mastodon.failing = trouble
            self.come()
        self.flushLoggedErrors(ZeroDivisionError)
        self.assertTrue(self.events)
        for event in self.events:
            self.assertNotIn(TOKEN, eventAsText(event))
            shown = {name: value for name, value in event.items() if isinstance(value, str | list)}
            self.assertNotIn(TOKEN, json.dumps(shown, default=repr))

    def test_requests(self) -> None:
        """Requests are logged by method, path and code."""
        self.stage.get(f"{API}/health?x=1")
        texts = [eventAsText(event) for event in self.events]
        self.assertTrue(any(f"GET {API}/health 200" in text for text in texts), texts)
        self.assertFalse(any("x=1" in text for text in texts))
