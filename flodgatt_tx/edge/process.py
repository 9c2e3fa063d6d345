"""
What the process asks of the system.
"""

from __future__ import annotations

import atexit
import os
import resource
import sys
from math import ceil
from pathlib import Path


def cores(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """
    Count the cores that this process may use.

    Containers are often given less time than cores, which is in *quota*: microseconds in a period.
    """
    count = len(os.sched_getaffinity(0))
    try:
        time, period = quota.read_text().split()
    except (OSError, ValueError):
        return count
    return min(count, ceil(int(time) / int(period))) if time.isdigit() else count


def end_with(status: int) -> None:
    """Let this process end with a *status*, whatever twistd thinks of it, once it ends."""
    atexit.register(_exit, status)


def _exit(status: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def raise_file_limit() -> int:
    """Allow as many open files, and so connections, as may be allowed; return how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
