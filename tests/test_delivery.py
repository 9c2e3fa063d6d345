"""
From events to writes: what leaves together, in which order, and in which slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.delivery import SLICE, Delivery
from flodgatt_tx.edge.metrics import Metrics
from flodgatt_tx.edge.readers import EVENTSOURCE, Reader, Subscription
from flodgatt_tx.envelope import Event
from flodgatt_tx.framing import PLAIN, frame_sse
from flodgatt_tx.streams import open_stream
from tests.stage import API, StageTestCase, viewer


def event(number: int) -> Event:
    """Make an event."""
    return Event("delete", b"%d" % number, number)


def frames(*numbers: int) -> bytes:
    """What a reader of these events is sent."""
    return b"".join(frame_sse(event(number)) for number in numbers)


class Sink:
    """Keeps what is written, one item for each write, also in a book that all share."""

    unsent = 0

    def __init__(self, book: list[bytes]) -> None:
        self.writes: list[bytes] = []
        self._book = book

    def send(self, frame: bytes) -> None:
        """Keep it."""
        self.writes.append(frame)
        self._book.append(frame)


class DeliveryTests(SynchronousTestCase):
    """Events that are put, and flushed."""

    def setUp(self) -> None:
        """Make a delivery that says when its producer is paused and resumed."""
        self.clock = Clock()
        self.metrics = Metrics()
        self.killed: list[Reader] = []
        self.said: list[str] = []
        self.book: list[bytes] = []
        self.delivery = Delivery(self.clock, self.metrics, self.killed.append)
        self.delivery.producer = self

    def put(self, event: Event, recipients: Sequence[Subscription]) -> None:
        """Let an event be sent that was heard just now."""
        self.delivery.put(event, recipients, self.clock.seconds())

    def pauseProducing(self) -> None:  # noqa: N802 # Twisted's
        """See `Producer`."""
        self.said.append("pause")

    def resumeProducing(self) -> None:  # noqa: N802 # Twisted's
        """See `Producer`."""
        self.said.append("resume")

    def listeners(self, count: int) -> list[Subscription]:
        """Make readers with one subscription each."""
        return [self.listener() for _ in range(count)]

    def listener(self, reader: Reader | None = None) -> Subscription:
        """Make a subscription, of a new reader if none is given."""
        if reader is None:
            connection: Any = None
            reader = Reader(EVENTSOURCE, viewer(), connection, PLAIN)
            reader.outlet = Sink(self.book)
            reader.ready = True
        subscription = Subscription(reader, open_stream("user", {}, reader.viewer))
        subscription.listening = True
        return subscription

    def writes(self, listener: Subscription) -> list[bytes]:
        """What was written to a listener."""
        sink: Any = listener.reader.outlet
        written: list[bytes] = sink.writes
        return written

    def test_together(self) -> None:
        """What is put before a flush is one write for each reader, and they share its bytes."""
        listeners = self.listeners(3)
        for number in range(3):
            self.put(event(number), listeners)
        self.assertEqual([], self.book)
        self.delivery.flush()
        self.assertEqual([frames(0, 1, 2)] * 3, self.book)
        self.assertEqual(1, len(set(map(id, self.book))))
        sent = self.metrics.registry.get_sample_value("messages_sent_total", {"type": EVENTSOURCE})
        self.assertEqual(9, sent)
        self.delivery.flush()
        self.assertEqual(3, len(self.book))

    def test_several_channels(self) -> None:
        """A reader of several channels gets all of them in one write, in the order they came."""
        one, both = self.listeners(2)
        other = self.listener(both.reader)
        self.put(event(1), [one, both])
        self.put(event(2), [other])
        self.put(event(3), [one, both])
        self.delivery.flush()
        self.assertEqual([frames(1, 3)], self.writes(one))
        self.assertEqual([frames(1, 2, 3)], self.writes(both))

    def test_gone(self) -> None:
        """Who has gone or listens no more when it is sent gets nothing."""
        gone, ended, here = self.listeners(3)
        self.put(event(1), [gone, ended, here])
        gone.reader.ready = ended.listening = False
        self.delivery.flush()
        self.assertEqual([frames(1)], self.book)

    def test_oldest(self) -> None:
        """A write is as late as the oldest of what it has, and the next one by itself."""
        [listener] = self.listeners(1)
        for heard in (3, 1, 2):
            self.delivery.put(event(1), [listener], heard)
        self.clock.advance(5)
        self.delivery.flush()
        self.assertEqual(4, self.metrics.latency.total)
        self.delivery.put(event(2), [listener], 4)
        self.delivery.flush()
        self.assertEqual(4 + 1, self.metrics.latency.total)

    def test_soon(self) -> None:
        """What is flushed soon leaves together at the end of the moment."""
        [listener] = self.listeners(1)
        for number in range(2):
            self.put(event(number), [listener])
            self.delivery.flush_soon()
        self.assertEqual([], self.book)
        self.clock.advance(0)
        self.assertEqual([frames(0, 1)], self.book)

    def test_slices(self) -> None:
        """A great fan-out leaves the reactor free between its slices, and nobody is fed more."""
        listeners = self.listeners(2 * SLICE + 1)
        self.put(event(1), listeners)
        self.delivery.flush()
        self.assertEqual((SLICE, ["pause"]), (len(self.book), self.said))
        between: list[int] = []
        self.clock.callLater(0, lambda: between.append(len(self.book)))
        self.clock.advance(0)
        self.assertEqual([2 * SLICE], between)
        self.assertEqual((2 * SLICE + 1, ["pause", "resume"]), (len(self.book), self.said))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_whole_slices(self) -> None:
        """So does one that ends with a slice."""
        self.put(event(1), self.listeners(SLICE))
        self.delivery.flush()
        self.clock.advance(0)
        self.assertEqual((SLICE, ["pause", "resume"]), (len(self.book), self.said))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_order(self) -> None:
        """What is flushed between slices waits behind them."""
        listeners = self.listeners(SLICE + 1)
        self.put(event(1), listeners)
        self.delivery.flush()
        self.put(event(2), listeners)
        self.delivery.flush()
        self.assertEqual(SLICE, len(self.book))
        self.clock.pump([0] * 3)
        self.assertTrue(all(self.writes(each) == [frames(1), frames(2)] for each in listeners))
        self.assertEqual(["pause", "resume"], self.said)

    def test_killed_between_slices(self) -> None:
        """A kill overtakes what waits in a slice."""
        listeners = self.listeners(SLICE + 1)
        self.delivery.producer = None
        self.put(event(1), listeners)
        self.delivery.flush()
        listeners[-1].reader.ready = False
        self.clock.advance(0)
        self.assertEqual([], self.writes(listeners[-1]))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_troubled(self) -> None:
        """If events cannot be put together, the next ones are all the same."""
        before, behind = self.listeners(2)
        nobody: Any = None
        self.put(event(1), [before, nobody, behind])
        self.delivery.flush()
        self.put(event(2), [before, behind])
        self.delivery.flush()
        self.assertEqual([frames(1), frames(2)], self.writes(before))
        self.assertEqual([frames(2)], self.writes(behind))
        self.assertEqual(1, len(self.flushLoggedErrors(AttributeError)))

    def test_broken(self) -> None:
        """Who cannot be sent to is killed; the others get it."""
        broken, good = self.listeners(2)
        broken.reader.outlet = Broken()
        self.put(event(1), [broken, good])
        self.delivery.flush()
        self.assertEqual([frames(1)], self.writes(good))
        self.assertEqual([broken.reader], self.killed)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))


class Broken:
    """Takes no frames."""

    unsent = 0

    def send(self, frame: bytes) -> None:
        """Fail."""
        raise ZeroDivisionError


class TogetherTests(StageTestCase):
    """The same, from Redis to the clients."""

    def say(self, *messages: tuple[str, bytes]) -> None:
        """Let Redis say all this in one go."""
        [hearing] = [each for each in self.stage.redis.connections if each.channels]
        hearing.reply(*([b"message", channel.encode(), said] for channel, said in messages))
        self.stage.turn()

    def test_one_read(self) -> None:
        """Events that Redis says together reach each client in one write, in their order."""
        client = self.stage.get(f"{API}/user?access_token=ann")
        socket = self.stage.websocket(f"{API}?access_token=ann&stream=user")
        writes: list[bytes] = []
        write = client.wire.write

        def noted(data: bytes) -> None:
            writes.append(data)
            write(data)

        self.patch(client.wire, "write", noted)
        said = [
            ("timeline:1", b'{"event":"delete","payload":"1"}'),
            ("timeline:1:notifications", b'{"event":"x","payload":"2"}'),
            ("timeline:1", b'{"event":"delete","payload":"3"}'),
        ]
        self.say(*said)
        self.assertEqual(1, len(writes))
        self.assertEqual([("delete", "1"), ("x", "2"), ("delete", "3")], client.events)
        self.assertEqual(["1", "2", "3"], [each["payload"] for each in socket.messages])

    def test_killed_in_the_same_read(self) -> None:
        """A kill overtakes the events that were said just before it."""
        client = self.stage.get(f"{API}/user?access_token=ann")
        event, kill = b'{"event":"delete","payload":"1"}', b'{"event":"kill"}'
        self.say(("timeline:1", event), ("timeline:system:1", kill))
        self.assertEqual(([], True), (client.events, client.ended))
