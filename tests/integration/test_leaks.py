"""Whoever comes and goes, nothing of them is left: not in the daemon, not in Redis."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable

from tests.integration.site import API, PATIENCE, Person, VisitTestCase, eventually

GUESTS = 300
STREAMS = ("user", "public", "public:local", "direct", "user:notification", "hashtag&tag=cats")
REQUESTS = (
    "GET {api}/user HTTP/1.1\nHost: x\nAuthorization: Bearer {token}\n\n",
    "GET {api}?stream={stream} HTTP/1.1\nHost: x\nUpgrade: websocket\nConnection: Upgrade\n"
    "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\n"
    "Sec-WebSocket-Protocol: {token}\n\n",
    "GET {api}/public/local HTTP/1.1\nHost: x\nAuthorization: Bearer {token}\n\n",
)


class LeakTests(VisitTestCase):
    """Hundreds of clients, few of which take their leave as they should."""

    def setUp(self) -> None:
        """Sign a few people up."""
        super().setUp()
        self.people = [self.rails.person() for _ in range(5)]
        self.before = self.daemon.metric("process_open_fds")

    def connect(self, number: int, request: str) -> socket.socket:
        """Connect and send *request*, whatever becomes of it."""
        person = self.people[number % len(self.people)]
        head = request.format(api=API, token=person.token, stream=STREAMS[number % len(STREAMS)])
        client = socket.create_connection(("127.0.0.1", self.daemon.port), timeout=PATIENCE)
        client.sendall(head.replace("\n", "\r\n").encode())
        return client

    def assert_nothing_left(self) -> None:
        """Fail unless daemon and Redis are as they were before."""
        self.daemon.is_left()
        eventually(lambda: not self.rails.redis.channels(), "no channel is subscribed")
        self.assertEqual(0, self.daemon.metric("pg_pool_waiting_queries"))
        few = self.before + 15  # the pool may have grown
        eventually(lambda: self.daemon.metric("process_open_fds") <= few, "no socket is left")

    def test_come_and_go(self) -> None:
        """Clients that leave at any moment: at once, when they are in, politely, by a reset."""
        for number in range(GUESTS):
            client = self.connect(number, REQUESTS[number % len(REQUESTS)])
            WAYS[number // len(REQUESTS) % len(WAYS)](client)
        self.assert_nothing_left()

    def test_all_at_once(self) -> None:
        """As many at the same time, who are all there before they leave together."""
        with contextlib.ExitStack() as stack:
            for number in range(GUESTS):
                client = self.connect(number, REQUESTS[number % len(REQUESTS)])
                stack.enter_context(client)
            eventually(
                lambda: self.daemon.metric("connected_clients") == GUESTS, "all are there", 20
            )
            # One connection to Redis hears a channel once, however many listen to it.
            self.rails.hears_of("timeline:public")
            self.assertEqual(1, self.rails.redis.subscribers("timeline:public"))
        self.assert_nothing_left()

    def test_subscribe_and_unsubscribe(self) -> None:
        """Streams that are opened and closed faster than they can be."""
        socket = self.websocket(self.people[0])
        for _ in range(100):
            for stream in ("user", "public", "direct"):
                socket.subscribe(stream)
                socket.unsubscribe(stream)
        eventually(lambda: self.rails.redis.channels() == self.only(self.people[0]), "all closed")
        socket.close()
        self.assert_nothing_left()

    def only(self, person: Person) -> set[str]:
        """Name the channels of somebody who is connected and listens to nothing."""
        return {person.system, f"timeline:access_token:{person.token_id}"}


def leave_at_once(client: socket.socket) -> None:
    """Hang up while the token is looked up."""
    client.close()


def leave_when_in(client: socket.socket) -> None:
    """Hang up as soon as the server has let one in."""
    client.recv(4096)
    client.close()


def leave_half(client: socket.socket) -> None:
    """Say that one will send no more, and wait for the server to hang up."""
    client.shutdown(socket.SHUT_WR)
    while client.recv(4096):
        pass
    client.close()


def reset(client: socket.socket) -> None:
    """Cut the connection as a crashed machine does."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


WAYS: tuple[Callable[[socket.socket], None], ...] = (
    leave_at_once,
    leave_when_in,
    leave_half,
    reset,
)
