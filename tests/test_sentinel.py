"""
Finding the master through Sentinel, in memory.
"""

from __future__ import annotations

from typing import Any

from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionDone,
    ConnectionRefusedError,
    DNSLookupError,
)
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import AccumulatingProtocol, MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override
from zope.interface import implementer

from flodgatt_tx.edge.asking import Asking
from flodgatt_tx.edge.presence import Presence, keep_present
from flodgatt_tx.edge.pubsub import PubSub, keep_subscribed
from flodgatt_tx.edge.redis import greeting
from flodgatt_tx.edge.sentinel import DEADLINE, PAUSE, ROUNDS, SentinelEndpoint, SentinelError
from flodgatt_tx.edge.tls import UntrustedError
from flodgatt_tx.edge.trust import TrustError
from flodgatt_tx.redis_settings import RedisSettings
from tests.fakes import Heard, MemoryConnection, MemoryRedis

SENTINELS = (("s1", 1), ("s2", 2), ("s3", 3))
OLD, NEW = ("10.0.0.1", 6379), ("10.0.0.2", 6379)


class MemorySentinel(MemoryRedis):
    """A Sentinel that names a master; raw, if it shall say something else."""

    def __init__(self, clock: MemoryReactorClock, master: tuple[str, int] | None) -> None:
        super().__init__(clock)
        self.master = master
        self.raw: bytes | None = None

    @override
    def connect(self, protocol_factory: Any) -> Deferred[Any]:
        if not self.up:
            return fail(ConnectionRefusedError())
        protocol = protocol_factory.buildProtocol(None)
        self.connections.append(_SentinelConnection(self, protocol))
        return succeed(protocol)


class _SentinelConnection(MemoryConnection):
    """A connection to a Sentinel."""

    @override
    def obey(self, name: bytes, *arguments: bytes) -> None:
        sentinel: Any = self._redis
        if name != b"SENTINEL" or not self._authenticated:
            super().obey(name, *arguments)
        elif sentinel.raw is not None:
            sentinel.clock.callLater(0, self.deliver, sentinel.raw)
        elif sentinel.master and arguments == (b"get-master-addr-by-name", b"mine"):
            host, port = sentinel.master
            self.reply([host.encode(), str(port).encode()])
        else:
            sentinel.clock.callLater(0, self.deliver, b"*-1\r\n")


@implementer(IStreamClientEndpoint)
class Nowhere:
    """An endpoint that never connects, as HostnameEndpoint does when nothing answers."""

    def connect(self, protocolFactory: Any) -> Deferred[Any]:  # noqa: N803 # Twisted's
        """See `IStreamClientEndpoint`."""

        def cancel(connecting: Deferred[Any]) -> None:
            address: Any = None
            connecting.errback(ConnectingCancelledError(address))

        return Deferred(cancel)


