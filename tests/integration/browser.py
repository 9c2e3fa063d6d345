"""
A real browser: Chromium without a window.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
NO_CHROMIUM = None if CHROMIUM else "there is no Chromium"
# A name that somebody else could have lead to this machine.
STRANGER = "stranger.example"


@functools.cache
def shared_browser() -> Browser:
    """Start the browser that all tests of a run share; it ends with the run."""
    arguments = [f"--host-resolver-rules=MAP {STRANGER} 127.0.0.1"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium's sandbox is not for root
    playwright = sync_playwright().start()
    atexit.register(playwright.stop)
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
    atexit.register(browser.close)
    return browser


def open_page(scheme: str = "light", width: int = 1200, height: int = 900) -> Page:
    """Open a window of its own, with no memory of others; a *scheme* is `light` or `dark`."""
    context = shared_browser().new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": height},
    )
    context.set_default_timeout(10_000)
    return context.new_page()
