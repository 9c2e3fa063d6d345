"""
Limits of the real daemon, behind something that says whom it asks for.
"""

from __future__ import annotations

import contextlib
import resource
import socket

from twisted.trial.unittest import SynchronousTestCase
from websockets.exceptions import InvalidStatus

from tests.integration.site import (
    API,
    PATIENCE,
    Daemon,
    Socket,
    eventually,
    get,
    shared_rails,
    shared_servers,
)

ONE = "203.0.113.1"
OTHER = "2001:db8::1"


class LimitsTestCase(SynchronousTestCase):
    """A test with a daemon of its own."""

    def start(self, **settings: str) -> Daemon:
        """Start a daemon, with somebody who listens."""
        self.rails = shared_rails()
        self.daemon = Daemon({**shared_servers().environment(), **settings})
        self.addCleanup(self.daemon.stop)
        self.person = self.rails.person()
        return self.daemon

    def listen(self, address: str) -> Socket:
        """Open a WebSocket for somebody at an address."""
        headers = {"X-Forwarded-For": address} if address else {}
        target = f"{API}?stream=user"
        client = Socket(self.daemon.port, target, self.person.token, headers)
        self.addCleanup(client.close)
        return client

    def refusal(self, address: str) -> tuple[int, str, str]:
        """Be refused; return status, reason, and the seconds to wait."""
        response = self.assertRaises(InvalidStatus, self.listen, address).response
        return (
            response.status_code,
            response.headers["X-Error-Message"],
            response.headers["Retry-After"],
        )

    def stream(self, address: str, token: str) -> tuple[int, str | None]:
        """Ask for a stream that is refused; return the status and the seconds to wait."""
        headers = {"X-Forwarded-For": address, "Authorization": f"Bearer {token}"}
        status, headers_back, _ = get(self.daemon.port, f"{API}/user", **headers)
        return status, headers_back["Retry-After"]

    def assert_hears(self, client: Socket) -> None:
        """Fail unless what is published now is the next thing that comes."""
        self.rails.hears_of(self.person.home)
        self.rails.publish(self.person.home, "delete", "7")
        self.assertEqual("delete", client.hears()["event"])


class AddressTests(LimitsTestCase):
    """Clients behind a proxy on the same machine."""

    def test_connections(self) -> None:
        """So many of one client's, whatever it says itself; nobody else is hindered."""
        self.start(FLODGATT_MAX_CONNECTIONS_PER_ADDRESS="2")
        clients = [self.listen(ONE), self.listen(f"198.51.100.1, {ONE}")]
        for said in (ONE, f"198.51.100.2, {ONE}", f"{ONE}, 10.0.0.1"):
            self.assertEqual((429, "Too many connections", "30"), self.refusal(said))
            self.assertEqual((429, "30"), self.stream(said, self.person.token))
        clients += [self.listen(each) for each in (OTHER, OTHER, "", "", "")]
        self.rails.hears_of(self.person.home)
        self.rails.publish(self.person.home, "delete", "7")
        self.assertEqual(["delete"] * 7, [client.hears()["event"] for client in clients])
        self.assertEqual(6, self.daemon.metric("connections_refused_total", reason="address"))
        for client in clients:
            client.close()
        self.daemon.is_left()
        self.assert_hears(self.listen(ONE))
        self.assertNotIn(ONE, self.daemon.log)

    def test_failed_logins(self) -> None:
        """Who has tried too many tokens has to wait, with a good one too."""
        self.start(FLODGATT_MAX_FAILED_LOGINS="2")
        for _ in range(2):
            self.assertEqual((401, None), self.stream(ONE, "wrong"))
        status, message, wait = self.refusal(ONE)
        self.assertEqual((429, "Too many failed logins"), (status, message))
        self.assertTrue(50 <= int(wait) <= 60, wait)
        self.assert_hears(self.listen(OTHER))

    def test_messages(self) -> None:
        """Who says too much is sent away with a code."""
        self.start(FLODGATT_MAX_MESSAGES_PER_SECOND="1")
        client, other = self.listen(ONE), self.listen(OTHER)
        for _ in range(11):
            client.say({"type": "unsubscribe", "stream": "public"})
        self.assertEqual(1008, client.close_code())
        self.assert_hears(other)


class FullTests(LimitsTestCase):
    """A daemon without room."""

    def knock(self, number: int) -> list[socket.socket]:
        """Open so many connections that say nothing."""
        opened = []
        for _ in range(number):
            client = socket.create_connection(("127.0.0.1", self.daemon.port), timeout=PATIENCE)
            self.addCleanup(client.close)
            opened.append(client)
        return opened

    def test_full(self) -> None:
        """Clients are told so, health checks are answered, and there is room when one leaves."""
        self.start(FLODGATT_MAX_CONNECTIONS="3")
        inside = self.listen(ONE)
        silent = self.knock(2)
        message = "Service temporarily unavailable"
        self.assertEqual((503, message, "5"), self.refusal(OTHER))
        self.assertEqual(200, get(self.daemon.port, f"{API}/health")[0])
        self.assert_hears(inside)
        silent.pop().close()
        eventually(lambda: self.daemon.metric("open_connections") == 3, "one has left")
        self.assert_hears(self.listen(OTHER))

    def test_derived(self) -> None:
        """How many may connect follows from the files that may be open, and is logged."""
        self.start()
        _, hard = resource.prlimit(self.daemon.process.pid, resource.RLIMIT_NOFILE)
        self.daemon.logs(f"{hard} files may be open, and {max(hard - 266, hard // 2)} connections")

    def test_no_files(self) -> None:
        """Where files run out, whoever listens goes on, and others come in when there are some."""
        self.start(FLODGATT_MAX_CONNECTIONS="0")
        inside = self.listen(ONE)
        self.assert_hears(inside)
        files = int(self.daemon.metric("process_open_fds"))
        _, hard = resource.prlimit(self.daemon.process.pid, resource.RLIMIT_NOFILE)
        few = (files + 10, hard)
        resource.prlimit(self.daemon.process.pid, resource.RLIMIT_NOFILE, few)
        crowd = self.knock(60)
        self.assert_hears(inside)
        cut_off = 0
        for client in crowd:
            client.settimeout(0.05)
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                cut_off += client.recv(1) == b""
        self.assertGreater(cut_off, 30)
        for client in crowd:
            client.close()
        eventually(lambda: self.daemon.metric("open_connections") == 2, "the crowd has left")
        self.assert_hears(self.listen(OTHER))
        self.daemon.is_well()
