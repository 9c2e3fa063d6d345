"""
What the log says of a connection once it has ended.
"""

from __future__ import annotations

from twisted.logger import Logger

from flodgatt_tx.edge.readers import Reader

# Why it ended, besides what is counted in the metrics: the client closed it in order; it was lost;
# the server went down.
LEFT, LOST, SHUTDOWN = "left", "lost", "shutdown"

_log = Logger()


def say_farewell(reader: Reader, now: float, why: str) -> None:
    """
    Log the end of a *reader*'s connection, at a time *now* by the clock that it came by.

    *why* is for those of which the server did not know that they would end. Streams are told by
    their kinds: lists and tags are their readers' business.
    """
    streams = sorted({each.stream.kind for each in reader.subscriptions.values()})
    seconds = round(now - reader.since, 3)
    _log.info(
        "{transport} {streams} ended, {reason}: "
        "account {account_id}, {seconds} s, {events} events, {bytes} bytes",
        transport=reader.transport,
        streams=",".join(streams) or "without streams",
        reason=reader.end or why,
        account_id=str(reader.viewer.account_id),
        request_id=reader.request_id,
        seconds=seconds,
        events=reader.events,
        bytes=reader.bytes,
    )
