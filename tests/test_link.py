"""
One connection to PostgreSQL: how its failures are told.
"""

from __future__ import annotations

from typing import Any

import psycopg2
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.link import DEADLINE, BrokenLinkError, DeadlineError, Link, SqlError


class Refusal(psycopg2.Error):
    """An error as libpq reports it."""

    def __init__(self, text: str, code: str | None = None) -> None:
        super().__init__(text)
        self.code = code

    @property
    def pgcode(self) -> str | None:  # type: ignore[override] # a slot of the C base
        """PostgreSQL's code for it."""
        return self.code


class MemoryConnection:
    """Behaves as txpostgres' connections do: what is pending fails when it is closed."""

    def __init__(self) -> None:
        self.pending: Deferred[Any] | None = None
        self.closed = False
        self.asked: list[tuple[Any, ...]] = []

    def connect(self, **parameters: Any) -> Deferred[Any]:
        """See `txpostgres.Connection`."""
        return self._start(parameters)

    def runQuery(self, sql: str, parameters: Any) -> Deferred[Any]:  # noqa: N802 # txpostgres'
        """See `txpostgres.Connection`."""
        return self._start(sql, parameters)

    def pollable(self) -> object:
        """See `txpostgres.Connection`."""
        return None if self.closed else self

    def close(self) -> None:
        """See `txpostgres.Connection`."""
        self.closed = True
        pending, self.pending = self.pending, None
        if pending:
            pending.errback(psycopg2.InterfaceError("connection already closed"))

    def _start(self, *asked: Any) -> Deferred[Any]:
        self.asked.append(asked)
        self.pending = Deferred(lambda _: self.fail_to_cancel())
        return self.pending

    def fail_to_cancel(self) -> None:
        """Cancelling is what must never happen: it blocks the process."""
        raise AssertionError("cancelled")


