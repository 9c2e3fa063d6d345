"""
The command `flodgatt-load`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.python.usage import UsageError

from flodgatt_tx.edge.process import raise_file_limit
from flodgatt_tx.load.options import LoadOptions
from flodgatt_tx.load.plot import plot
from flodgatt_tx.load.report import as_json, as_text
from flodgatt_tx.load.run import Run
from flodgatt_tx.load.target import TargetError

BAD_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line says; end with 0 if nobody was refused and nothing was lost."""
    options: Any = LoadOptions()  # type: ignore[no-untyped-call] # Twisted's
    try:
        options.parseOptions(sys.argv[1:] if arguments is None else list(arguments))
        plan = options.plan()
    except (UsageError, TargetError, OSError) as error:
        print(f"flodgatt-load: {error}", file=sys.stderr)
        raise SystemExit(BAD_USAGE) from None
    raise_file_limit()

    async def run(reactor: Any) -> None:
        results = await Run(reactor, plan, sys.stderr).results()
        print(as_json(results) if options["json"] else as_text(results))
        if options["plot"]:
            Path(options["plot"]).write_text(plot(results), encoding="utf-8")
        if not results["good"]:
            raise SystemExit(1)

    react(lambda reactor: Deferred.fromCoroutine(run(reactor)))


if __name__ == "__main__":
    main()
