"""
The longest time that somebody who asks for nothing but `OK` has to wait.

`python -m chaos.probe PORT` asks every 20 ms, in a process of its own, so that nothing that goes
on beside it counts. Each line on standard input is answered by the longest wait since the last
one, in seconds.
"""

from __future__ import annotations

import select
import socket
import sys
import time

from chaos.readers import API, HOST

PERIOD = 0.02
_REQUEST = f"GET {API}/health HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


def wait(connection: socket.socket) -> float:
    """Ask once, and return how long the answer took."""
    asked = time.monotonic()
    connection.sendall(_REQUEST)
    received = b""
    while not received.endswith(b"\r\n\r\nOK"):
        data = connection.recv(4096)
        if not data:
            raise ConnectionError("hung up on")
        received += data
    return time.monotonic() - asked


def connect(port: int) -> socket.socket:
    """Connect; whoever cannot within a minute fails."""
    return socket.create_connection((HOST, port), timeout=60)


def main() -> None:
    """Ask until standard input ends."""
    port = int(sys.argv[1])
    longest, connection = 0.0, connect(port)
    while True:
        started = time.monotonic()
        try:
            longest = max(longest, wait(connection))
        except OSError:
            # A connection that was kept open for long may be closed; the new one counts.
            connection.close()
            connection = connect(port)
            longest = max(longest, time.monotonic() - started)
        if select.select([sys.stdin], [], [], PERIOD)[0]:
            if not sys.stdin.readline():
                return
            print(longest, flush=True)
            longest = 0.0


if __name__ == "__main__":
    main()
