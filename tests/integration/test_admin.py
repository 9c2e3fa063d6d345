"""
The administrators' pages, in a real browser before the real daemon.
"""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import stat
import tempfile
from pathlib import Path

from playwright.sync_api import Error, expect
from twisted.trial.unittest import SynchronousTestCase

from tests.integration.browser import NO_CHROMIUM, STRANGER, open_page
from tests.integration.site import (
    API,
    SECRET,
    Daemon,
    eventually,
    get,
    shared_rails,
    shared_servers,
)
from tests.stage import status

ADMIN = re.compile(r"Administrators are served on (\S+)")
HOSTILE = "<p>one<br>two <b>bold</b><img src=x onerror=\"document.title='taken'\"></p>"


def admin_address(daemon: Daemon) -> str:
    """Wait until administrators are served, and say where."""

    def announced() -> str | None:
        found = ADMIN.findall(daemon.log)
        return found[-1] if found else None

    return str(eventually(announced, "administrators are served"))


@functools.cache
def shared_daemon() -> Daemon:
    """Start the daemon of two workers that all these tests share."""
    import atexit

    environment = {**shared_servers().environment(), "LOG_LEVEL": "trace"}
    daemon = Daemon(environment, "--workers=2", "--admin=tcp:0")
    atexit.register(daemon.stop)
    return daemon


class BrowserTestCase(SynchronousTestCase):
    """A browser before the daemon."""

    if NO_CHROMIUM:
        skip = NO_CHROMIUM

    def setUp(self) -> None:
        """Open a window that takes note of all that goes wrong in it."""
        self.rails = shared_rails()
        self.daemon = shared_daemon()
        self.home = f"http://{admin_address(self.daemon)}"
        self.page = open_page()
        self.addCleanup(self.page.context.close)
        self.complaints: list[str] = []
        self.addresses: list[str] = []
        self.page.on("console", lambda said: self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.addresses.append(request.url))
        self.page.on("websocket", lambda opened: self.addresses.append(opened.url))

    def says(self, selector: str, text: str | re.Pattern[str]) -> None:
        """Wait until something on the page has this text in it."""
        expect(self.page.locator(selector)).to_contain_text(text, timeout=10_000)

    def open_console(self, token: str, transport: str, *streams: str) -> None:
        """Subscribe to streams in the console."""
        self.page.goto(f"{self.home}/console")
        self.page.fill("#token", token)
        self.page.check(f"input[value={transport}]")
        for stream in streams:
            self.page.select_option("#stream", stream)
            self.page.click("#subscribe")


class LiveTests(BrowserTestCase):
    """The live page."""

    def test_figures(self) -> None:
        """It shows who is there, and what they are sent, without being asked again."""
        ann = self.rails.person()
        self.page.goto(self.home)
        self.says("#state", "live")
        self.says("#tiles li:first-child", "0 websocket")
        self.says("#dependencies", re.compile("redis.*up.*postgresql.*up", re.DOTALL))
        expect(self.page.locator("#workers tbody tr")).to_have_count(2)
        reader = self.daemon.websocket(ann.token, stream="user")
        self.addCleanup(reader.close)
        self.says("#tiles li:first-child", "1 websocket")
        self.says("#busiest", ann.home)
        self.rails.notify(ann, "delete", "1")
        self.says("#tiles li:nth-child(2)", re.compile(r"[1-9]\d* so far"))
        chart = self.page.locator(".chart polyline").first
        expect(chart).to_have_attribute("points", re.compile(r"(\S+ ){2}"), timeout=10_000)
        self.assertEqual([], self.complaints)

    def test_hold(self) -> None:
        """It can be held, and goes on with what is then."""
        ann = self.rails.person()
        self.page.goto(self.home)
        self.says("#state", "live")
        self.page.click("#hold")
        self.says("#state", "held")
        reader = self.daemon.websocket(ann.token, stream="user")
        self.addCleanup(reader.close)
        self.page.wait_for_timeout(1500)
        self.assertIn("0 websocket", self.page.inner_text("#tiles li:first-child"))
        self.page.click("#hold")
        self.says("#tiles li:first-child", "1 websocket")

    def test_narrow(self) -> None:
        """Nothing is cut off on a telephone, in either colours."""
        for scheme in ("light", "dark"):
            page = open_page(scheme, width=340)
            self.addCleanup(page.context.close)
            for path in ("/", "/console"):
                page.goto(f"{self.home}{path}")
                page.wait_for_timeout(1200 if path == "/" else 0)
                width = page.evaluate("document.documentElement.scrollWidth")
                self.assertLessEqual(width, 340, f"{path} {scheme}")
            back = page.evaluate("getComputedStyle(document.body).backgroundColor")
            brightness = sum(int(each) for each in re.findall(r"\d+", back)[:3])
            self.assertEqual(scheme == "dark", brightness < 380, back)


