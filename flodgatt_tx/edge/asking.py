"""
A few questions to a Redis or a Sentinel over a new connection, before anything else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import hiredis
from twisted.internet import error as errors
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from typing_extensions import override

from flodgatt_tx.edge.redis import Command, pack
from flodgatt_tx.edge.tls import tls_problem

# REDIS_SENTINEL_PASSWORD is REDIS_PASSWORD where it is not set, and many Sentinels have none.
_OPEN = re.compile("no password is set|without any password configured")


def is_open(error: Exception) -> bool:
    """Tell whether this is no more than the answer to a password that was not needed."""
    return bool(_OPEN.search(str(error)))


async def ask(endpoint: IStreamClientEndpoint, commands: Sequence[Command]) -> Asking:
    """
    Connect, and ask; the connection stays open if all is answered.

    It may be cancelled, and then leaves nothing behind. What it raises `trouble` has words for.
    """
    factory = Factory.forProtocol(partial(Asking, commands))
    factory.noisy = False
    try:
        asking: Any = await endpoint.connect(factory)
    except errors.ConnectingCancelledError:
        raise CancelledError from None
    try:
        await asking.answered
    except BaseException:
        asking.hang_up()
        raise
    answered: Asking = asking
    return answered


class Asking(Protocol):
    """
    Sends *commands* over a new connection, which afterwards somebody else may use.

    *answered* fires when all *replies* have come, or fails with the first that is an error.
    """

    transport: Any

    def __init__(self, commands: Sequence[Command]) -> None:
        self.answered: Deferred[None] = Deferred()
        self.replies: list[Any] = []
        self._commands = commands
        self._reader = hiredis.Reader()
        self._owner: Any = None
        self._lost = False

    @override
    def connectionMade(self) -> None:
        self.transport.write(pack(self._commands))

    @override
    def dataReceived(self, data: bytes) -> None:
        if self._owner:
            self._owner.dataReceived(data)
            return
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                self._take(reply)
        except hiredis.HiredisError as error:
            self._fail(error)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = True
        if self._owner:
            self._owner.connectionLost(reason)
        else:
            self._fail(reason)

    def continue_with(self, factory: Any) -> Any:
        """Let a protocol that *factory* builds have the connection, and return it."""
        self._owner = owner = factory.buildProtocol(self.transport.getPeer())
        owner.makeConnection(self.transport)
        return owner

    def doubt(self) -> None:
        """Let whoever has the connection now find out whether it is still good."""
        if self._owner and not self._lost:
            self._owner.doubt()

    def hang_up(self) -> None:
        """End the connection, whoever has it now."""
        # Twisted's TLS cannot be told so when it is over.
        if not self._lost:
            self.transport.abortConnection()

    def _take(self, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError) and not is_open(reply):
            raise reply
        self.replies.append(reply)
        if len(self.replies) == len(self._commands) and not self.answered.called:
            self.answered.callback(None)

    def _fail(self, error: Exception | Failure) -> None:
        if not self.answered.called:
            self.answered.errback(error)


_WHAT: dict[type[Exception], str] = {
    errors.ConnectionRefusedError: "refuses connections",
    errors.DNSLookupError: "has a host name that is not known",
    errors.ConnectionClosed: "hangs up",
}


def trouble(error: Exception) -> str:
    """Say what went wrong, as what somebody does. Old servers quote what they do not know."""
    if isinstance(error, hiredis.ReplyError):
        return f"refuses: {str(error).partition(', with args')[0]}"
    if problem := tls_problem(error):
        return f"cannot be reached over TLS: {problem}"
    for kind, what in _WHAT.items():
        if isinstance(error, kind):
            return what
    if isinstance(error, errors.ConnectError) and error.osError:
        return f"cannot be reached: {error.osError}"
    return f"does not answer as it should ({type(error).__name__})"
