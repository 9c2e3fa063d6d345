"""
Tests for flodgatt_tx.load, without a network.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone

from flodgatt_tx.load.latencies import Latencies
from flodgatt_tx.load.ledger import Ledger
from flodgatt_tx.load.options import LoadOptions, Plan
from flodgatt_tx.load.plot import plot
from flodgatt_tx.load.publisher import write_message
from flodgatt_tx.load.readers import EVENT, EventStream, Listener
from flodgatt_tx.load.report import as_json, as_text, progress, results
from flodgatt_tx.load.target import Target, TargetError, find_target

URL = "http://127.0.0.1:4000"


class LatenciesTests(SynchronousTestCase):
    """Distributions."""

    def test_shares(self) -> None:
        """Shares are known to one in a hundred, the longest as it is."""
        latencies = Latencies()
        for number in range(1, 1001):
            latencies.add(number / 1000)
        middle, most, all_ = latencies.below([0.5, 0.99, 1])
        self.assertTrue(0.5 <= middle <= 0.5051, middle)
        self.assertTrue(0.99 <= most <= 1, most)
        self.assertEqual((1.0, 1.0, 1000), (all_, latencies.longest, latencies.count))

    def test_extremes(self) -> None:
        """None, one, and such as are no time at all."""
        latencies = Latencies()
        self.assertEqual([0.0, 0.0], latencies.below([0.5, 1]))
        latencies.add(-1.0)
        latencies.add(0.0)
        self.assertEqual([0.0], latencies.below([0.99]))
        latencies.add(0.25)
        self.assertAlmostEqual(1e-6, latencies.below([0.5])[0], 7)
        self.assertEqual([0.25], latencies.below([1]))


class LedgerTests(SynchronousTestCase):
    """What is owed, and lost."""

    def test_lost(self) -> None:
        """All that is published while somebody listens is owed to them."""
        ledger = Ledger()
        early = ledger.open(0.1)
        ledger.published = 4
        late = ledger.open(0.1)
        for number in (0, 1, 3):
            ledger.hear_ours(early, number, 1.0, 0.01)
        self.assertEqual((4, 1), (ledger.owed, ledger.lost))
        ledger.end(early, "gone")
        ledger.published = 10
        for number in range(4, 10):
            ledger.hear_ours(late, number, 2.0, 0.02)
        self.assertEqual((10, 1), (ledger.owed, ledger.lost))
        self.assertEqual((1, {"gone": 1}), (ledger.connected, dict(ledger.ended)))

    def test_repeated(self) -> None:
        """What comes twice makes up for nothing."""
        ledger = Ledger()
        account = ledger.open(0.1)
        ledger.published = 2
        ledger.hear_ours(account, 0, 1.0, 0.01)
        ledger.hear_ours(account, 0, 1.0, 0.01)
        self.assertEqual((1, 1), (ledger.lost, ledger.repeated))


class OptionsTests(SynchronousTestCase):
    """The command line."""

    def plan(self, *arguments: str) -> Plan:
        """What is to be done."""
        options: Any = LoadOptions()
        options.parseOptions(["--token-pattern", "t-{n}", *arguments, URL])
        planned: Plan = options.plan()
        return planned

    def test_defaults(self) -> None:
        """A URL and tokens are enough."""
        plan = self.plan("--readers", "2")
        self.assertEqual((["t-1", "t-2"], ("websocket",)), (plan.tokens, plan.transports))
        self.assertEqual(("public", "", None), (plan.stream, plan.query, plan.publishing))
        self.assertEqual(Target("127.0.0.1", "127.0.0.1", 4000), plan.target)

    def test_tokens(self) -> None:
        """Tokens come from a file or from a pattern."""
        path = Path(self.mktemp())
        path.write_text("a\nb\n\n")
        options: Any = LoadOptions()
        options.parseOptions(["--tokens", str(path), URL])
        self.assertEqual(["a", "b"], options.plan().tokens)
        path.write_text("\n")
        self.assertRaises(UsageError, options.plan)
        options.parseOptions(["--tokens", str(path), "--token-pattern", "x", URL])
        self.assertRaises(UsageError, options.plan)
        none: Any = LoadOptions()
        none.parseOptions([URL])
        self.assertRaises(UsageError, none.plan)

    def test_channels(self) -> None:
        """The channel is known where it follows from the stream."""
        redis = ("--redis", "redis://me:p%40ss@127.0.0.1:6380")
        for channel, *more in (
            ("timeline:public", "--transport=mixed"),
            ("timeline:public:remote:media", "--stream=public:remote:media"),
            ("timeline:hashtag:cats", "--stream=hashtag", "--tag=Cats"),
            ("timeline:hashtag:cats:local", "--stream=hashtag:local", "--tag=Cats"),
            ("timeline:1", "--stream=user", "--channel=timeline:1"),
        ):
            publishing = self.plan(*redis, *more).publishing
            assert publishing
            self.assertEqual(channel, publishing.channel)
            self.assertEqual(("me", "p@ss"), (publishing.user, publishing.password))
            self.assertEqual(6380, publishing.target.port)
        self.assertRaises(UsageError, self.plan, *redis, "--stream=user")

    def test_mistakes(self) -> None:
        """What makes no sense is refused, and so are options behind the URL."""
        self.assertRaises(UsageError, self.plan, "http://127.0.0.1", "--json")
        for mistake in (
            *("--transport=smoke", "--stream=nonsense", "--readers=0", "--rate=-1"),
            *("--duration=0", "--connect-rate=0", "--redis=http://127.0.0.1", "--duration=nan"),
        ):
            self.assertRaises(UsageError, self.plan, mistake)


class TargetTests(SynchronousTestCase):
    """Which server may be tested."""

    def test_loopback(self) -> None:
        """This machine may."""
        self.assertEqual("127.0.0.1:4000", find_target(URL, False).authority)
        self.assertEqual("[::1]:81", find_target("ws://[::1]:81", False).authority)
        self.assertEqual(443, find_target("wss://127.0.0.2/x/", False).port)
        self.assertEqual("/x", find_target("wss://127.0.0.2/x/", False).prefix)
        self.assertTrue(find_target("https://127.0.0.2", False).tls)

    def test_others(self) -> None:
        """Others may not, unless they are one's own."""
        for url in ("http://192.0.2.1", "https://[2001:db8::1]:4000", "redis://0.0.0.0"):
            self.assertRaises(TargetError, find_target, url, False)
        self.assertEqual("192.0.2.1", find_target("http://192.0.2.1", True).address)

    def test_mistakes(self) -> None:
        """What is no URL is refused."""
        for url in ("", "127.0.0.1:4000", "ftp://127.0.0.1", "http://", "http://127.0.0.1:x"):
            self.assertRaises(TargetError, find_target, url, True)

    def test_socket(self) -> None:
        """A UNIX socket is on this machine."""
        target = find_target("unix:/run/x", False)
        self.assertEqual(("localhost", "/run/x"), (target.authority, target.address))
        self.assertIsInstance(target.endpoint(MemoryReactorClock()), UNIXClientEndpoint)

    def test_checked_is_connected(self) -> None:
        """What is connected to is what was checked, whatever the name leads to later."""
        reactor = MemoryReactorClock()
        target = replace(find_target(URL, False), host="name.example")
        endpoint: Any = target.endpoint(reactor)
        endpoint.connect(None)
        self.assertEqual(("127.0.0.1", 4000), reactor.tcpClients[0][:2])