class ConsoleTests(BrowserTestCase):
    """The console."""

    def test_hostile_status(self) -> None:
        """What is in a status is text, over both transports."""
        for transport in ("websocket", "sse"):
            ann = self.rails.person()
            self.open_console(ann.token, transport, "public")
            self.says("#state", "connected")
            self.says("#viewer", f"Account {ann.account}")
            self.rails.post(status(content=HOSTILE))
            self.says("#events", "one\ntwo bold")
            self.assertEqual(0, self.page.locator("#events img, #events b").count())
            self.assertEqual("Console – flodgatt-tx", self.page.title())
            self.page.click("#raw")
            self.says("#events pre", "onerror=")
            self.assertEqual([], self.complaints, transport)

    def test_tokens_are_in_no_address(self) -> None:
        """Tokens are in headers, and neither in addresses nor in the log."""
        ann = self.rails.person()
        for transport in ("websocket", "sse"):
            self.open_console(ann.token, transport, "user")
            self.says("#state", "connected")
            self.says("#viewer", "Account")
        self.assertTrue(any(each.startswith("ws:") for each in self.addresses))
        self.assertEqual([], [each for each in self.addresses if SECRET in each])
        self.assertNotIn(ann.token, self.daemon.log)
        kept = self.page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
        self.assertEqual('[{},{},""]', kept)

    def test_many_streams(self) -> None:
        """Streams come and go on one WebSocket, by the keyboard alone."""
        ann = self.rails.person()
        self.page.goto(f"{self.home}/console")
        self.page.focus("#token")
        self.page.keyboard.type(ann.token)
        self.page.select_option("#stream", "hashtag")
        self.page.focus("#value")
        self.page.keyboard.type("Cats")
        self.page.keyboard.press("Enter")
        self.says("#subscriptions", "hashtag Cats")
        self.page.select_option("#stream", "user")
        self.page.focus("#subscribe")
        self.page.keyboard.press("Enter")
        expect(self.page.locator("#subscriptions li")).to_have_count(2)
        self.rails.hears_of("timeline:hashtag:cats", ann.home)
        self.rails.publish("timeline:hashtag:cats", "delete", "77")
        self.says("#events li", "hashtag Cats")
        self.page.locator("#subscriptions button").first.press("Enter")
        expect(self.page.locator("#subscriptions li")).to_have_count(1)
        redis = self.rails.redis
        eventually(lambda: not redis.subscribers("timeline:hashtag:cats"), "unsubscribed")
        self.says("#state", "connected")

    def test_pause(self) -> None:
        """What comes while it is paused is shown later; the counts go on."""
        ann = self.rails.person()
        self.open_console(ann.token, "websocket", "user")
        self.says("#viewer", "Account")
        self.page.click("#pause")
        self.rails.notify(ann, "delete", "4711")
        self.says("#counts", "1 delete, paused, 1 waiting")
        self.assertEqual("", self.page.inner_text("#events"))
        self.page.click("#pause")
        self.says("#events", "4711")
        self.page.click("#clear")
        self.assertEqual("", self.page.inner_text("#events"))

    def test_refusals(self) -> None:
        """It says what is wrong: the token, the scopes, the stream."""
        ann, ben = self.rails.person(), self.rails.person("write")
        for transport in ("websocket", "sse"):
            self.open_console("nobody", transport, "user")
            self.says("#problem", "refused: 401 Invalid access token")
            self.says("#state", "not connected")
            self.open_console("", transport, "user")
            self.says("#problem", "refused: 401 Missing access token")
            self.open_console(ben.token, transport, "user")
            self.says("#problem", "does not have the required scopes")
            self.open_console(ann.token, transport)
            self.page.select_option("#stream", "list")
            self.page.fill("#value", "1")
            self.page.click("#subscribe")
            self.says("#problem", "Not authorized to stream this list")

    def test_revoked(self) -> None:
        """It says so when the stream ends, since its token was revoked."""
        for transport, said in (("websocket", "was closed: 1"), ("sse", "token was revoked")):
            ann = self.rails.person()
            self.open_console(ann.token, transport, "user")
            self.says("#viewer", "Account")
            self.rails.revoke(ann)
            self.says("#problem", said)
            self.says("#state", "not connected")