@implementer(IStreamClientEndpoint)
class Broken:
    """An endpoint that fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def connect(self, protocolFactory: Any) -> Deferred[Any]:  # noqa: N803 # Twisted's
        """See `IStreamClientEndpoint`."""
        return fail(self.error)


class SentinelTestCase(SynchronousTestCase):
    """Three Sentinels, a master and a replica."""

    def setUp(self) -> None:
        """Start them."""
        self.clock = MemoryReactorClock()
        self.sentinels = [MemorySentinel(self.clock, OLD) for _ in SENTINELS]
        self.old, self.new = MemoryRedis(self.clock), MemoryRedis(self.clock)
        self.new.role = "slave"
        self.places: dict[tuple[str, int], Any] = dict(zip(SENTINELS, self.sentinels, strict=True))
        self.places |= {OLD: self.old, NEW: self.new}
        self.settings = RedisSettings(sentinels=SENTINELS, sentinel_master="mine")

    def endpoint(self, **settings: Any) -> SentinelEndpoint:
        """Make the endpoint."""
        for name, value in settings.items():
            object.__setattr__(self.settings, name, value)
        return SentinelEndpoint(
            self.clock, self.settings, lambda host, port: self.places[host, port]
        )

    def connecting(self, endpoint: SentinelEndpoint) -> Deferred[Any]:
        """Begin to connect."""
        connecting = endpoint.connect(Factory.forProtocol(Protocol))
        self.turn()
        return connecting

    def turn(self) -> None:
        """Let everything happen that takes no time."""
        for _ in range(8):
            self.clock.advance(0)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds / 0.1)):
            self.clock.advance(0.1)
        self.turn()

    def fail_over(self) -> None:
        """Let the replica become the master, and the master a replica, and tell all Sentinels."""
        self.old.role, self.new.role = "slave", "master"
        for sentinel in self.sentinels:
            sentinel.master = NEW

    def assert_reaches(self, redis: MemoryRedis, endpoint: SentinelEndpoint) -> None:
        """Fail unless connecting succeeds at once, there, and leaves no other connection."""
        before = len(redis.connections)
        self.successResultOf(self.connecting(endpoint))
        self.assertEqual(before + 1, len(redis.connections))
        for sentinel in self.sentinels:
            self.assertEqual([], sentinel.connections)

    def reason(self, endpoint: SentinelEndpoint | None = None) -> str:
        """Fail to connect, and return the reason."""
        connecting = self.connecting(endpoint or self.endpoint())
        self.wait(ROUNDS * (2 * DEADLINE + PAUSE))
        failure = self.failureResultOf(connecting, SentinelError)
        self.assertEqual([], self.clock.getDelayedCalls())
        return str(failure.value)


class FindingTests(SentinelTestCase):
    """Whom connections lead to."""

    def test_master(self) -> None:
        """To the master; who connects knows nothing of what was asked before."""
        self.assert_reaches(self.old, self.endpoint())
        self.assertEqual([["ROLE"]], self.old.commands)
        for sentinel in self.sentinels:
            self.assertEqual([["SENTINEL", "get-master-addr-by-name", "mine"]], sentinel.commands)

    def test_first_good_answer(self) -> None:
        """One Sentinel that answers is enough, and nobody waits for the others."""
        self.sentinels[0].up = False
        self.places[SENTINELS[1]] = Nowhere()
        self.assert_reaches(self.old, self.endpoint())
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_stale_sentinel(self) -> None:
        """Who names a master that has become a replica does not count."""
        self.fail_over()
        self.sentinels[0].master = OLD
        self.assert_reaches(self.new, self.endpoint())
        self.assertEqual([], self.old.connections)

    def test_stopped_master(self) -> None:
        """A master that has stopped is not waited for if another Sentinel knows better."""
        self.fail_over()
        self.old.role, self.old.hung = "master", {"ROLE"}
        self.sentinels[0].master = OLD
        self.assert_reaches(self.new, self.endpoint())
        self.assertEqual([], self.old.connections)

    def test_promotion(self) -> None:
        """Sentinels are asked again while a connection is being made."""
        self.old.hung = {"ROLE"}
        connecting = self.connecting(self.endpoint())
        self.assertNoResult(connecting)
        self.fail_over()
        self.wait(PAUSE + 0.1)
        self.successResultOf(connecting)
        self.assertEqual((0, 1), (len(self.old.connections), len(self.new.connections)))

    def test_credentials(self) -> None:
        """Sentinels and master have passwords of their own."""
        for sentinel in self.sentinels:
            sentinel.password = "whisper"
        self.old.password = "sesame"
        own = {"username": "u", "password": "sesame", "db": 3}
        theirs = {"sentinel_username": "s", "sentinel_password": "whisper"}
        self.assert_reaches(self.old, self.endpoint(**own, **theirs))
        self.assertEqual([["AUTH", "u", "sesame"], ["ROLE"]], self.old.commands)
        self.assertEqual(["AUTH", "s", "whisper"], self.sentinels[2].commands[0])

    def test_open_sentinel(self) -> None:
        """A Sentinel that wants no password does not mind one, for it may be Redis' own."""
        said = b"-ERR AUTH <password> called without any password configured for the default user"
        for sentinel in self.sentinels:
            sentinel.hung = {"AUTH"}
            sentinel.undone = []
        connecting = self.connecting(self.endpoint(sentinel_password="sesame"))
        answer = said + b".\r\n*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6379\r\n"
        for connection in list(self.sentinels[0].connections):
            connection.deliver(answer)
        self.turn()
        self.successResultOf(connecting)

    def test_log(self) -> None:
        """The log has each master once, however often it is found."""
        endpoint = self.endpoint()
        with capturedLogs() as events:
            for _ in range(3):
                self.successResultOf(self.connecting(endpoint))
            self.fail_over()
            self.successResultOf(self.connecting(endpoint))
        self.assertEqual(
            ["the master mine is 10.0.0.1:6379", "the master mine is 10.0.0.2:6379"],
            [formatEvent(event) for event in events],
        )