class ListenerTests(SynchronousTestCase):
    """One reader's bookkeeping."""

    def setUp(self) -> None:
        """Make one, which has been connecting for a while."""
        self.clock = Clock()
        self.ledger = Ledger()
        self.settled: list[bool] = []
        self.listener = Listener(self.ledger, self.clock, "run", lambda: self.settled.append(True))
        self.clock.advance(2)

    def test_opened(self) -> None:
        """Connecting is measured, and settles once."""
        self.listener.opened()
        self.listener.refused("401")
        self.assertEqual((2.0, [True]), (self.ledger.connects.longest, self.settled))
        self.assertEqual({}, self.ledger.refused)

    def test_refused(self) -> None:
        """Who is refused has not been cut off; the first cause counts."""
        self.listener.refused("401")
        self.listener.ended("connection lost")
        self.assertEqual(({"401": 1}, {}), (self.ledger.refused, self.ledger.ended))
        self.assertEqual([True], self.settled)

    def test_lost_while_connecting(self) -> None:
        """Who is cut off before being connected has been refused."""
        self.listener.ended("connection lost")
        self.assertEqual({"connection lost": 1}, self.ledger.refused)

    def test_ended(self) -> None:
        """An end counts once, and not at all when the test is over."""
        self.listener.opened()
        self.listener.ended("a")
        self.listener.ended("b")
        self.assertEqual({"a": 1}, self.ledger.ended)

    def hear(self, stream: EventStream, run: str, number: int) -> None:
        """Let a stream bring one of our messages, in pieces."""
        message = json.loads(write_message(run, number, 1.5, 500))
        self.assertEqual(EVENT, message["event"])
        data = json.dumps(message["payload"])
        text = f":thump\nevent: {message['event']}\ndata: {data}\n\n".encode()
        for at in range(0, len(text), 100):
            stream.dataReceived(text[at : at + 100])

    def test_stream(self) -> None:
        """Ours are recognised among all events; another run's are just events."""
        self.listener.opened()
        stream = EventStream(self.listener)
        stream.dataReceived(b":)\n\nevent: delete\ndata: 1\n\n")
        self.ledger.published = 1
        self.hear(stream, "other", 0)
        self.hear(stream, "run", 0)
        self.assertEqual(
            (3, 0, 0.5), (self.ledger.deliveries, self.ledger.lost, self.ledger.latencies.longest)
        )
        stream.connectionLost(Failure(ResponseDone()))
        EventStream(self.listener).connectionLost(Failure(ConnectionLost()))
        self.assertEqual({"the server ended the stream": 1}, self.ledger.ended)

    def test_size(self) -> None:
        """Messages are as long as they should be."""
        self.assertEqual(500, len(write_message("run", 7, 1.5, 500)))
        self.assertLess(len(write_message("run", 7, 1.5, 0)), 120)


