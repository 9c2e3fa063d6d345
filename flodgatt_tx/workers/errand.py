"""
What a worker is sent out with: the parent's settings, and its sockets.

It comes by the channel, not by files, environment or command line: so all workers have the same
settings, need no right to read their files, and nobody can read passwords in a list of processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from flodgatt_tx.settings import VARIABLES, Layer, Settings, load


@dataclass(frozen=True, slots=True)
class Errand:
    """
    What the worker *number* (from 1) of so many *workers* has to do.

    *doors* are places by their index, with the descriptor to listen on, or None for systemd's own.
    One that is *cautious* lets nobody in before Redis and PostgreSQL are there.
    """

    number: int
    workers: int
    layers: Sequence[Layer]
    listen: Sequence[str]
    user: str | None
    doors: Sequence[tuple[int, int | None]]
    cautious: bool = False

    def as_json(self) -> dict[str, Any]:
        """Write it, with no more of the layers than is ours."""
        return {
            "number": self.number,
            "workers": self.workers,
            "layers": [[each.origin, _ours(each)] for each in self.layers],
            "listen": list(self.listen),
            "user": self.user,
            "doors": [list(door) for door in self.doors],
            "cautious": self.cautious,
        }

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> Errand:
        """Read it."""
        layers = [Layer(origin, values) for origin, values in given.pop("layers")]
        doors = [(index, descriptor) for index, descriptor in given.pop("doors")]
        return cls(layers=layers, doors=doors, **given)

    def settings(self) -> Settings:
        """Say what follows for this worker: its share of what all of them may have together."""
        settings = load(self.layers, self.listen, self.user)
        limits, database = settings.limits, settings.database
        if limits.connections:
            limits = replace(limits, connections=self.share(limits.connections))
        unsent = self.share(limits.unsent_total)
        return replace(
            settings,
            limits=replace(limits, unsent_total=unsent),
            database=replace(database, pool=self.share(database.pool)),
        )

    def share(self, total: int) -> int:
        """Give this worker its part of *total*, and one at least; all parts are the total."""
        if not total:
            return 0
        part, rest = divmod(total, self.workers)
        return max(part + (self.number <= rest), 1)


def _ours(layer: Layer) -> dict[str, str]:
    # The dotenv file has secrets of Mastodon's that no worker needs.
    return {each.name: layer.values[each.name] for each in VARIABLES if each.name in layer.values}
