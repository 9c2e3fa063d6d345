"""
What a status on the public timeline costs, with a thousand signed-in readers.

    python -m benchmarks.public_filters [--readers 1000] [--events 60] [--rounds 3]

Starts its own Redis, PostgreSQL and server. A tenth of the statuses match a filter of those who
have filters. Reports, per delivery, the CPU time of the server and of PostgreSQL, in microseconds
and as a ratio to the floor: a loop that only calls `send`, measured in the same run. The median of
the rounds counts.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import time
from statistics import median
from typing import Any

from benchmarks.processes import Processes, spent
from benchmarks.site import open_site
from benchmarks.subjects import own
from flodgatt_tx.demo.servers import Servers

CHANNEL = "timeline:public"
FILTERED = ("nobody", "a tenth", "everybody")
KEYWORDS = 20  # each account's
AUTHORS = 1000
RELATIONS = 20  # blocks, and as many mutes, of each account
TEXT = "<p>" + "Lorem ipsum dolor sit amet, consetetur sadipscing elitr. " * 15 + "</p>"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--readers", type=int, default=1000)
    parser.add_argument("--events", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with open_site(chosen.readers + AUTHORS, RELATIONS) as site:
        results = [measure(site, who, chosen) for who in FILTERED]
    floor = measure_floor(chosen.readers, chosen.events * chosen.rounds)
    print(f"floor: {floor:.2f} us for a send")
    print(f"{'with filters':>12} {'server us':>10} {'postgres us':>12} {'ratio':>6} {'queries':>8}")
    for who, (server, postgres, queries) in zip(FILTERED, results, strict=True):
        ratio = (server + postgres) / floor
        print(f"{who:>12} {server:10.2f} {postgres:12.2f} {ratio:6.2f} {queries:8.2f}")


def give_filters(site: Servers, who: str, readers: int) -> None:
    """Give keyword filters to some of the readers."""
    step = {"nobody": 0, "a tenth": 10, "everybody": 1}[who]
    site.sql("DELETE FROM custom_filter_keywords; DELETE FROM custom_filters")
    if step:
        site.sql(
            "INSERT INTO custom_filters (id, account_id, phrase, context)"
            " SELECT i, i, 'x', '{public}' FROM generate_series(%s, %s, %s) i;"
            "INSERT INTO custom_filter_keywords (custom_filter_id, keyword, whole_word)"
            " SELECT i, CASE j WHEN 1 THEN 'dragon' ELSE 'word' || i || 'x' || j END, true"
            " FROM generate_series(%s, %s, %s) i, generate_series(1, %s) j",
            [step, readers, step, step, readers, step, KEYWORDS],
        )


def measure(site: Servers, who: str, chosen: argparse.Namespace) -> tuple[float, float, float]:
    """Return CPU microseconds per delivery of server and PostgreSQL, and queries per event."""
    give_filters(site, who, chosen.readers)
    with own().run(site) as daemon:
        clients = Clients(daemon.port, chosen.readers)
        rounds = [one_round(site, daemon.processes, clients, chosen) for _ in range(chosen.rounds)]
        clients.close()
    server, postgres, queries = (median(column) for column in zip(*rounds, strict=True))
    return server, postgres, queries


def one_round(
    site: Servers, server: Processes, clients: Clients, chosen: argparse.Namespace
) -> tuple[float, float, float]:
    """Publish some events, each when the one before has arrived everywhere."""
    redis = socket.create_connection((site.host, site.redis_port))
    who = (server, Processes(site.pids["postgres"]))
    before, asked = [each.cpu() for each in who], scans(site)
    delivered = 0
    for number in range(chosen.events):
        publish(redis, chosen.readers + 1 + number % AUTHORS, number)
        delivered += clients.receive()
    of_server, of_postgres = (
        spent(then, each.cpu()) * 1e6 / delivered for then, each in zip(before, who, strict=True)
    )
    redis.close()
    return of_server, of_postgres, (scans(site) - asked) / chosen.events


class Clients:
    """WebSocket clients that count what comes; nothing is decoded."""

    def __init__(self, port: int, number: int) -> None:
        self._selector = selectors.EpollSelector()
        self._sockets = [self._connect(port, each + 1) for each in range(number)]
        time.sleep(2)  # until the last has been asked about again after subscribing
        self._drain()

    def _connect(self, port: int, each: int) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(
            f"GET /api/v1/streaming?stream=public&access_token=tok{each} HTTP/1.1\r\n"
            "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        if b" 101 " not in client.recv(4096):
            raise SystemExit("the server refuses a client")
        client.setblocking(False)
        self._selector.register(client, selectors.EVENT_READ)
        return client

    def receive(self) -> int:
        """Take one event; return how many got it, when there was silence after it."""
        got: set[int] = set()
        while ready := self._selector.select(0.15 if got else 2):
            for key, _ in ready:
                socket_: Any = key.fileobj
                if socket_.recv(1 << 16)[:1] == b"\x81":
                    got.add(key.fd)
        return len(got)

    def _drain(self) -> None:
        while ready := self._selector.select(0.2):
            for key, _ in ready:
                socket_: Any = key.fileobj
                socket_.recv(1 << 16)

    def close(self) -> None:
        """Leave."""
        for each in self._sockets:
            each.close()


def publish(redis: socket.socket, author: int, number: int) -> None:
    """Publish a status, as Rails does."""
    text = TEXT + ("<p>a dragon</p>" if number % 10 == 0 else "")
    payload: dict[str, object] = {
        "id": str(10**17 + number),
        "language": "en",
        "spoiler_text": "",
        "content": text,
        "account": {"id": str(author), "username": f"u{author}", "acct": f"u{author}"},
        "mentions": [],
        "media_attachments": [],
        "poll": None,
    }
    message = json.dumps({"event": "update", "payload": payload}).encode()
    parts = [b"PUBLISH", CHANNEL.encode(), message]
    redis.sendall(b"*3\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts))
    redis.recv(64)


def scans(site: Servers) -> float:
    """How often the mutes have been looked at: once for each question about a status."""
    rows = site.sql("SELECT idx_scan FROM pg_stat_user_tables WHERE relname = 'mutes'")
    return float(rows[0][0])


def measure_floor(readers: int, events: int) -> float:
    """CPU microseconds of a bare `send` of a frame of the same size over TCP."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=readers)
    clients = [socket.create_connection(listener.getsockname()) for _ in range(readers)]
    accepted = [listener.accept()[0] for _ in range(readers)]
    for each in accepted:
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    frame = b"x" * (len(TEXT) + 300)
    spent = 0.0
    for _ in range(events):
        before = time.process_time()
        for each in accepted:
            each.send(frame)
        spent += time.process_time() - before
        for client in clients:
            client.recv(1 << 16)
    for each in (*clients, *accepted, listener):
        each.close()
    return spent * 1e6 / (events * readers)


if __name__ == "__main__":
    main()
