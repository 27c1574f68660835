"""The stage: `skyhold serve` in a process of its own, its time in a file."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Browser

from support.fleet import Fleet
from support.system import PASSWORD, TwoProcesses, free_port, wait_until_ready

from .looks import shot
from .shapes import PHONE, Shape
from .visitor import Visitor

SKYHOLD = Path(sys.executable).with_name("skyhold")
STARTS_WITHIN_S = 90
# A browser waits for them, and they should not keep a core from it.
ROUNDS = {"expiry_period_s": 0.3, "sweep_period_s": 0.3, "relay_period_s": 0.2}
# The browser's own time is nobody's: an airport's clock is shown as the airport has it.
ELSEWHERE = {"locale": "en-GB", "timezone_id": "Asia/Tokyo"}


@dataclass(frozen=True)
class House:
    """Where it runs: its address, its files and the file that moves its time."""

    url: str
    folder: Path
    clock_file: Path
    environment: dict[str, str]


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[House]:
    """`skyhold serve`: both services and their pages on one port, with databases in the folder."""
    clock_file = folder / "clock"
    with Fleet(folder, clock_file=clock_file, **ROUNDS) as fleet:
        server = fleet.start("serve", *options, port=free_port())
        wait_until_ready(server, STARTS_WITHIN_S)
        yield House(server.url, folder, clock_file, os.environ | dict(fleet.environment))


@asynccontextmanager
async def clients(house: House) -> AsyncIterator[TwoProcesses]:
    """The same system by its API: it makes flights, moves the time and looks into things."""
    limits = httpx.Limits(keepalive_expiry=2)
    async with httpx.AsyncClient(base_url=house.url, timeout=60, limits=limits) as http:
        system = TwoProcesses(http, http, house.clock_file)
        with suppress(OSError):
            system._ahead = timedelta(seconds=float(house.clock_file.read_text()))
        yield system


async def hire(house: House, email: str) -> str:
    """Makes somebody staff, as one does on the command line; answers the e-mail."""
    name = ["--name", "Dora Desk", "--password", PASSWORD]
    await asyncio.to_thread(
        subprocess.run,
        [SKYHOLD, "booking", "create-staff", email, *name],
        env=house.environment,
        cwd=house.folder,
        check=True,
        capture_output=True,
    )
    return email


@dataclass
class Visitors:
    """Everybody who looks at the pages in one test, each with a browser window of their own."""

    browser: Browser
    url: str
    here: list[Visitor] = field(default_factory=list)

    async def comes(self, name: str = "Ada", shape: Shape = PHONE, **context: Any) -> Visitor:
        """Somebody new; `context` says what is special about their browser."""
        window = await self.browser.new_context(
            base_url=self.url, viewport=shape.size, **(ELSEWHERE | context)
        )
        visitor = Visitor(await window.new_page(), name)
        self.here.append(visitor)
        return visitor

    async def leave(self, *, pictured_as: str | None = None) -> list[str]:
        """All of them; what their browsers complained about. With a name, a last picture each."""
        for visitor in self.here:
            if pictured_as is not None and not visitor.page.is_closed():
                await shot(visitor.page, f"{pictured_as}-{visitor.name}")
            await visitor.page.context.close()
        return [complaint for visitor in self.here for complaint in visitor.complaints]