class FailingTests(SentinelTestCase):
    """What is said when there is no way."""

    def test_nobody(self) -> None:
        """Each Sentinel's fault is told."""
        errno = OSError(101, "Network is unreachable")
        self.places |= {
            SENTINELS[0]: Broken(DNSLookupError()),
            SENTINELS[1]: Broken(ConnectError(osError=errno)),
            SENTINELS[2]: Nowhere(),
        }
        self.assertEqual(
            "the Sentinel s1:1 has a host name that is not known; "
            "the Sentinel s2:2 cannot be reached: [Errno 101] Network is unreachable; "
            "the Sentinel s3:3 does not answer within 2 s",
            self.reason(),
        )

    def test_odd(self) -> None:
        """So is one that refuses, hangs up, speaks something else, or shows a bad certificate."""
        self.sentinels[0].password = "other"
        self.sentinels[1].raw = b"HTTP/1.1 400 Bad Request\r\n"
        self.places[SENTINELS[2]] = Broken(UntrustedError("its certificate has expired"))
        self.assertEqual(
            "the Sentinel s1:1 refuses: NOAUTH Authentication required.; "
            "the Sentinel s2:2 does not answer as it should (ProtocolError); "
            "the Sentinel s3:3 cannot be reached over TLS: its certificate has expired",
            self.reason(),
        )

    def test_hangs_up(self) -> None:
        """One that hangs up is no good."""
        self.sentinels[0].hung = {"SENTINEL"}
        connecting = self.connecting(self.endpoint(sentinels=SENTINELS[:1]))
        for _ in range(ROUNDS):
            self.sentinels[0].cut()
            self.sentinels[0].undone.clear()
            self.wait(PAUSE + 0.1)
        failure = self.failureResultOf(connecting, SentinelError)
        self.assertEqual("the Sentinel s1:1 hangs up", str(failure.value))

    def test_unknown_master(self) -> None:
        """A name that no Sentinel knows is told, and so is nonsense."""
        self.sentinels[0].master = None
        self.sentinels[1].raw = b"*2\r\n$1\r\na\r\n$1\r\nb\r\n"
        reason = self.reason(self.endpoint(sentinels=SENTINELS[:2]))
        self.assertEqual(
            "the Sentinel s1:1 knows no master called mine; "
            "the Sentinel s2:2 knows no master called mine",
            reason,
        )

    def test_hostile(self) -> None:
        """Whatever a Sentinel says, there is a reason, and no other failure."""
        long = b"9" * 5000
        for raw in (
            b"*2\r\n$1\r\na\r\n$%d\r\n%b\r\n" % (len(long), long),
            b"*2\r\n$2\r\n\xff\xfe\r\n$1\r\n1\r\n",
            b"*2\r\n$3\r\na b\r\n$1\r\n1\r\n",
            b"*1\r\n*1\r\n*0\r\n",
            b":1\r\n",
            b"$-1\r\n",
            b"\x16\x03\x01",
        ):
            self.setUp()
            for sentinel in self.sentinels:
                sentinel.raw = raw
            self.places["a b", 1] = Broken(ValueError("invalid hostname: a b"))
            self.assertIn("Sentinel", self.reason(), raw)

    def test_unreachable_name(self) -> None:
        """A name that cannot even be tried is told like others."""

        def reach(host: str, port: int) -> Any:
            if host.startswith("s"):
                return self.places[host, port]
            raise TrustError("no name")

        endpoint = SentinelEndpoint(self.clock, self.settings, reach)
        self.assertIn("does not answer as it should (TrustError)", self.reason(endpoint))

    def test_no_master(self) -> None:
        """What is wrong with whom they name is told once."""
        who = "Redis at 10.0.0.1:6379, whom Sentinel names,"
        self.old.role = "slave"
        self.assertEqual(f"{who} is no master", self.reason())
        self.old.hung = {"ROLE"}
        self.assertEqual(f"{who} does not answer within 2 s", self.reason())
        self.old.up = False
        self.assertEqual(f"{who} refuses connections", self.reason())

    def test_refused_by_master(self) -> None:
        """So is a refusal, without what was sent."""
        self.old.password = "right"
        reason = self.reason(self.endpoint(password="wrong"))
        self.assertIn("whom Sentinel names, refuses: WRONGPASS", reason)

    def test_quoting(self) -> None:
        """An old Sentinel quotes what it does not understand; we do not."""
        self.sentinels[0].hung = {"AUTH"}
        connecting = self.connecting(
            self.endpoint(sentinels=SENTINELS[:1], sentinel_password="hush")
        )
        for _ in range(ROUNDS):
            for connection in list(self.sentinels[0].connections):
                said = b"-ERR unknown command `AUTH`, with args beginning with: `hush`, \r\n"
                connection.deliver(said)
            self.wait(PAUSE + 0.1)
        failure = self.failureResultOf(connecting, SentinelError)
        self.assertEqual(
            "the Sentinel s1:1 refuses: ERR unknown command `AUTH`", str(failure.value)
        )

    def test_log(self) -> None:
        """The log has each reason once, and the end of the trouble."""
        endpoint = self.endpoint()
        self.successResultOf(self.connecting(endpoint))
        self.old.up = False
        with capturedLogs() as events:
            for _ in range(3):
                self.reason(endpoint)
            self.old.up = True
            self.successResultOf(self.connecting(endpoint))
        self.assertEqual(
            [
                "no way to Redis: Redis at 10.0.0.1:6379, whom Sentinel names, refuses connections",
                "the master mine is 10.0.0.1:6379",
            ],
            [formatEvent(event) for event in events],
        )

    def test_given_up(self) -> None:
        """Who gives up connecting leaves nothing behind, and no complaint."""
        for hung, where in (({"SENTINEL"}, SENTINELS), ({"ROLE"}, (OLD,))):
            self.setUp()
            for place in where:
                self.places[place].hung = hung
            with capturedLogs() as events:
                connecting = self.connecting(self.endpoint())
                connecting.addErrback(lambda failure: None)
                connecting.cancel()
                self.turn()
            self.assertTrue(connecting.called)
            self.assertEqual([], events)
            self.assertEqual([], self.clock.getDelayedCalls())
            for place in where:
                self.assertEqual([], self.places[place].connections)

    def test_given_up_before_there_is_anything(self) -> None:
        """The same holds while nothing answers."""
        for place in SENTINELS:
            self.places[place] = Nowhere()
        connecting = self.connecting(self.endpoint())
        connecting.addErrback(lambda failure: None)
        connecting.cancel()
        self.assertTrue(connecting.called)
        self.assertEqual([], self.clock.getDelayedCalls())


