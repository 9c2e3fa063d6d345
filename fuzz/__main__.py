"""
Fuzz one target: `python -m fuzz TARGET [OPTION…]`, with libFuzzer's options.

It begins with the target's corpus. What is new goes into `fuzz/generated`, and what makes the
target fail into `fuzz/findings`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["flodgatt_tx", "autobahn.websocket", "twisted.web.http"]):
    from fuzz.targets import TARGETS

from twisted.logger import globalLogBeginner

HERE = Path(__file__).parent


def main() -> None:
    """Fuzz until the options say that it is enough, or something fails."""
    program, name, *options = sys.argv
    if name not in TARGETS:
        sys.exit(f"there is no {name}: choose one of {', '.join(TARGETS)}")
    generated, findings = HERE / "generated" / name, HERE / "findings"
    for folder in (generated, findings):
        folder.mkdir(parents=True, exist_ok=True)
    # Or all that is logged would be kept, in case that somebody wants to read it later.
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    places = [f"-artifact_prefix={findings}/{name}-", str(generated), str(HERE / "corpus" / name)]
    atheris.Setup([program, *options, *places], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
