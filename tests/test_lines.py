"""
Tests for flodgatt_tx.edge.lines and flodgatt_tx.edge.farewell.
"""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.logger import Logger, LogLevel, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.logs import make_observer
from flodgatt_tx.workers.service import make_writer
from tests.stage import API, StageTestCase


class LinesTests(SynchronousTestCase):
    """How one event looks."""

    def said(self, form: str, *words: Any, worker: int | None = None, **fields: Any) -> str:
        """What is written of an event."""
        output = StringIO()
        log = Logger("here", observer=make_observer("trace", output, form, worker))
        log.emit(LogLevel.warn, *words, **fields)
        return output.getvalue()

    def test_text(self) -> None:
        """Text is Twisted's."""
        line = self.said("text", "hello {who}", who="you")
        self.assertRegex(line, r"^[-0-9]+T[0-9:]+[-+]\d{4} \[here#warn\] hello you\n$")
        self.assertIn("[here#warn worker 2] hello", self.said("text", "hello", worker=2))

    def test_hostile_text(self) -> None:
        """Nothing that is said ends a line, or commands a terminal."""
        line = self.said("text", "{what}", what="a\r\nb\x1b[31m\x9b\u2028c\0\ud800")
        self.assertIn("a\\x0d\n\tb\\x1b[31m\\x9b\\x2028c\\x00\\xd800\n", line)
        self.assertEqual("", self.said("text", ""))

    def test_json(self) -> None:
        """JSON has everything in fields."""
        line = self.said("json", "hello {who}", who="you", number=2**70, request_id="r", worker=3)
        self.assertEqual(1, line.count("\n"))
        said = json.loads(line)
        self.assertRegex(said.pop("time"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertGreater(said.pop("pid"), 0)
        self.assertEqual(
            {
                **{"level": "warn", "name": "here", "msg": "hello you", "worker": 3},
                **{"who": "you", "number": 2**70, "request_id": "r"},
            },
            said,
        )

    def test_hostile_json(self) -> None:
        """What is said cannot take the place of other fields, nor break the line."""
        line = self.said("json", "{a}", a="\r\n\x1b\u2028\ud800", name="x", msg="x", pid="x")
        self.assertEqual(1, len(line.splitlines()))
        said = json.loads(line)
        self.assertEqual(("warn", "\r\n\x1b\u2028\ud800"), (said["level"], said["msg"]))
        self.assertEqual("", self.said("json", ""))

    def test_failure(self) -> None:
        """What broke is in one line, with its traceback."""
        output = StringIO()
        log = Logger("here", observer=make_observer("trace", output, "json"))
        try:
            raise ValueError("broken")
        except ValueError:
            log.failure("it is {how}", how="bad")
            log.emit(LogLevel.critical, None, log_failure=Failure())
        told, bare = map(json.loads, output.getvalue().splitlines())
        self.assertEqual(("fatal", "it is bad"), (told["level"], told["msg"]))
        self.assertIn("ValueError: broken", told["stack"])
        self.assertEqual("broken", bare["msg"])

    def test_foreign(self) -> None:
        """What older functions of Twisted's say has no objects in it."""
        output = StringIO()
        observer = make_observer("trace", output, "json")
        event = {"log_level": LogLevel.info, "log_namespace": "log_legacy", "log_format": "x"}
        observer({**event, "message": (), "thing": object(), "time": 5})
        said = json.loads(output.getvalue())
        self.assertEqual({"level", "time", "pid", "name", "msg"}, set(said))
        self.assertEqual(("log_legacy", "x"), (said["name"], said["msg"]))


class WriterTests(SynchronousTestCase):
    """How the lines of workers come to the log of their parent."""

    def setUp(self) -> None:
        """Keep what the parent logs itself."""
        self.output = StringIO()
        observer = make_observer("info", self.output, "json")
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def test_json(self) -> None:
        """Objects are passed on as they are; all else becomes one."""
        write = make_writer(self.output, "json")
        good = json.dumps({"msg": "x", "worker": 1})
        lines = [good, "{oops", '{"a": 1} trailing', "[1]", "", "Fatal error \x1b"]
        for line in lines:
            write(line)
        written = self.output.getvalue().splitlines()
        self.assertEqual(good, written[0])
        self.assertEqual([*lines[1:4], lines[5]], [json.loads(line)["msg"] for line in written[1:]])

    def test_text(self) -> None:
        """Text is passed on without what would command a terminal."""
        make_writer(self.output, "text")("a\x1bb\tc")
        self.assertEqual("a\\x1bb\tc\n", self.output.getvalue())

    def test_theirs(self) -> None:
        """Where twistd has the log, it is told."""
        make_writer(None, "text")("a line")
        self.assertEqual("a line", json.loads(self.output.getvalue())["msg"])


class FarewellTests(StageTestCase):
    """What is said when a connection has ended."""

    def setUp(self) -> None:
        """Keep what is logged."""
        super().setUp()
        self.log = StringIO()
        observer = make_observer("info", self.log, "json")
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def ends(self) -> list[dict[str, Any]]:
        """The lines about ends."""
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [each for each in lines if "seconds" in each]

    def end(self) -> dict[str, Any]:
        """The one line about an end, and the only one about the connection."""
        (line,) = self.ends()
        return line

    def test_sse(self) -> None:
        """Events, bytes and time are told, and whose it was."""
        client = self.stage.get(f"{API}/public?access_token=ann", X_Request_Id="the-one")
        before = len(client.raw)
        self.stage.publish("timeline:public", "delete", "7")
        self.stage.publish("timeline:public", "delete", "8")
        received = len(client.raw) - before
        self.stage.wait(7)
        client.hang_up()
        end = self.end()
        self.assertEqual(
            ("eventsource", "public", "left"), (end["transport"], end["streams"], end["reason"])
        )
        self.assertEqual(("1", "the-one"), (end["account_id"], end["request_id"]))
        self.assertEqual((2, received, 7.0), (end["events"], end["bytes"], end["seconds"]))

    def test_websocket(self) -> None:
        """All its streams are told by their kinds; events of one write are counted each."""
        socket = self.stage.websocket(f"{API}?stream=user", "ann", X_Request_Id="the-one")
        socket.subscribe("hashtag", tag="private")
        [hearing] = [each for each in self.stage.redis.connections if each.channels]
        said = b'{"event":"delete","payload":"1"}'
        hearing.reply(
            [b"message", b"timeline:1", said], [b"message", b"timeline:hashtag:private", said]
        )
        self.stage.turn()
        socket.hang_up()
        end = self.end()
        self.assertEqual(("websocket", "hashtag,user"), (end["transport"], end["streams"]))
        self.assertEqual((2, "lost", "the-one"), (end["events"], end["reason"], end["request_id"]))
        self.assertNotIn("private", self.log.getvalue())

    def test_why(self) -> None:
        """Why a connection has ended is told for each."""
        socket = self.stage.websocket(API, "ann")
        socket.protocol.send_close(1000)
        socket._exchange()
        self.stage.websocket(API, "ann").send(b"\xff\xff")
        for transport in ("websocket", "eventsource"):
            client = (
                self.stage.websocket(f"{API}?stream=user", "ann")
                if transport == "websocket"
                else self.stage.get(f"{API}/user?access_token=ann")
            )
            self.stage.publish("timeline:system:1", "kill")
            client.hang_up()
        lost = self.stage.get(f"{API}/user?access_token=ann")
        lost.wire.protocol.connectionLost(Failure(ConnectionLost()))
        lost.wire.lost = True
        for client in (
            self.stage.websocket(API, "ann"),
            self.stage.get(f"{API}/user?access_token=ann"),
        ):
            for reader in self.stage.parts.readers:
                reader.connection.go_away()
            client.hang_up()
        self.assertEqual(
            ["left", "code 1002", "revoked", "revoked", "lost", "shutdown", "shutdown"],
            [each["reason"] for each in self.ends()],
        )

    def test_refused(self) -> None:
        """Who was refused has one line, of that."""
        self.stage.get(f"{API}/user?access_token=nobody")
        self.stage.websocket(f"{API}?stream=user", "nobody")
        codes = [json.loads(line)["code"] for line in self.log.getvalue().splitlines()]
        self.assertEqual(([401, 401], []), (codes, self.ends()))
