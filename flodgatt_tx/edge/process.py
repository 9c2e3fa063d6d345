"""
What the process asks of the system.
"""

from __future__ import annotations

import resource


def raise_file_limit() -> int:
    """Allow as many open files, and so connections, as may be allowed; return how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
