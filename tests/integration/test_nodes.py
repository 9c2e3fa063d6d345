"""
Several machines as one server: two nodes of two workers each, one Redis, one PostgreSQL, a proxy.
"""

from __future__ import annotations

import os
import signal
from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.crowd import Crowd, allow_files
from tests.integration.proxies import HAProxy, Nginx, Proxy
from tests.integration.site import (
    API,
    Daemon,
    EventSource,
    Person,
    Socket,
    eventually,
    get,
    shared_rails,
    shared_servers,
)

OPEN = {"FLODGATT_MAX_CONNECTIONS_PER_ADDRESS": "0", "LOG_LEVEL": "info"}


class NodesTestCase(SynchronousTestCase):
    """Two nodes that share nothing but Redis and PostgreSQL."""

    proxy_class: type[Proxy] = Nginx

    def setUp(self) -> None:
        """Start them, and the proxy before them."""
        allow_files()
        self.rails = shared_rails()
        environment = {**shared_servers().environment(), **OPEN}
        self.nodes = [Daemon(environment, "--workers=2") for _ in range(2)]
        for node in self.nodes:
            self.addCleanup(node.stop)
        self.proxy = self.proxy_class([f"127.0.0.1:{node.port}" for node in self.nodes])
        self.addCleanup(self.proxy.stop)
        self.crowd = Crowd()
        self.addCleanup(self.crowd.leave)

    def gather(self, count: int, person: Person) -> None:
        """Let so many come by way of the proxy, half of them over WebSocket."""
        for number in range(count):
            transport = "websocket" if number % 2 else "sse"
            self.crowd.join(self.proxy.port, person.token, transport)
        members = self.crowd.members
        self.crowd.until(lambda: all(each.greeted for each in members), "all are greeted")

    def clients(self, node: Daemon) -> float:
        """Count the readers of one node."""
        return node.metric("connected_clients")

    def has(self, node: Daemon, count: int) -> bool:
        """Whether a node has so many readers."""
        return self.clients(node) >= count

    def all_hear(self, person: Person, word: str) -> None:
        """Publish, and wait until everybody who is still there has heard it."""
        self.rails.publish(person.home, word, {"id": word})
        here = [each for each in self.crowd.members if not each.over]
        self.crowd.until(
            lambda: all(word.encode() in each.received for each in here), f"all hear {word}"
        )


class NginxTests(NodesTestCase):
    """Behind nginx."""

    def test_readers_everywhere(self) -> None:
        """Both nodes get readers, all of them hear everything, and `kill` reaches them all."""
        person, other = self.rails.person(), self.rails.person()
        self.gather(80, person)
        for node in self.nodes:
            eventually(partial(self.has, node, 20), "a good part of the readers")
        for word in ("first", "second"):
            self.all_hear(person, word)
        stays = Socket(self.proxy.port, f"{API}?stream=user", other.token)
        self.rails.revoke(person)
        members = self.crowd.members
        self.crowd.until(lambda: all(each.told_to_leave for each in members), "all are told")
        self.rails.publish(other.home, "update", {"id": "1"})
        self.assertEqual("update", stays.hears()["event"])
        stays.close()

    def test_presence(self) -> None:
        """Rails publishes for somebody as long as any node has the reader."""
        person = self.rails.person()
        first, second = (
            EventSource(node.port, f"{API}/user", {"Authorization": f"Bearer {person.token}"})
            for node in self.nodes
        )
        key = f"subscribed:{person.home}"
        eventually(lambda: self.rails.redis("EXISTS", key), "the key is there")
        first.close()
        eventually(lambda: not self.clients(self.nodes[0]), "the first node has nobody")
        self.assertGreater(self.rails.redis("TTL", key), 360)
        self.rails.push(person.home, "update", {"id": "1"})
        self.assertEqual(("update", '{"id":"1"}'), second.hears())
        second.close()

    def test_lost_node(self) -> None:
        """With a node only its own connections are lost, and who returns is served at once."""
        person = self.rails.person()
        self.gather(80, person)
        lost, left = self.nodes
        here = self.clients(left)
        os.killpg(lost.process.pid, signal.SIGKILL)
        members = self.crowd.members
        gone = 80 - int(here)
        self.crowd.until(lambda: sum(each.over for each in members) == gone, "some are gone")
        for _ in range(gone):
            self.crowd.join(self.proxy.port, person.token, "sse")
        back = self.crowd.members[80:]
        self.crowd.until(lambda: all(each.greeted for each in back), "all are back")
        self.all_hear(person, "after")
        self.assertEqual(80, self.clients(left))

    def test_only_streaming(self) -> None:
        """What is not streaming is not passed on."""
        self.assertEqual(200, get(self.proxy.port, f"{API}/health")[0])
        self.assertEqual(404, get(self.proxy.port, "/metrics")[0])


class HAProxyTests(NodesTestCase):
    """Behind HAProxy."""

    proxy_class = HAProxy

    def test_readers_everywhere(self) -> None:
        """Both nodes get readers, all of them hear everything; one that leaves gets nobody new."""
        person = self.rails.person()
        self.gather(40, person)
        for node in self.nodes:
            eventually(partial(self.has, node, 10), "a good part of the readers")
        self.all_hear(person, "first")
        self.assertEqual(404, get(self.proxy.port, "/metrics")[0])
        leaving, _ = self.nodes
        self.assertEqual(0, leaving.stop())
        self.crowd.read(0.1)
        for _ in range(20):
            self.assertEqual(200, get(self.proxy.port, f"{API}/health")[0])
