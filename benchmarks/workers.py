"""
What a delivery costs with several workers, and how many connections each of them gets.

    python -m benchmarks.workers [--rounds N] [--workers N]

One worker and several serve the same readers in turn. Events come one by one: those that come
together leave together, and fewer do where there are more hands, which would be measured as a cost.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Sequence

from benchmarks.load import Load, path
from benchmarks.processes import spent
from benchmarks.site import open_site
from benchmarks.subjects import Subject, own
from benchmarks.trial import HOME, SAME_TOKEN
from flodgatt_tx.demo.servers import Servers

READERS = 1000
EVENTS = 300
_TRANSPORTS = ("ws", "sse")


def subject(workers: int) -> Subject:
    """Name this server with so many workers."""
    options = (f"--workers={workers}", "--max-connections-per-address=0")
    return Subject(f"{workers} workers", (*own().command, *options))


def cost(site: Servers, workers: int, transport: str) -> float:
    """Measure CPU microseconds a delivery, of parent and workers together."""
    with subject(workers).run(site) as server:
        asked = path(transport, "user", SAME_TOKEN)
        with Load(site, server, transport, asked, HOME, 1) as load:
            load.open(READERS)
            load.events(20, 1)
            server.processes.rest()
            before = server.processes.cpu()
            answer = load.events(EVENTS, 1)
            return spent(before, server.processes.cpu()) * 1e6 / float(answer["came"])


def main(words: Sequence[str]) -> int:
    """Measure in turn, and print medians and their ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2)
    chosen = parser.parse_args(words)
    with open_site(2000, 0) as site:
        for transport in _TRANSPORTS:
            costs: dict[int, list[float]] = {1: [], chosen.workers: []}
            for _ in range(chosen.rounds):
                for workers, found in costs.items():
                    found.append(cost(site, workers, transport))
            one, many = (statistics.median(each) for each in costs.values())
            print(
                f"{transport}: 1 worker {one:.2f} us a delivery, {chosen.workers} workers"
                f" {many:.2f} us: {many / one:.2f} times"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
