"""
A Redis that is watched: a master, a replica, and three Sentinels, with passwords on all of them.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import ssl
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import hiredis

from flodgatt_tx.demo import programs
from flodgatt_tx.demo.processes import free_port
from tests.certificates import Authority
from tests.integration.site import PATIENCE, Redis, eventually

MASTER = "mine"
RIGHTS = "~subscribed:* &timeline:* -@all +subscribe +unsubscribe +set +ping +role"
ASKING = "resetchannels &+switch-master -@all +sentinel|get-master-addr-by-name +subscribe +ping"
# What a Sentinel needs of those whom it watches, as Redis' documentation has it.
_WATCHING = (
    "allchannels +multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info"
    " +client|setname +client|kill +script|kill"
)
_STARTED = 60.0  # seconds


@functools.cache
def speaks_tls() -> bool:
    """Tell whether this machine's redis-server was built with TLS."""
    done = subprocess.run(
        [programs.find().redis_server, "-"],
        # The second line, which is wrong everywhere, keeps it from starting.
        input="tls-port 0\nnonsense yes\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return "'nonsense yes'" in done.stdout + done.stderr


class Node:
    """One redis-server, or Sentinel, with a configuration file of its own."""

    def __init__(self, path: Path, port: int, lines: str, sentinel: bool = False) -> None:
        self.port = port
        self._path = path
        self._sentinel = sentinel
        path.write_text(lines)
        self.process: subprocess.Popen[bytes]
        self.start()

    def start(self) -> None:
        """Start it, or start it again, as it has left its configuration."""
        command = [str(programs.find().redis_server), str(self._path)]
        with self._path.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *(["--sentinel"] if self._sentinel else [])],
                cwd=self._path.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """End it without a word."""
        self.process.kill()
        self.process.wait()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    @property
    def log(self) -> str:
        """All that it has written."""
        return self._path.with_suffix(".log").read_text()


class Fleet:
    """
    A master, a replica and three Sentinels; `stop` them.

    With an *authority* all of them speak TLS alone, show each other certificates that it has
    signed, and want one of their clients.
    """

    def __init__(self, authority: Authority | None = None) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="flodgatt-fleet-"))
        self._authority = authority
        self._tls = self._tls_lines() if authority else ""
        self._nodes: list[Node] = []
        try:
            self.first = self._redis("first")
            self.second = self._redis("second", f"replicaof 127.0.0.1 {self.first.port}\n")
            self.sentinels = [self._sentinel(f"sentinel{number}") for number in range(3)]
            eventually(self._is_complete, f"the fleet is complete: {self._logs}", _STARTED)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything, and forget it."""
        for node in self._nodes:
            node.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def _logs(self) -> str:
        return "\n".join(node.log[-1000:] for node in self._nodes)

    def environment(self) -> dict[str, str]:
        """Write down how to find Redis, in Mastodon's environment variables."""
        return {
            "REDIS_SENTINELS": ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels),
            "REDIS_SENTINEL_MASTER": MASTER,
            "REDIS_USER": "streaming",
            "REDIS_PASSWORD": "shibboleth",
            "REDIS_SENTINEL_USERNAME": "asking",
            "REDIS_SENTINEL_PASSWORD": "whisper",
        }

    def connect(self, node: Node, user: str = "rails", password: str = "sesame") -> Redis:
        """Connect to one of them."""
        return connect(node.port, user, password, self._authority)

    def ask(self, node: Node, *words: object, user: str = "rails", password: str = "sesame") -> Any:
        """Send one command."""
        redis = self.connect(node, user, password)
        try:
            return redis(*words)
        finally:
            redis.close()

    def ask_sentinel(self, *words: object, number: int = 0) -> Any:
        """Ask a Sentinel."""
        return self.ask(self.sentinels[number], "SENTINEL", *words, user="default", password="peer")

    def is_master(self, node: Node) -> bool:
        """Tell whether it is, by what it says itself."""
        # Sentinel ends all connections to whom it has just made the master.
        with contextlib.suppress(OSError):
            return bool(self.ask(node, "ROLE")[0] == "master")
        return False

    def answers(self, node: Node) -> bool:
        """Tell whether it is up."""
        with contextlib.suppress(OSError, hiredis.HiredisError):
            return bool(self.ask(node, "PING"))
        return False

    def _is_complete(self) -> bool:
        with contextlib.suppress(OSError, hiredis.HiredisError):
            return all(self._sees_all(number) for number in range(3))
        return False

    def _sees_all(self, number: int) -> bool:
        words = self.ask_sentinel("master", MASTER, number=number)
        seen = dict(zip(words[::2], words[1::2], strict=True))
        others = (seen["num-slaves"], seen["num-other-sentinels"], seen["flags"])
        if others != ("1", "2", "master"):
            return False
        replica = self.ask_sentinel("replicas", MASTER, number=number)[0]
        link = dict(zip(replica[::2], replica[1::2], strict=True)).get("master-link-status")
        return link == "ok"

    def _redis(self, name: str, more: str = "") -> Node:
        lines = f"""
            save ""
            appendonly no
            user default off
            user rails on >sesame ~* &* +@all
            user copying on >mirror +psync +replconf +ping
            user watching on >tower {_WATCHING}
            user streaming on >shibboleth {RIGHTS}
            masteruser copying
            masterauth mirror
            repl-diskless-sync-delay 0
        """
        return self._node(name, lines + more)

    def _sentinel(self, name: str) -> Node:
        lines = f"""
            sentinel monitor {MASTER} 127.0.0.1 {self.first.port} 2
            sentinel auth-user {MASTER} watching
            sentinel auth-pass {MASTER} tower
            sentinel down-after-milliseconds {MASTER} 1000
            sentinel failover-timeout {MASTER} 4000
            sentinel sentinel-pass peer
            requirepass peer
            user asking on >whisper {ASKING}
        """
        return self._node(name, lines, sentinel=True)

    def _node(self, name: str, lines: str, sentinel: bool = False) -> Node:
        port = free_port()
        where = f"tls-port {port}\nport 0\n{self._tls}" if self._tls else f"port {port}\n"
        text = f"bind 127.0.0.1\ndir {self.directory}\n{where}{lines}"
        written = "\n".join(line.strip() for line in text.splitlines())
        node = Node(self.directory / f"{name}.conf", port, f"{written}\n", sentinel)
        self._nodes.append(node)
        return node

    def _tls_lines(self) -> str:
        assert self._authority
        certificate, key = self._authority.sign("fleet", "127.0.0.1")
        return (
            f"tls-cert-file {certificate}\ntls-key-file {key}\n"
            f"tls-ca-cert-file {self._authority.path}\ntls-replication yes\n"
        )


def connect(port: int, user: str, password: str, authority: Authority | None = None) -> Redis:
    """Connect to a Redis, over TLS if there is an *authority* for that."""
    redis = Redis(port, tls=_context(authority) if authority else None)
    redis("AUTH", user, password)
    return redis


def _context(authority: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.path))
    context.load_cert_chain(*authority.sign("tester"))
    return context
