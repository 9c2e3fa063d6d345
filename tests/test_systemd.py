"""
What systemd is told, over real sockets.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.systemd import PERIOD, Notifier


class NotifierTests(SynchronousTestCase):
    """A service, and the socket that systemd listens at."""

    def setUp(self) -> None:
        """Listen."""
        folder = tempfile.TemporaryDirectory(prefix="flodgatt-")
        self.addCleanup(folder.cleanup)
        self.path = str(Path(folder.name) / "notify")

    def listen(self, address: str) -> None:
        """Be systemd."""
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.addCleanup(self.systemd.close)
        self.systemd.bind(address)

    def heard(self) -> list[str]:
        """What systemd has been told since it was asked last."""
        found = []
        while True:
            try:
                found.append(self.systemd.recv(4096).decode())
            except BlockingIOError:
                return found

    def start(self, environ: Mapping[str, str]) -> Notifier:
        """Start the service, and let its reactor run."""
        self.clock = MemoryReactorClock()
        notifier = Notifier(self.clock, lambda: "7 clients", environ)
        notifier.startService()
        self.addCleanup(self.stop, notifier, self.clock)
        self.clock.run()
        return notifier

    def stop(self, notifier: Notifier, clock: MemoryReactorClock) -> None:
        """Stop the service; fail if anything is left."""
        notifier.stopService()
        self.assertEqual([], clock.getDelayedCalls())

    def test_ready(self) -> None:
        """It says that it is ready, how it is, and that it goes."""
        self.listen(self.path)
        notifier = self.start({"NOTIFY_SOCKET": self.path})
        self.assertEqual(["READY=1", "STATUS=7 clients"], self.heard())
        self.clock.advance(PERIOD)
        self.assertEqual(["STATUS=7 clients"], self.heard())
        notifier.leave()
        self.assertEqual(["STOPPING=1"], self.heard())

    def test_not_before(self) -> None:
        """Before the reactor runs nothing is ready."""
        self.listen(self.path)
        notifier = Notifier(MemoryReactorClock(), lambda: "", {"NOTIFY_SOCKET": self.path})
        notifier.startService()
        notifier.stopService()
        self.assertEqual([], self.heard())

    def test_abstract(self) -> None:
        """The socket may be an abstract one."""
        self.listen(f"\0{self.path}")
        self.start({"NOTIFY_SOCKET": f"@{self.path}"})
        self.assertEqual("READY=1", self.heard()[0])

    def test_watchdog(self) -> None:
        """The watchdog has its sign of life twice as often as it wants one."""
        self.listen(self.path)
        for pid in ({}, {"WATCHDOG_PID": str(os.getpid())}):
            environ = {"NOTIFY_SOCKET": self.path, "WATCHDOG_USEC": "4000000", **pid}
            notifier = self.start(environ)
            self.assertEqual(["READY=1", "WATCHDOG=1\nSTATUS=7 clients"], self.heard())
            self.clock.pump([1] * 4)
            self.assertEqual(["WATCHDOG=1\nSTATUS=7 clients"] * 2, self.heard())
            notifier.stopService()

    def test_long_watchdog(self) -> None:
        """One that is patient does not keep the state from being told."""
        self.listen(self.path)
        self.start({"NOTIFY_SOCKET": self.path, "WATCHDOG_USEC": "600000000"})
        self.heard()
        self.clock.advance(PERIOD)
        self.assertEqual(["WATCHDOG=1\nSTATUS=7 clients"], self.heard())

    def test_no_watchdog(self) -> None:
        """A watchdog that waits for somebody else, or for nobody knows what, is not fed."""
        self.listen(self.path)
        for watchdog in (
            {"WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "1"},
            {"WATCHDOG_USEC": "soon"},
        ):
            notifier = self.start({"NOTIFY_SOCKET": self.path, **watchdog})
            self.assertEqual(["READY=1", "STATUS=7 clients"], self.heard())
            notifier.stopService()

    def test_nobody(self) -> None:
        """Without systemd nothing is said."""
        notifier = self.start({})
        notifier.leave()
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_gone(self) -> None:
        """A systemd that cannot be reached is a warning and no more."""
        with capturedLogs() as events:
            self.start({"NOTIFY_SOCKET": self.path}).leave()
        self.assertIn(
            "systemd could not be told: No such file or directory",
            [formatEvent(event) for event in events],
        )