class FailoverTests(SentinelTestCase):
    """Both connections through a failover."""

    def setUp(self) -> None:
        """Connect both."""
        super().setUp()
        endpoint = self.endpoint()
        hello = [*greeting(self.settings), ("PING",)]
        self.heard = Heard()
        self.pubsub, self.presence = PubSub(self.clock, self.heard), Presence(self.clock)
        services: list[ClientService] = [
            keep_subscribed(self.clock, endpoint, hello, self.pubsub),
            keep_present(self.clock, endpoint, hello, self.presence),
        ]
        for service in services:
            service.startService()
            self.addCleanup(service.stopService)
        self.pubsub.open(["timeline:1"])
        self.presence.hold(["subscribed:timeline:1"])
        self.turn()
        self.assertEqual({"timeline:1"}, self.old.channels())

    def assert_at_new(self) -> None:
        """Fail unless everything is at the new master, and events come from there."""
        self.assertEqual([], self.old.connections)
        self.assertEqual({"subscribed:timeline:1"}, set(self.new.keys))
        self.new.publish("timeline:1", b"hello")
        self.assertEqual([("timeline:1", b"hello")], self.heard)

    def test_crash(self) -> None:
        """The master dies; two seconds after the promotion all is at the new one."""
        self.old.up = False
        self.old.cut()
        self.wait(9)
        self.fail_over()
        self.wait(2)
        self.assert_at_new()

    def test_demoted(self) -> None:
        """The master is made a replica, and its clients are sent away."""
        self.fail_over()
        self.old.cut()
        self.wait(2)
        self.assert_at_new()

    def test_demoted_before_anybody_knows(self) -> None:
        """The old master is not used again, though the Sentinels still name it."""
        self.old.role = "slave"
        self.old.cut()
        self.wait(5)
        self.assertEqual(set(), self.old.channels())
        self.fail_over()
        self.wait(2)
        self.assert_at_new()


class _Builder:
    """Builds one protocol, and is not told of it."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol

    def buildProtocol(self, addr: object) -> Protocol:  # noqa: N802 # Twisted's
        """See `IProtocolFactory`."""
        return self.protocol


class AskingTests(SynchronousTestCase):
    """A connection that asks before anything else."""

    def test_hang_up(self) -> None:
        """It is ended once only: Twisted's TLS fails where there is no connection any more."""
        for lost in (False, True):
            asking, transport = Asking([("PING",)]), StringTransport()
            asking.makeConnection(transport)
            asking.answered.addErrback(lambda failure: None)
            if lost:
                asking.connectionLost(Failure(ConnectionDone()))
            asking.hang_up()
            self.assertEqual(not lost, transport.disconnecting)

    def test_hand_over(self) -> None:
        """Who has it afterwards hears all that comes, and its end."""
        asking, transport, owner = Asking([("PING",)]), StringTransport(), AccumulatingProtocol()
        asking.makeConnection(transport)
        asking.dataReceived(b"+PONG\r\n")
        self.successResultOf(asking.answered)
        asking.continue_with(_Builder(owner))
        asking.dataReceived(b"data")
        self.assertEqual((b"data", transport), (owner.data, owner.transport))
        asking.connectionLost(Failure(ConnectionDone()))
        self.assertTrue(owner.closed)
