"""
The program of a worker; its parent starts it, with an errand on the channel.
"""

from __future__ import annotations

import os

if __name__ == "__main__":
    # Before Twisted looks: what systemd has given to the parent has come down to us.
    os.environ["LISTEN_PID"] = str(os.getpid())

    from flodgatt_tx.workers.worker import main

    main()
