"""
Where Redis itself becomes the limit: what publishing and subscribing cost it, and what follows.

    python -m benchmarks.redis_limits [--messages N]

Measured are Redis's own CPU time for a message, by how many workers are subscribed to its channel,
and its memory for a subscription. From these a site of any size is reckoned: each reader has
subscriptions of its own, each event goes to all workers that have a reader for it.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import hiredis

from benchmarks.processes import Processes, spent
from flodgatt_tx.demo import servers

SIZE = 2200  # bytes, as a status
CROWDS = (1, 4, 16, 64)  # workers that are subscribed
CHANNELS = 20_000
OWN_CHANNELS = 4  # of a reader: home, notifications, the account's end, the token's end
BUSY = 0.6  # of a core, beyond which events begin to wait
HOME_RATE = 1 / 30  # events a second that one reader of a home feed gets
PUBLIC_RATE = 20.0  # events a second on the public timelines of a very large site


@dataclass(frozen=True)
class Costs:
    """Redis's CPU: microseconds a message, and more for each subscribed worker; bytes of memory."""

    message: float
    worker: float
    subscription: float


class Client:
    """One connection to Redis."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self._reader = hiredis.Reader()

    def __call__(self, *words: object) -> object:
        """Send a command, and return its reply."""
        self.socket.sendall(pack(*words))
        return self.reply()

    def reply(self) -> object:
        """Wait for the next reply."""
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self.socket.recv(1 << 20))
        return reply


def pack(*words: object) -> bytes:
    """Write a command."""
    encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    parts = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)
    return b"*%d\r\n%b" % (len(encoded), parts)


@contextmanager
def subscribers(port: int, count: int) -> Iterator[None]:
    """Let so many connections listen to one channel, and read whatever comes."""
    with ExitStack() as stack:
        for _ in range(count):
            client = Client(port)
            client("SUBSCRIBE", "c")
            thread = threading.Thread(target=_drink, args=(client.socket,), daemon=True)
            thread.start()
            stack.callback(client.socket.shutdown, socket.SHUT_RDWR)
        yield


def _drink(source: socket.socket) -> None:
    buffer = bytearray(1 << 20)
    with suppress(ConnectionResetError):  # when it is over
        while source.recv_into(buffer):
            pass


def publishing(port: int, redis: Processes, count: int, messages: int) -> float:
    """Measure Redis's CPU microseconds a message to so many subscribers."""
    command = pack("PUBLISH", "c", b"x" * SIZE)
    client = Client(port)
    with subscribers(port, count):
        before = redis.cpu()
        for _ in range(messages):
            client.socket.sendall(command)
            client.reply()
        return spent(before, redis.cpu()) * 1e6 / messages


def subscribing(port: int) -> float:
    """Measure bytes of Redis's memory for a subscription to a channel of its own."""
    client, listener = Client(port), Client(port)
    before = _memory(client)
    for start in range(0, CHANNELS, 500):
        listener.socket.sendall(pack("SUBSCRIBE", *(f"timeline:{start + n}" for n in range(500))))
        for _ in range(500):
            listener.reply()
    return (_memory(client) - before) / CHANNELS


def _memory(client: Client) -> int:
    text = client("INFO", "memory")
    assert isinstance(text, bytes)
    return int(text.partition(b"used_memory:")[2].split(b"\r\n")[0])


def measure(messages: int) -> Costs:
    """Measure all; costs of workers are the slope of a line through the crowds."""
    with servers.start() as site:
        port = site.redis_port
        redis = Processes(int(_info(port, "process_id")))
        found = [publishing(port, redis, count, messages) for count in CROWDS]
        slope, intercept = statistics.linear_regression(CROWDS, found)
        for count, cost in zip(CROWDS, found, strict=True):
            print(f"{count} workers: {cost:.1f} us of Redis a message")
        return Costs(intercept, slope, subscribing(port))


def _info(port: int, name: str) -> str:
    text = Client(port)("INFO", "server")
    assert isinstance(text, bytes)
    return text.partition(f"{name}:".encode())[2].split(b"\r\n")[0].decode()


def reckon(costs: Costs, readers: int, workers: int) -> tuple[float, float]:
    """
    Say how much of a core Redis needs, and how many bytes.

    Home feeds go to one worker, for most have one client; public statuses go to all of them.
    """
    home = readers * HOME_RATE * (costs.message + costs.worker)
    public = PUBLIC_RATE * (costs.message + workers * costs.worker)
    memory = readers * OWN_CHANNELS * costs.subscription
    return (home + public) / 1e6, memory


def main(words: Sequence[str]) -> int:
    """Measure, and print what follows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.redis_limits", description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--readers-per-worker", type=int, default=10_000)
    chosen = parser.parse_args(words)
    costs = measure(chosen.messages)
    print(
        f"a message {costs.message:.1f} us, each worker {costs.worker:.2f} us more;"
        f" {costs.subscription:.0f} bytes a subscription"
    )
    for readers in (10_000, 100_000, 1_000_000, 10_000_000):
        workers = -(-readers // chosen.readers_per_worker)
        cores, memory = reckon(costs, readers, workers)
        shards = -(-cores // BUSY)
        print(
            f"{readers} readers, {workers} workers: Redis {cores:.2f} of a core,"
            f" {memory / 1e6:.0f} MB, {shards:.0f} shards"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
