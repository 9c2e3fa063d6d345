"""
Whose certificate is accepted, and what is said of the others; over TLS in memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions, PrivateCertificate
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.test import iosim
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from flodgatt_tx.edge.redis import CommandProtocol, redis_endpoint
from flodgatt_tx.edge.tls import UntrustedError, tls_problem
from flodgatt_tx.edge.trust import TrustError
from flodgatt_tx.redis_settings import RedisSettings
from tests.certificates import Authority
from tests.fakes import MemoryResolver

HOST = "redis.example"
PASSWORD = b"sesame" * 20_000  # so much that Twisted does not wait for more


class _Listening(Protocol):
    """What a server hears."""

    def __init__(self, heard: list[bytes]) -> None:
        self._heard = heard

    @override
    def dataReceived(self, data: bytes) -> None:
        self._heard.append(data)


class _Speaking(Protocol):
    """A client that says its password as soon as it may."""

    def __init__(self, ends: list[Failure]) -> None:
        self._ends = ends

    @override
    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.write(PASSWORD)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._ends.append(reason)


@dataclass
class Meeting:
    """What came of a client's meeting with a server."""

    received: list[bytes] = field(default_factory=list)
    ends: list[Failure] = field(default_factory=list)

    @property
    def heard(self) -> bytes:
        """What the server heard."""
        return b"".join(self.received)

    @property
    def problem(self) -> str:
        """Why they did not get along."""
        [end] = self.ends
        return str(tls_problem(end.value))


class TlsTestCase(SynchronousTestCase):
    """Two authorities, and a client that trusts the first."""

    def setUp(self) -> None:
        """Found them."""
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.authority = Authority(self.directory)
        self.stranger = Authority(self.directory, "stranger")
        self.clock = MemoryReactorClock()

    def settings(self, host: str = "127.0.0.1", **files: Any) -> RedisSettings:
        """Make settings of such a client."""
        return RedisSettings(host=host, tls=True, **{"tls_ca": str(self.authority.path), **files})

    def meet(
        self, server: tuple[Path, Path], settings: RedisSettings, protocol: Any = None
    ) -> Meeting:
        """Let a client and a server with such a certificate meet."""
        meeting = Meeting()
        endpoint = redis_endpoint(self.clock, settings, None)
        endpoint.connect(Factory.forProtocol(protocol or (lambda: _Speaking(meeting.ends))))
        [(_, _, factory, *_)] = self.clock.tcpClients
        self.clock.tcpClients.clear()
        client: Any = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        pair = b"".join(path.read_bytes() for path in server)
        listening = Factory.forProtocol(lambda: _Listening(meeting.received))
        options = PrivateCertificate.loadPEM(pair).options()
        built = TLSMemoryBIOFactory(options, False, listening, clock=self.clock).buildProtocol(None)
        ends = (iosim.FakeTransport(built, True), iosim.FakeTransport(client, False))
        pump = iosim.connect(built, ends[0], client, ends[1])
        for _ in range(6):
            pump.flush()
            self.clock.advance(0)
        return meeting

    def sign(self, *hosts: str, days: int = 10) -> tuple[Path, Path]:
        """Make a certificate of the authority that is trusted."""
        return self.authority.sign("server", *hosts, days=days)


class CertificateTests(TlsTestCase):
    """The server's certificate."""

    def named(self, name: str, server: tuple[Path, Path]) -> Meeting:
        """Meet a server by its name, at some address."""
        self.clock.installNameResolver(MemoryResolver({name: ["127.0.0.1"]}))
        return self.meet(server, self.settings(name))

    def test_good(self) -> None:
        """It has to be for the name or the address by which the server was reached."""
        for host in (HOST, "127.0.0.1"):
            meeting = self.named(host, self.sign(host))
            self.assertEqual((PASSWORD, []), (meeting.heard, meeting.ends), host)

    def test_wildcard(self) -> None:
        """A name may be one of many."""
        meeting = self.named("a.redis.example", self.sign("*.redis.example"))
        self.assertEqual(PASSWORD, meeting.heard)

    def test_other_name(self) -> None:
        """One for somebody else, or for nobody, is not good, and nothing is said to its owner."""
        for host, hosts in (
            (HOST, ("other.example", "127.0.0.1")),
            (HOST, ()),
            ("127.0.0.1", ("127.0.0.2", "localhost")),
            ("127.0.0.1", ()),
        ):
            meeting = self.named(host, self.sign(*hosts))
            self.assertEqual(f"its certificate is not for {host}", meeting.problem)
            self.assertEqual(b"", meeting.heard)

    def test_expired(self) -> None:
        """One that has expired is not good."""
        meeting = self.named(HOST, self.sign(HOST, days=-1))
        self.assertEqual("its certificate has expired", meeting.problem)
        self.assertEqual(b"", meeting.heard)

    def test_stranger(self) -> None:
        """One of an unknown authority is not good, even if it looks like one that is known."""
        namesake = Authority(self.directory / "..", "authority")
        self.addCleanup(namesake.path.unlink)
        for authority in (self.stranger, namesake):
            meeting = self.named(HOST, authority.sign("server", HOST))
            self.assertIn("its certificate is", meeting.problem)
            self.assertEqual(b"", meeting.heard)
        self.assertEqual(
            "its certificate is signed by no authority that is trusted",
            self.named(HOST, self.stranger.sign("server", HOST)).problem,
        )

    def test_told(self) -> None:
        """The log says what is wrong, in one line."""
        with capturedLogs() as events:
            self.meet(
                self.sign("127.0.0.2"),
                self.settings(),
                lambda: CommandProtocol(self.clock, [("AUTH", "x")], lambda _: None, lambda: None),
            )
        texts = [formatEvent(event) for event in events]
        self.assertIn("TLS with Redis has failed: its certificate is not for 127.0.0.1", texts)
        self.assertEqual([], [event for event in events if "log_failure" in event])