class ReportTests(SynchronousTestCase):
    """What is told."""

    def results(self, *options: str, url: str = URL) -> dict[str, Any]:
        """The results of a test in which something went wrong."""
        given: Any = LoadOptions()
        given.parseOptions(["--token-pattern", "geheim", *options, url])
        plan = replace(given.plan(), url=url)
        ledger = Ledger()
        account = ledger.open(0.005)
        ledger.refuse("401")
        ledger.published = 2
        ledger.hear(12.5, 1000)
        ledger.hear_ours(account, 0, 12.5, 0.002)
        ledger.end(account, "closed with 1001")
        self.assertIn("1 deliveries, p50 2.0 ms", progress("measuring", plan, ledger))
        return results(plan, ledger, 10.2, 1.0, 5.0)

    def test_text(self) -> None:
        """Eyes get lines."""
        text = as_text(self.results("--redis=redis://127.0.0.1"))
        for line in (
            "Readers     1 of 100 connected in 1.0 s; each took p50 5.0 ms,",
            "Refused     1: 401",
            "Deliveries  1 in 5.0 s, 0.2 a second; 0.0 MB",
            "Latency     p50 2.0 ms, p95 2.0 ms, p99 2.0 ms, max 2.0 ms",
            "Lost        1 of 2; 0 came twice",
            "Cut off     1: closed with 1001",
        ):
            self.assertIn(line, text)

    def test_json(self) -> None:
        """Programs get numbers, and nobody gets tokens."""
        told = json.loads(as_json(self.results("--redis=redis://127.0.0.1")))
        self.assertEqual((1, 2, False), (told["lost"], told["owed"], told["good"]))
        self.assertEqual([2], [each["second"] for each in told["seconds"]])
        self.assertNotIn("geheim", as_json(told))

    def test_listening(self) -> None:
        """Without publishing nothing is said of losses and latencies."""
        found = self.results()
        self.assertIsNone(found["lost"])
        self.assertIn("not known", as_text(found))

    def test_plot(self) -> None:
        """The page stands alone, and what was given is text in it."""
        page = plot(self.results("--redis=redis://127.0.0.1", url="http://127.0.0.1:1/<script>"))
        self.assertIn("&lt;script&gt;", page)
        self.assertNotIn("<script", page)
        self.assertEqual(3, page.count("<polyline"))
        nothing = {**self.results(), "seconds": []}
        self.assertIn("Nothing was delivered.", plot(nothing))