class LinkTests(SynchronousTestCase):
    """A link over a connection that only pretends."""

    def setUp(self) -> None:
        """Make a link."""
        self.clock = MemoryReactorClock()
        self.ended: list[Link] = []
        self.link = Link(self.clock, self.ended.append)
        self.connection = MemoryConnection()
        self.link._connection = self.connection  # type: ignore[assignment] # it behaves as one
        self.addCleanup(lambda: self.assertEqual([], self.clock.getDelayedCalls()))

    def running(self) -> Deferred[Any]:
        """Begin to run a statement."""
        return Deferred.fromCoroutine(self.link.run("SELECT %(x)s", {"x": 1}))

    def finish(self, outcome: object) -> None:
        """Let what is pending end."""
        pending, self.connection.pending = self.connection.pending, None
        assert pending
        if isinstance(outcome, Exception):
            pending.errback(outcome)
        else:
            pending.callback(outcome)

    def test_rows(self) -> None:
        """A statement has rows."""
        running = self.running()
        limited = "SET LOCAL statement_timeout = 14000; SELECT %(x)s"
        self.assertEqual([(limited, {"x": 1})], self.connection.asked)
        self.finish([(1,)])
        self.assertEqual([(1,)], self.successResultOf(running))
        self.assertFalse(self.link.closed)

    def test_connect(self) -> None:
        """Connecting passes libpq its parameters."""
        connecting = Deferred.fromCoroutine(self.link.connect({"host": "h"}))
        self.assertEqual([({"host": "h"},)], self.connection.asked)
        self.finish(self.connection)
        self.successResultOf(connecting)

    def test_refused(self) -> None:
        """A refusal carries PostgreSQL's code and not its text, which may quote a token."""
        running = self.running()
        self.finish(Refusal("relation of secret-token", "42P01"))
        failure = self.failureResultOf(running, SqlError)
        self.assertEqual(("42P01", "SQLSTATE 42P01"), (failure.value.sqlstate, str(failure.value)))
        self.assertNotIn("secret", failure.getTraceback())
        self.assertFalse(self.link.closed)

    def test_broken(self) -> None:
        """Other errors mean that the connection is broken; the first line says why."""
        for error, text in (
            (
                Refusal("server closed the connection\n\tunexpectedly\n"),
                "server closed the connection",
            ),
            (Refusal("going down", "57P01"), "going down"),
            (Refusal("starting", "57P03"), "starting"),
            (ValueError(), "ValueError"),
        ):
            self.setUp()
            running = self.running()
            self.finish(error)
            failure = self.failureResultOf(running, BrokenLinkError)
            self.assertEqual((text, True), (str(failure.value), self.link.closed))

    def test_untrusted(self) -> None:
        """What libpq says of a bad certificate is not enough to find out what to do."""
        connecting = Deferred.fromCoroutine(self.link.connect({}))
        self.finish(psycopg2.OperationalError("SSL error: certificate verify failed\n"))
        failure = self.failureResultOf(connecting, BrokenLinkError)
        self.assertEqual(
            "SSL error: certificate verify failed: its certificate has expired, "
            "or is signed by no authority that is trusted",
            str(failure.value),
        )

    def test_too_slow(self) -> None:
        """A statement that PostgreSQL itself gives up leaves a good connection."""
        running = self.running()
        self.finish(CancelledError())  # what txpostgres makes of SQLSTATE 57014
        self.failureResultOf(running, DeadlineError)
        self.assertFalse(self.link.closed)

    def test_deadline(self) -> None:
        """What takes too long is ended by closing the connection."""
        for start in (self.running, lambda: Deferred.fromCoroutine(self.link.connect({}))):
            self.setUp()
            running = start()
            self.clock.advance(DEADLINE - 1)
            self.assertNoResult(running)
            self.clock.advance(1)
            failure = self.failureResultOf(running, DeadlineError)
            self.assertEqual("no answer within 15 s", str(failure.value))
            self.assertTrue(self.connection.closed)

    def test_closed(self) -> None:
        """Closing ends what runs, at once, and twice is once."""
        running = self.running()
        self.link.close()
        self.link.close()
        self.failureResultOf(running, BrokenLinkError)

    def test_ended(self) -> None:
        """The end of an idle connection is reported, and does not reach the reactor."""
        link = Link(self.clock, self.ended.append)
        # Without a connection there is nothing to read from.
        link._connection._connection = _Dead()
        link._connection.doRead()
        self.assertEqual([link], self.ended)

    def test_ended_while_connecting(self) -> None:
        """If the socket is gone who waits is told, and the reactor hears nothing."""
        clock = _Poller()
        link = Link(clock, self.ended.append)
        link._connection._connection = _Gone()
        waiting = link._connection._pollingD = Deferred()
        link._connection.doRead()
        clock.advance(0)
        self.failureResultOf(waiting, psycopg2.OperationalError)


class _Poller(MemoryReactorClock):
    """Watches nothing that has no file descriptor, as epoll does."""

    def addReader(self, reader: Any) -> None:  # noqa: N802 # Twisted's
        """See `IReactorFDSet`."""
        if reader.fileno() < 0:
            raise ValueError("file descriptor cannot be a negative integer (-1)")
        super().addReader(reader)


class _Dead:
    """A connection of libpq's whose server has gone."""

    closed = False

    def poll(self) -> int:
        """See psycopg2."""
        raise psycopg2.OperationalError("server closed the connection unexpectedly")

    def fileno(self) -> int:
        """See psycopg2."""
        return 99

    def close(self) -> None:
        """See psycopg2."""


class _Gone(_Dead):
    """One that has given up its socket, and says so only when it is asked for it."""

    notifies = ()

    def fileno(self) -> int:
        """See psycopg2."""
        return -1


class LibpqTests(SynchronousTestCase):
    """libpq itself."""

    def test_no_server(self) -> None:
        """Where no server is, its first line says so."""
        clock = MemoryReactorClock()
        link = Link(clock, lambda ended: None)
        connecting = Deferred.fromCoroutine(link.connect({"host": "/nowhere", "dbname": "x"}))
        failure = self.failureResultOf(connecting, BrokenLinkError)
        self.assertIn("/nowhere", str(failure.value))
        self.assertNotIn("\n", str(failure.value))
        self.assertEqual([], clock.getDelayedCalls())
