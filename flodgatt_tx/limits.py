"""
How much clients may ask for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from flodgatt_tx.lookup import Lookup

# Clients that are let in beyond the limit, only to be told that there is no room.
_ANTEROOM = 128
# Of the files that a process may have open: those clients, Redis, logs, addresses to listen on.
_RESERVED_FILES = 2 * _ANTEROOM
_MOST_CONNECTIONS = 10_000_000
_MOST_COUNT = 1_000_000
_MOST_SECONDS = 3600
_MOST_HEADER = 1024**2  # bytes
_MOST_BYTES = 1024**5


@dataclass(frozen=True, slots=True)
class Limits:
    """
    The limits, each of which is off at 0.

    *connections* is None as long as nobody has said how many files may be open. The
    *handshake_timeout* is in seconds; *header_size*, *unsent* and *unsent_total* are in bytes, and
    *failed_logins* count for an address and a minute.
    """

    connections: int | None = None
    connections_per_address: int = 300
    connections_per_account: int = 0
    subscriptions: int = 100
    messages_per_second: int = 20
    handshake_timeout: int = 60
    header_size: int = 16 * 1024
    failed_logins: int = 60
    unsent: int = 1024**2
    unsent_total: int = 256 * 1024**2

    def within(self, files: int, database_connections: int) -> Limits:
        """
        Let as many connect as *files* may be open, less those that the server needs itself.

        What was set stays, as far as it can be kept; -1 stands for any number of files.
        """
        if files < 1 or self.connections == 0:
            return self
        room = max(files - _RESERVED_FILES - database_connections, files // 2, 1)
        return replace(self, connections=min(self.connections or room, room))

    @property
    def anteroom(self) -> int:
        """How many may be there beyond those that are let in, to be told so."""
        return min(_ANTEROOM, (self.connections or 4 * _ANTEROOM) // 4 + 8)


def read(lookup: Lookup) -> Limits:
    """Read the limits; mistakes are left with *lookup*."""

    def number(name: str, default: int, most: int = _MOST_COUNT) -> int:
        return lookup.number(f"FLODGATT_{name}", default=default, most=most)

    standard = Limits()
    given = lookup.text("FLODGATT_MAX_CONNECTIONS")
    return Limits(
        connections=number("MAX_CONNECTIONS", 0, _MOST_CONNECTIONS) if given else None,
        connections_per_address=number(
            "MAX_CONNECTIONS_PER_ADDRESS", standard.connections_per_address
        ),
        connections_per_account=number(
            "MAX_CONNECTIONS_PER_ACCOUNT", standard.connections_per_account
        ),
        subscriptions=number("MAX_SUBSCRIPTIONS", standard.subscriptions),
        messages_per_second=number("MAX_MESSAGES_PER_SECOND", standard.messages_per_second),
        handshake_timeout=number("HANDSHAKE_TIMEOUT", standard.handshake_timeout, _MOST_SECONDS),
        header_size=number("MAX_HEADER_SIZE", standard.header_size, _MOST_HEADER),
        failed_logins=number("MAX_FAILED_LOGINS", standard.failed_logins),
        unsent=number("MAX_UNSENT", standard.unsent, _MOST_BYTES),
        unsent_total=number("MAX_UNSENT_TOTAL", standard.unsent_total, _MOST_BYTES),
    )