class StrangerTests(BrowserTestCase):
    """Pages of somebody else, in the administrator's browser."""

    def test_rebinding(self) -> None:
        """A stranger's name that leads here gets nothing."""
        port = self.home.rpartition(":")[2]
        for path in ("/", "/live", f"{API}/status"):
            answer = self.page.goto(f"http://{STRANGER}:{port}{path}")
            assert answer
            self.assertEqual(403, answer.status, path)

    def test_other_origin(self) -> None:
        """A page of another origin can read nothing, and open no WebSocket."""
        self.page.goto(f"http://127.0.0.1:{self.daemon.port}{API}/health")
        for path in ("/metrics", "/live", f"{API}/status"):
            with self.assertRaises(Error):
                self.page.evaluate("target => fetch(target)", f"{self.home}{path}")
        opened = self.page.evaluate(
            """target => new Promise((tell) => {
                const socket = new WebSocket(target);
                socket.onopen = () => tell("open");
                socket.onclose = () => tell("closed");
            })""",
            self.home.replace("http", "ws") + API,
        )
        self.assertEqual("closed", opened)


class ListenerTests(SynchronousTestCase):
    """The listener, without a browser."""

    def serve(self, *options: str, **environment: str) -> Daemon:
        """Start a daemon."""
        daemon = Daemon({**shared_servers().environment(), **environment}, *options)
        self.addCleanup(daemon.stop)
        return daemon

    def test_loopback(self) -> None:
        """Where nobody says where, it is on the loopback; the public port has no pages."""
        for options in ((), ("--workers=2",)):
            daemon = self.serve(*options, FLODGATT_ADMIN="tcp:0")
            host, _, port = admin_address(daemon).partition(":")
            self.assertEqual("127.0.0.1", host)
            self.assertEqual(200, get(int(port), "/")[0])
            self.assertEqual(
                [daemon.port], [int(each.rpartition(":")[2]) for each in daemon.addresses]
            )
            for path in ("/", "/console", "/live", "/token", f"{API}/status"):
                self.assertEqual(400, get(daemon.port, path)[0], path)

    def test_off(self) -> None:
        """Without the option there is none."""
        daemon = self.serve()
        self.assertNotIn("Administrators", daemon.log)

    def test_socket(self) -> None:
        """A UNIX socket is for the user alone."""
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "admin")
            daemon = self.serve("--workers=2", f"--admin=unix:{path}")
            self.assertEqual(str(path), admin_address(daemon))
            self.assertEqual(0o600, stat.S_IMODE(os.stat(path).st_mode))
            daemon.stop()
            self.assertFalse(path.exists())

    def test_reload(self) -> None:
        """It outlives a reload, at the same place, and tells of the new workers."""
        daemon = self.serve("--workers=2", "--admin=tcp:0")
        port = int(admin_address(daemon).rpartition(":")[2])
        daemon.process.send_signal(signal.SIGHUP)
        daemon.logs("Reloaded: 2 workers")
        target = f"{API}/status"
        code, _, body = get(port, target, Accept="application/json")
        self.assertEqual((200, 0), (code, json.loads(body)["total"]))
