"""
Hostile guests in a whole server: whatever bytes they bring, nobody else notices.

Each function here lets some bytes into a server in memory, from a client or from Redis, and raises
AssertionError if another reader was harmed, anything was left behind, or an accident was logged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from twisted.logger import globalLogPublisher

from flodgatt_tx.keyword_filters import Filter
from tests.oracles import read_sse
from tests.stage import API, Socket, Stage, StageTestCase, Visitor, status
from tests.wire import CLOSE, head, read_frames

_CATS = Filter("1", "cats", ("public",), None, None, "warn", (("cat", True), ("hello", False)))
_SECONDS_TO_COME_BACK = 3
_LARGEST_SEGMENT = 1 << 20


class Witness:
    """
    Ben, who listens over WebSocket and SSE while others misbehave.

    A status on a public stream is judged for him, and held against his keyword filter.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._number = 0
        self._socket: Socket = stage.websocket(f"{API}?access_token=ben&stream=user")
        self._socket.subscribe("public")
        self._stream = stage.get(f"{API}/public?access_token=ben")

    def is_well(self) -> None:
        """Make sure that both connections hear what is published now."""
        self._number += 1
        number = str(self._number)
        self._stage.publish("timeline:2", "delete", number)
        self._stage.publish("timeline:public", "update", status(number))
        self._stage.wait(1)
        first, second = self._socket.messages[-2:]
        assert first == {"stream": ["user"], "event": "delete", "payload": number}, first
        assert second["event"] == "update" and '"filtered":[{' in second["payload"], second
        heard = self._streamed()[-1]
        assert heard["event"] == "update" and f'"id": "{number}"' in heard["data"], heard

    def all_heard(self) -> None:
        """Make sure that what has come so far can be read."""
        _ = self._socket.messages
        self._streamed()

    def leave(self) -> None:
        """Hang up."""
        self._socket.hang_up()
        self._stream.hang_up()

    def _streamed(self) -> list[dict[str, str]]:
        return read_sse(self._stream.body.removeprefix(b":)\n"))


@contextmanager
def witnessed(accidents_count: bool = True) -> Iterator[tuple[Stage, Witness]]:
    """Set a stage with a witness; in the end the server is as it was, and nothing has happened."""
    stage = Stage()
    stage.mastodon.filters_of = {2: (_CATS,)}
    stage.mastodon.lists.add((1, 501))
    accidents: list[dict[str, Any]] = []

    def watch(event: dict[str, Any]) -> None:
        if event.get("log_failure") is not None:
            accidents.append(event)

    globalLogPublisher.addObserver(watch)  # type: ignore[arg-type] # an observer takes an event
    try:
        witness = Witness(stage)
        yield stage, witness
        witness.is_well()
        witness.leave()
        _nothing_left(stage)
        assert not (accidents and accidents_count), accidents[0]
    finally:
        globalLogPublisher.removeObserver(watch)  # type: ignore[arg-type] # see above
        stage.close()


def _nothing_left(stage: Stage) -> None:
    case = StageTestCase("assert_nothing_left")
    case.stage = stage
    case.assert_nothing_left()


def connection(data: bytes, segment: int = _LARGEST_SEGMENT) -> None:
    """Let somebody connect who says anything."""
    with witnessed() as (stage, witness):
        client = _say(stage.connect(), data, segment)
        witness.is_well()
        client.hang_up()


def websocket(data: bytes, segment: int = _LARGEST_SEGMENT, impatient: bool = False) -> None:
    """
    Let ann say anything over a WebSocket.

    If she is *impatient* she says it before her token has been looked up.
    """
    with witnessed() as (stage, witness):
        stage.mastodon.held = [] if impatient else None
        client = _say(stage.connect(), head(), _LARGEST_SEGMENT)
        _say(client, data, segment)
        while stage.mastodon.held:
            stage.mastodon.let_go()
            stage.turn()
        stage.mastodon.held = None
        _answers(client.raw)
        _tell(stage)
        witness.is_well()
        _answers(client.raw)
        client.hang_up()


def _tell(stage: Stage) -> None:
    """Publish where ann may be listening."""
    for channel in ("timeline:1", "timeline:direct:1", "timeline:hashtag:cat", "timeline:list:501"):
        stage.publish(channel, "update", status("9"))


def _say(client: Visitor, data: bytes, segment: int) -> Visitor:
    """Send bytes in segments until the server has had enough."""
    for at in range(0, len(data), segment):
        if client.closed or client.wire.producerState != "producing":
            break
        client.wire.protocol.dataReceived(data[at : at + segment])
    client.stage.turn()
    return client


def _answers(raw: bytes) -> None:
    """Make sure that the server has sent one response and then frames, of which a close is last."""
    response, end, frames = raw.partition(b"\r\n\r\n")
    if not end:
        assert not response, "half a response"
        return
    assert response.startswith(b"HTTP/1.1 101 ") or not frames, response
    opcodes = [each.opcode for each in read_frames(frames)]
    assert CLOSE not in opcodes[:-1], "frames behind a close"


def messages(said: Sequence[tuple[str, bytes]]) -> None:
    """Let anything be published: pairs of a channel and a message."""
    with witnessed() as (stage, witness):
        client = _say(stage.connect(), head(), _LARGEST_SEGMENT)
        stream = stage.get(f"{API}/public?access_token=cyd")
        for channel, message in said:
            stage.publish_bytes(channel, message)
        witness.all_heard()
        witness.is_well()
        _answers(client.raw)
        client.hang_up()
        stream.hang_up()


def replies(
    data: bytes, connection: int, segment: int = _LARGEST_SEGMENT, accidents_count: bool = False
) -> None:
    """
    Let Redis say anything over one of its connections, and then hang up.

    Whoever listens does so again as soon as Redis is back. That something is wrong with Redis may
    be an accident, which ends the connection as it would end a real one.
    """
    with witnessed(accidents_count) as (stage, _):
        hearing = stage.redis.connections[connection % 2]
        for at in range(0, len(data), segment):
            try:
                hearing.deliver(data[at : at + segment])
            except Exception:
                assert not accidents_count, data
                hearing.end()
        stage.turn()
        stage.redis.cut()
        stage.wait(_SECONDS_TO_COME_BACK)
