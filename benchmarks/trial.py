"""One server in one round, and how much is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.load import Answer, Load, most_readers, path
from benchmarks.processes import Processes, spent
from benchmarks.subjects import Running, Subject
from flodgatt_tx.demo.servers import Servers

OWN_TOKEN = "tok%d"
SAME_TOKEN = "tok1"
HOME = "timeline:1"  # the home feed of tok1


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    readers: int = 1000
    connecting: int = 3000
    growth: tuple[int, ...] = (100, 300, 1000, 3000, 10_000, most_readers())
    crowd: int = most_readers()
    others: int = 10_000
    deliveries: int = 200_000  # in a fan-out
    home: int = 30_000  # events
    public: int = 40  # events
    alone: int = 2000  # events for a single reader
    held: int = 20  # events for the crowd

    @property
    def compared(self) -> tuple[int, int]:
        """Say which two sizes the growth is told by: 1000 and 10 000, if there are so many."""
        last = self.growth[-1]
        return (1000, 10_000) if last >= 10_000 else (self.growth[0], last)


QUICK = Scale(200, 300, (100, 300, 1000), 1000, 500, 10_000, 2000, 10, 200, 5)


@dataclass
class Trial:
    """One server in one round. *notes* are all that was seen, for the curious."""

    site: Servers
    subject: Subject
    server: Running
    scale: Scale
    notes: list[Answer] = field(default_factory=list)

    @contextmanager
    def load(
        self,
        transport: str,
        token: str,
        stream: str = "user",
        channel: str = HOME,
        *,
        first: int = 1,
    ) -> Iterator[Load]:
        """Prepare readers of a stream; none of them is there yet."""
        asked = path(transport, stream, token)
        with Load(self.site, self.server, transport, asked, channel, first) as load:
            yield load

    @contextmanager
    def readers(self, number: int, *which: str) -> Iterator[Load]:
        """Bring readers of a stream, and wait until nobody has anything to do any more."""
        with self.load(*which) as load:
            self.open(load, number)
            yield load

    def open(self, load: Load, number: int) -> None:
        """Bring more readers, and wait until nobody has anything to do any more."""
        self.notes.append(load.open(number))
        self.server.processes.rest()

    def each(self, action: Callable[[], Answer]) -> float:
        """Return the server's CPU microseconds for each of what came."""
        return self.shares(action)[0]

    def shares(self, action: Callable[[], Answer], *others: Processes) -> list[float]:
        """Do as `each` does, for the server and for others."""
        who = (self.server.processes, *others)
        before = [each.cpu() for each in who]
        answer = action()
        seconds = [spent(then, each.cpu()) for then, each in zip(before, who, strict=True)]
        self.notes.append({**answer, "cpu": seconds})
        return [each * 1e6 / answer["came"] for each in seconds]
