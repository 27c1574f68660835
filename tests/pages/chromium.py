"""Debian's Chromium, headless, driven by Playwright; never a browser that was downloaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

from support.servers import missing

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Nothing of it reaches out by itself: no update, no field trial, no check of a password.
QUIET = ("--headless", "--no-sandbox", "--disable-background-networking", "--no-first-run")
LAUNCHES_WITHIN_MS = 120_000


def find_chromium() -> str:
    """Its executable: CHROMIUM, or what is found under the usual names."""
    wanted = os.environ.get("CHROMIUM")
    names = (wanted,) if wanted else NAMES
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        missing(
            f"no Chromium ({', '.join(names)}): install one (apt-get install chromium) "
            "or set CHROMIUM"
        )
    return found


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A running browser; every visitor gets a context of their own in it."""
    executable = find_chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable, args=QUIET, timeout=LAUNCHES_WITHIN_MS
        )
        try:
            yield browser
        finally:
            await browser.close()
