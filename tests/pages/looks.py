"""Looking at a page: pictures, axe, and what fits on the screen.

axe runs under the page's own Content-Security-Policy: what the browser's debugger evaluates is not
a script of the page, so nothing has to be allowed for it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Page, Route

from .shapes import LOOKS

LOOKS_FOR_S = 120
PICTURES = Path(__file__).parents[2] / "test-artifacts" / "pages"
# Besides what axe does by itself: a target is 24 pixels wide and high, or has room around it.
_RUN = "axe.run({resultTypes: ['violations'], rules: {'target-size': {enabled: true}}})"
_SIDEWAYS = """() => [...document.querySelectorAll('body *')]
  .filter(it => it.getBoundingClientRect().right > innerWidth + 1)
  .slice(0, 5).map(it => it.outerHTML.slice(0, 120))"""


async def look(page: Page, name: str) -> None:
    """Nothing is amiss with this page on a phone by night and on a wide screen by day."""
    before = page.viewport_size
    amiss: list[str] = []
    async with _staying(page):
        for shape, scheme in LOOKS:
            await page.set_viewport_size(shape.size)
            await page.emulate_media(color_scheme=scheme)
            await shot(page, f"{name}-{shape.name}-{scheme}")
            found = [*await sideways(page), *await violations(page)]
            amiss += [f"{name} at {shape.name}, {scheme}: {it}" for it in found]
        await page.emulate_media(color_scheme="null")
        if before is not None:
            await page.set_viewport_size(before)
    assert not amiss, "\n".join(amiss)


@asynccontextmanager
async def _staying(page: Page) -> AsyncIterator[None]:
    """A page that would load itself again stays, and does so when it has been looked at."""
    wanted_away: list[str] = []

    async def stay(route: Route) -> None:
        if route.request.is_navigation_request():
            wanted_away.append(route.request.url)
            await route.abort("aborted")
        else:
            await route.continue_()

    await page.route("**", stay)
    try:
        async with asyncio.timeout(LOOKS_FOR_S):
            yield
    finally:
        await page.unroute("**", stay)
    if wanted_away:
        await page.goto(wanted_away[-1])


async def shot(page: Page, name: str) -> Path:
    """A picture of the whole page, for people to look at."""
    file = PICTURES / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', name)}.png"
    await asyncio.to_thread(file.parent.mkdir, parents=True, exist_ok=True)
    await page.screenshot(path=file, full_page=True, animations="disabled", caret="hide")
    return file


async def no_violations(page: Page) -> None:
    """axe finds nothing on this page."""
    found = await violations(page)
    assert not found, "\n".join(found)


async def violations(page: Page) -> list[str]:
    """What axe finds: the rule, what to do, and where."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE_SCRIPT)
    result = await page.evaluate(_RUN)
    return [
        f"{rule['id']}: {rule['help']}: {node['html'][:200]} {_why(node)}"
        for rule in result["violations"]
        for node in rule["nodes"]
    ]


async def sideways(page: Page) -> list[str]:
    """What sticks out, if one has to scroll sideways to see all of the page."""
    fits = await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return [] if fits else [f"wider than the screen: {await page.evaluate(_SIDEWAYS)}"]


def _why(node: dict) -> str:
    checks = [*node["any"], *node["all"], *node["none"]]
    return "; ".join(check["message"] for check in checks)
