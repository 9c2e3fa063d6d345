"""
One connection to PostgreSQL.

Every deadline is kept by closing the connection: txpostgres' `cancel` blocks the whole process
when the server hangs, so nothing may ever lead to it. The pool sees to that: what runs here is
never cancelled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import psycopg2
from twisted.internet.defer import CancelledError, Deferred
from txpostgres.txpostgres import Connection
from typing_extensions import override

DEADLINE = 15.0  # seconds, for a connect and for a query; Node's

# PostgreSQL gives up a little sooner, for it would go on where only we did. It is told so within
# the same message, for that alone: behind PgBouncer the next statement may be somebody else's.
_LIMITED = f"SET LOCAL statement_timeout = {(DEADLINE - 1) * 1000:.0f}; "

_UNTRUSTED = "its certificate has expired, or is signed by no authority that is trusted"

Rows = list[tuple[Any, ...]]


class SqlError(Exception):
    """
    PostgreSQL refused a statement; *sqlstate* says why.

    Its text is not kept: it may quote the statement, and with it tokens.
    """

    def __init__(self, sqlstate: str) -> None:
        super().__init__(f"SQLSTATE {sqlstate}")
        self.sqlstate = sqlstate


class BrokenLinkError(Exception):
    """There is no connection, or not any more; the text is libpq's own first line."""


class DeadlineError(BrokenLinkError):
    """PostgreSQL took too long."""


class _Connection(Connection):
    """A connection that reports its own end instead of raising into the reactor."""

    def __init__(self, reactor: Any, ended: Callable[[], None]) -> None:
        super().__init__(reactor)
        self._ended = ended

    @override
    def doRead(self) -> None:
        try:
            super().doRead()
        except (psycopg2.Error, ValueError):
            # ValueError: libpq has given up its socket, so there is nothing left to watch.
            self.close()
            self._ended()


class Link:
    """One connection of a pool; *ended* is told if it ends while nothing is asked."""

    def __init__(self, reactor: Any, ended: Callable[[Link], None]) -> None:
        self._reactor = reactor
        self._connection = _Connection(reactor, lambda: ended(self))
        self._late = False
        self.closed = False

    async def connect(self, parameters: Mapping[str, Any]) -> None:
        """
        Connect as libpq's *parameters* say.

        :raises BrokenLinkError: if that fails or takes longer than the deadline.
        """
        await self._within_deadline(lambda: self._connection.connect(**parameters))

    async def run(self, sql: str, parameters: Mapping[str, Any]) -> Rows:
        """
        Run one statement.

        :raises SqlError: if PostgreSQL refuses it.
        :raises DeadlineError: if it takes too long; the connection may be good all the same.
        :raises BrokenLinkError: if the connection breaks.
        """
        limited = _LIMITED + sql
        rows: Rows = await self._within_deadline(
            lambda: self._connection.runQuery(limited, parameters)
        )
        return rows

    def close(self) -> None:
        """Close the connection; what runs on it fails at once."""
        self.closed = True
        if self._connection.pollable() is not None:
            self._connection.close()

    async def _within_deadline(self, start: Callable[[], Deferred[Any]]) -> Any:
        timer = self._reactor.callLater(DEADLINE, self._expire)
        try:
            return await start()
        except psycopg2.Error as error:
            # 57P: PostgreSQL is being shut down or still starting, and this connection with it.
            if error.pgcode and not error.pgcode.startswith("57P"):
                raise SqlError(error.pgcode) from None
            raise self._broken(error) from None
        except CancelledError:
            # So txpostgres calls it if PostgreSQL has given up; nothing here is ever cancelled.
            raise DeadlineError("PostgreSQL gave up what took too long") from None
        except Exception as error:
            raise self._broken(error) from None
        finally:
            if timer.active():
                timer.cancel()

    def _expire(self) -> None:
        self._late = True
        self.close()

    def _broken(self, error: Exception) -> BrokenLinkError:
        self.close()
        if self._late:
            return DeadlineError(f"no answer within {DEADLINE:.0f} s")
        return BrokenLinkError(_first_line(error))


def _first_line(error: Exception) -> str:
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    # OpenSSL knows more than libpq tells.
    return f"{line}: {_UNTRUSTED}" if line.endswith("certificate verify failed") else line
