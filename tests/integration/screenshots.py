"""
Take the pictures of the administrators' pages for the documents.

    python -m tests.integration.screenshots docs/images
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Page

from tests.integration.browser import open_page
from tests.integration.site import Daemon
from tests.integration.test_admin import admin_address

PEOPLE = ("alice", "bob", "chiyo", "dagny", "farid", "gauri", "ines")
STREAMS = ("user", "public", "public:local")
READERS = 40
WAIT = 45_000  # milliseconds, for charts to have something to show


def take(directory: Path) -> None:
    """Take them of the demonstration while some people listen."""
    daemon = Daemon({}, "--demo", "--port=0", "--workers=2", "--admin=tcp:0")
    try:
        home = f"http://{admin_address(daemon)}"
        readers = [
            daemon.websocket(f"demo-{PEOPLE[number % 7]}", stream=STREAMS[number % 3])
            for number in range(READERS)
        ]
        pages: dict[str, Page] = {}
        for scheme in ("light", "dark"):
            live, console = open_page(scheme, height=1060), open_page(scheme, height=760)
            live.goto(home)
            console.goto(f"{home}/console")
            console.fill("#token", "demo-alice")
            for stream in ("user", "public"):
                console.select_option("#stream", stream)
                console.click("#subscribe")
            pages |= {f"live-{scheme}": live, f"console-{scheme}": console}
        live.wait_for_timeout(WAIT)
        for name, page in pages.items():
            page.screenshot(path=directory / f"{name}.png")
        for reader in readers:
            reader.close()
    finally:
        daemon.stop()


if __name__ == "__main__":
    take(Path(sys.argv[1]))
