"""
The way out to one client, watched for clients that do not read.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

# Bytes that may wait for a client beyond what its transport and the kernel hold.
MOST_UNSENT = 1024 * 1024


@implementer(IPushProducer)
class Outlet:
    """
    Writes frames with *write*; the transport says, as to any producer, when it has enough of them.

    A client that lets too much wait is given up: *overflow* is called, once, and nothing is
    written any more.
    """

    __slots__ = ("_overflow", "_unsent", "_write", "blocked")

    def __init__(self, write: Callable[[bytes], object], overflow: Callable[[], object]) -> None:
        self._write = write
        self._overflow = overflow
        self._unsent = 0
        self.blocked = False

    def send(self, frame: bytes) -> None:
        """Write a frame, behind all others."""
        if self.blocked:
            if self._unsent > MOST_UNSENT:
                return
            self._unsent += len(frame)
            if self._unsent > MOST_UNSENT:
                self._overflow()
                return
        self._write(frame)

    def pauseProducing(self) -> None:  # noqa: N802 # Twisted's
        """Take note that the client does not read as fast as it is written to."""
        self.blocked = True

    def resumeProducing(self) -> None:  # noqa: N802 # Twisted's
        """Take note that the client has read all."""
        self.blocked = False
        self._unsent = 0

    def stopProducing(self) -> None:  # noqa: N802 # Twisted's
        """Take note of the end."""