class ClientTests(TlsTestCase):
    """The client's own certificate, and what cannot be used."""

    def setUp(self) -> None:
        """Make one."""
        super().setUp()
        certificate, key = self.authority.sign("client")
        self.certificate, self.key = str(certificate), str(key)

    def refusal(self, **files: str) -> str:
        """Why a client cannot be made."""
        settings = self.settings(**files)
        error = self.assertRaises(TrustError, redis_endpoint, self.clock, settings, None)
        return str(error)

    def test_shown(self) -> None:
        """It is shown to a server; one file may hold certificate, chain and key."""
        joined = self.directory / "joined.pem"
        texts = (
            Path(each).read_text() for each in (self.certificate, self.authority.path, self.key)
        )
        joined.write_text("".join(texts))
        shown: list[Any] = []
        self.patch(CertificateOptions, "getContext", _watching(CertificateOptions, shown))
        for files in (
            {"tls_certificate": self.certificate, "tls_key": self.key},
            {"tls_certificate": str(joined)},
        ):
            redis_endpoint(self.clock, self.settings(**files), None)
        self.assertEqual(["client", "client"], [each.get_subject().CN for each in shown])

    def test_unreadable(self) -> None:
        """A file that is not there, holds nothing of use, or another key, is named."""
        broken, empty = self.directory / "broken.pem", self.directory / "empty.pem"
        broken.write_text("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
        empty.write_text("")
        _, other = self.stranger.sign("client")
        for expected, files in (
            ("/nowhere.pem cannot be read: No such file", {"tls_ca": "/nowhere.pem"}),
            (f"{broken} holds a certificate that is broken", {"tls_ca": str(broken)}),
            (f"{empty} holds no certificate in PEM", {"tls_certificate": str(empty)}),
            (
                f"{empty} holds no private key in PEM",
                {"tls_certificate": self.certificate, "tls_key": str(empty)},
            ),
            (
                f"{other} holds no key of the certificate in {self.certificate}",
                {"tls_certificate": self.certificate, "tls_key": str(other)},
            ),
        ):
            self.assertIn(expected, self.refusal(**files))

    def test_impossible_name(self) -> None:
        """A host that no certificate could be for is refused."""
        settings = self.settings("spa ce")
        error = self.assertRaises(TrustError, redis_endpoint, self.clock, settings, None)
        self.assertIn("spa ce is no name", str(error))


def _watching(kind: Any, shown: list[Any]) -> Any:
    """Take note of the certificates for which contexts are made."""
    original = kind.getContext

    def get_context(options: Any) -> Any:
        shown.append(options.certificate)
        return original(options)

    return get_context


class ProblemTests(SynchronousTestCase):
    """What is said of errors."""

    def test_problems(self) -> None:
        """OpenSSL's last word counts; what is not of TLS has none."""
        for error, expected in (
            (UntrustedError("its certificate is blue"), "its certificate is blue"),
            (SSL.Error([("SSL routines", "", "wrong version number")]), "wrong version number"),
            (SSL.Error([]), "TLS has failed"),
            (SSL.Error(), "TLS has failed"),
            (SSL.SysCallError(-1, "Unexpected EOF"), "TLS has failed"),
            (ValueError("odd"), None),
            (None, None),
        ):
            self.assertEqual(expected, tls_problem(error), repr(error))
