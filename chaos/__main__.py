"""
Break everything around a server, and see what its readers notice: `python -m chaos [--short]`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import signal
import sys
from pathlib import Path

from chaos import failover, scenario
from chaos.plan import FULL, SHORT
from chaos.report import Outcome, broken_promises, document, table


def main() -> int:
    """Run, print what was seen, and return an exit status: 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="chaos", description=(__doc__ or "").strip())
    parser.add_argument("--short", action="store_true", help="less of everything, for CI")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was seen there, too")
    parser.add_argument("--only", default="", metavar="WORD", help="only faults called like this")
    chosen = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    outcomes = asyncio.run(_run(chosen.short, chosen.only))
    if chosen.json:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(json.dumps(document(outcomes), indent=1))
    return _tell(outcomes)


async def _run(short: bool, only: str) -> dict[str, Outcome]:
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    plan = SHORT if short else FULL
    outcomes = {}
    if only != failover.NAME:
        outcomes["one Redis"] = await scenario.single(plan, only)
    if only in ("", failover.NAME):
        outcomes["Sentinel"] = await failover.failover(plan)
    return outcomes


def _tell(outcomes: dict[str, Outcome]) -> int:
    broken = []
    for name, outcome in outcomes.items():
        print(f"\n{name}\n\n{table(outcome)}\n")
        if outcome.memory:
            before, after = (kilobytes / 1024 for kilobytes in outcome.memory)
            print(f"memory before and after: {before:.1f} and {after:.1f} MB")
        end = outcome.farewell
        print(f"end: status {end.status} after {end.seconds:.1f} s, {end.sent_away} told goodbye")
        broken += [f"{name}: {sentence}" for sentence in broken_promises(outcome)]
    for sentence in broken:
        print(f"BROKEN: {sentence}")
    print("Some promises were broken." if broken else "All promises were kept.")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
