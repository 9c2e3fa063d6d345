"""What processes spend, as Linux tells everybody: CPU time and memory."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

PROC = Path("/proc")

_KILOBYTES = re.compile(r"^(VmRSS|Pss):\s+(\d+) kB$", re.MULTILINE)


def kilobytes(text: str, name: str) -> int:
    """Find `VmRSS` in a process's `status`, or `Pss` in its `smaps_rollup`, in kB."""
    return int(dict(_KILOBYTES.findall(text))[name])


def spent(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    """
    Add up what processes have spent between two looks at them, in CPU seconds.

    What somebody spent who has ended meanwhile is not known, and not counted.
    """
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())


class Processes:
    """A process, and all that it has started."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def pids(self) -> list[int]:
        """Find who is there now, parents first."""
        found = [self.pid]
        for pid in found:  # which grows meanwhile
            found += _children(pid)
        return found

    def cpu(self) -> dict[int, float]:
        """Say what each has spent so far: CPU seconds, exact to less than a microsecond."""
        return dict(_each_cpu(self.pids()))

    def rss(self) -> float:
        """Say how much memory they hold, in kB; what they share counts for each."""
        return sum(_memory(pid, "status", "VmRSS") for pid in self.pids())

    def pss(self) -> float:
        """Say how much memory they hold, in kB; what is shared counts in parts."""
        return sum(_memory(pid, "smaps_rollup", "Pss") for pid in self.pids())

    def rest(self, patience: float = 60.0) -> None:
        """Wait until they have done next to nothing for half a second."""
        deadline = time.monotonic() + patience
        quiet = 0
        while quiet < 2 and time.monotonic() < deadline:
            before = self.cpu()
            time.sleep(0.25)
            quiet = quiet + 1 if spent(before, self.cpu()) < 0.005 else 0


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in (PROC / str(pid) / "task").glob("*/children"):
        try:
            found += map(int, task.read_text().split())
        except OSError:
            continue  # it has just ended
    return found


def _each_cpu(pids: Iterable[int]) -> Iterable[tuple[int, float]]:
    for pid in pids:
        # The clock of a process, as clock_getcpuclockid(3) makes it on Linux. What /proc has is
        # counted in hundredths of a second.
        try:
            yield pid, time.clock_gettime(~pid << 3 | 2)
        except OSError:
            continue


def _memory(pid: int, file: str, name: str) -> int:
    try:
        return kilobytes((PROC / str(pid) / file).read_text(), name)
    except (OSError, KeyError):
        return 0  # it has just ended
