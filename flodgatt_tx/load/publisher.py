"""
Publishing what readers are to hear.
"""

from __future__ import annotations

from typing import Any

import orjson
import txredisapi
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from typing_extensions import override

from flodgatt_tx.load.ledger import Ledger
from flodgatt_tx.load.options import Publishing
from flodgatt_tx.load.readers import EVENT


class _Connection(txredisapi.BaseRedisProtocol):
    """One connection, without the factory that would make another after it."""

    @override
    def connectionMade(self) -> None:
        txredisapi.LineReceiver.connectionMade(self)

    @override
    def connectionLost(self, why: object) -> None:
        txredisapi.LineReceiver.connectionLost(self, why)


class Publisher:
    """Publishes numbered messages of a *run* with this name, at a steady rate."""

    def __init__(self, reactor: Any, plan: Publishing, ledger: Ledger, run: str) -> None:
        self._reactor = reactor
        self._plan = plan
        self._ledger = ledger
        self._run = run
        self._redis: Any = None
        self._loop = LoopingCall(self._publish)
        self._loop.clock = reactor

    async def connect(self) -> None:
        """Connect to Redis; fails as connecting does."""
        factory = Factory.forProtocol(_Connection)
        factory.noisy = False
        protocol: Any = await self._plan.target.endpoint(self._reactor).connect(factory)
        self._redis = protocol
        if self._plan.password:
            words = [self._plan.user] if self._plan.user else []
            await protocol.execute_command("AUTH", *words, self._plan.password)

    def start(self) -> None:
        """Begin."""
        self._loop.start(1 / self._plan.rate)

    def stop(self) -> None:
        """End."""
        if self._loop.running:
            self._loop.stop()

    def close(self) -> None:
        """Leave Redis."""
        if self._redis:
            self._redis.transport.loseConnection()

    def _publish(self) -> Deferred[Any]:
        message = write_message(
            self._run, self._ledger.published, self._reactor.seconds(), self._plan.size
        )
        self._ledger.published += 1
        published: Deferred[Any] = self._redis.execute_command(
            "PUBLISH", self._plan.channel, message
        )
        return published


def write_message(run: str, number: int, time: float, size: int) -> bytes:
    """Write a message of at least *size* bytes, as Rails would publish it."""
    payload = {"run": run, "number": number, "time": time, "padding": ""}
    message = orjson.dumps({"event": EVENT, "payload": payload})
    payload["padding"] = "x" * max(size - len(message), 0)
    return orjson.dumps({"event": EVENT, "payload": payload})
