"""
From an access token to its viewer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime

from flodgatt_tx.edge.batching import Batch
from flodgatt_tx.edge.mastodon import Mastodon
from flodgatt_tx.errors import (
    INVALID_TOKEN,
    UNAVAILABLE,
    UnauthorizedError,
    UnavailableError,
)
from flodgatt_tx.viewer import Viewer

PATIENCE = 15  # seconds, for a lookup and whatever it has to wait for

# Tokens that are looked up together: to let in those whom one answer is for takes 30 ms.
MOST = 100


class Login:
    """Looks tokens up, those of many clients together: a restart brings them all back at once."""

    def __init__(self, mastodon: Mastodon, clock: IReactorTime) -> None:
        self._mastodon = mastodon
        self._clock = clock
        self._lookups: Batch[str, Viewer] = Batch(self._look_up, MOST)
        self._pending: set[Deferred[Viewer | None]] = set()
        self._turned_away: set[Deferred[Viewer | None]] = set()
        self._closed = False

    def close(self) -> int:
        """Let nobody in any more; who is being asked about is refused, and they are counted."""
        self._closed = True
        self._turned_away |= self._pending
        for lookup in self._turned_away:
            lookup.cancel()
        return len(self._turned_away)

    async def viewer(self, token: str) -> Viewer:
        """
        Find out who owns a *token* that `find_token` found fit to be asked for.

        :raises UnauthorizedError: if nobody does, or may not use it.
        :raises UnavailableError: if the database does not answer, or the server goes down.
        """
        if self._closed:
            raise UnavailableError(UNAVAILABLE)
        lookup = self._lookups.ask(token).addTimeout(PATIENCE, self._clock)
        self._pending.add(lookup)
        try:
            viewer = await lookup
        except TimeoutError:
            # It waited for the lookup of others, and then for its own.
            raise UnavailableError(UNAVAILABLE) from None
        except CancelledError:
            if lookup in self._turned_away:
                raise UnavailableError(UNAVAILABLE) from None
            raise
        finally:
            self._pending.discard(lookup)
        if viewer is None:
            raise UnauthorizedError(INVALID_TOKEN)
        return viewer

    async def _look_up(self, tokens: Sequence[str]) -> Mapping[str, Viewer]:
        return await self._mastodon.viewers(tokens)
