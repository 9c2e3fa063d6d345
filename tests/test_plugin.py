"""
What `twistd flodgatt` finds, and what it runs.
"""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.application.service import IServiceMaker, MultiService
from twisted.internet.address import IPv4Address
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge import tap
from flodgatt_tx.edge.database import Pool
from flodgatt_tx.edge.listeners import Listeners
from flodgatt_tx.edge.metrics import render
from flodgatt_tx.edge.namespace import NamespacedServices
from flodgatt_tx.edge.options import Options
from flodgatt_tx.edge.shutdown import Shutdown
from tests.fakes import MemoryResolver


class PluginTests(SynchronousTestCase):
    """What twistd finds."""

    def test_found(self) -> None:
        """There is one service called `flodgatt`."""
        [maker] = [each for each in getPlugins(IServiceMaker) if each.tapname == "flodgatt"]
        self.assertIs(Options, maker.options)
        self.assertIs(tap.makeService, maker.makeService)


class ServiceTests(SynchronousTestCase):
    """From options to services."""

    def setUp(self) -> None:
        """Make a reactor."""
        self.reactor = MemoryReactorClock()
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def made(self, *arguments: str, **environ: str) -> MultiService:
        """Make the service for a command line and an environment."""
        options = Options(environ, self.directory)
        # As twistd has it, with `-n --logfile=-`.
        options.parent = {"nodaemon": True, "logfile": "-"}  # type: ignore[assignment]
        options.parseOptions(arguments)
        return tap.makeService(options, self.reactor)

    def refusal(self, *arguments: str, **environ: str) -> str:
        """What is said when no service can be made."""
        said = StringIO()
        self.patch(sys, "__stderr__", said)
        error = self.assertRaises(SystemExit, self.made, *arguments, **environ)
        self.assertEqual(1, error.code)
        return said.getvalue()

    def start(self, service: MultiService) -> None:
        """Start it, and end it with the test."""
        service.privilegedStartService()
        service.startService()
        self.addCleanup(service.stopService)

    def child(self, service: MultiService, kind: type[Any]) -> Any:
        """The child of a kind."""
        [child] = [each for each in service if isinstance(each, kind)]
        return child

    def test_services(self) -> None:
        """The server is a service of services."""
        service = self.made()
        self.assertEqual("flodgatt", service.name)
        for kind in (Pool, NamespacedServices, Listeners, Shutdown):
            self.child(service, kind)

    def test_tcp(self) -> None:
        """It listens where it is told to, and connects to Redis twice."""
        self.reactor.installNameResolver(MemoryResolver({"redis.example": ["10.0.0.7"]}))
        url = "redis://redis.example:77"
        self.start(self.made("--port", "4567", BIND="127.0.0.2", REDIS_URL=url))
        [(port, factory, _, interface)] = self.reactor.tcpServers
        self.assertEqual((4567, "127.0.0.2"), (port, interface))
        self.assertEqual(
            [("10.0.0.7", 77)] * 2, [(host, port) for host, port, *_ in self.reactor.tcpClients]
        )
        protocol: Any = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        self.assertEqual("Entrance", type(protocol).__name__)

    def test_listen(self) -> None:
        """Twisted's descriptions can be given, several of them."""
        self.start(self.made("--listen", "tcp:1", "--listen", "unix:/run/x:lockfile=0"))
        self.assertEqual([(1, 4096)], [each[:1] + each[2:3] for each in self.reactor.tcpServers])
        self.assertEqual(["/run/x"], [path for path, *_ in self.reactor.unixServers])

    def test_bad_listen(self) -> None:
        """One that is none is a mistake of the command line."""
        self.assertIn("--listen", self.refusal("--listen", "moon:1"))

    def test_sentinel(self) -> None:
        """Where there are Sentinels both connections ask them, and another listens to each."""
        sentinels = {"REDIS_SENTINELS": "10.0.0.1,10.0.0.2:9", "REDIS_SENTINEL_MASTER": "m"}
        self.start(self.made(**sentinels))
        self.assertEqual([26379, 9] * 3, [port for _, port, *_ in self.reactor.tcpClients])

    def test_certificates(self) -> None:
        """Certificates that cannot be read are told in one line."""
        files = {"FLODGATT_REDIS_TLS": "true", "FLODGATT_REDIS_CA": "/nowhere.pem"}
        self.assertEqual(
            "flodgatt: /nowhere.pem cannot be read: No such file or directory\n",
            self.refusal(**files),
        )

    def test_namespace(self) -> None:
        """A namespace from the environment waits for the database; one from an option does not."""
        self.start(self.made(REDIS_NAMESPACE="cats", REDIS_HOST="127.0.0.1", DB_HOST="/nowhere"))
        self.assertEqual([], self.reactor.tcpClients)
        self.start(self.made("--redis-namespace", "cats", REDIS_HOST="127.0.0.1"))
        self.assertEqual(2, len(self.reactor.tcpClients))

    def test_pool_metrics(self) -> None:
        """The pool's numbers are among the metrics."""
        service = self.made()
        site = self.child(service, Listeners)._factory.site
        rendered = render({"": site.resource.api.metrics.families()}).decode()
        for name in ("total_connections", "idle_connections", "waiting_queries"):
            self.assertIn(f"pg_pool_{name} 0.0", rendered)
        self.assertIn("redis_subscriptions 0.0", rendered)

    def test_announced(self) -> None:
        """What has an effect is logged when it runs, without secrets, and so are warnings."""
        service = self.made(DB_PASS="hush", DATABASE_URL="postgres://me:psst@h/db", DB_HOST="x")
        with capturedLogs() as events:
            self.reactor.run()
        self.assertTrue(service)
        texts = str([{**event, "log_logger": None, "log_source": None} for event in events])
        self.assertIn("DATABASE_URL", texts)
        for secret in ("hush", "psst"):
            self.assertNotIn(secret, texts)

    def test_failing(self) -> None:
        """An address that cannot be had ends a foreground process with one line."""
        path = self.directory / "taken"
        path.write_text("")
        service = self.made(SOCKET=str(path))
        self.patch(sys, "__stderr__", terminal := StringIO())
        error = self.assertRaises(SystemExit, service.privilegedStartService)
        self.assertEqual(1, error.code)
        self.assertEqual(
            f"flodgatt: cannot listen on {path}: it is there, and it is no socket\n",
            terminal.getvalue(),
        )

    def test_failing_daemon(self) -> None:
        """A daemon tells twistd, which tells the terminal."""
        error = self.assertRaises(RuntimeError, tap._failing({}), "sorry")
        self.assertEqual("sorry", str(error))

    def test_failing_with_pidfile(self) -> None:
        """A process that gives up takes its pidfile with it."""
        self.patch(sys, "__stderr__", StringIO())
        pidfile = self.directory / "pid"
        pidfile.write_text("1")
        twistd = {"nodaemon": True, "pidfile": str(pidfile)}
        self.assertRaises(SystemExit, tap._failing(twistd), "sorry")
        self.assertFalse(pidfile.exists())
