from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from skyhold.booking.wiring import HISTORY as BOOKING_HISTORY
from skyhold.cli.databases import opened
from skyhold.flight.services import reference
from skyhold.flight.wiring import HISTORY as FLIGHT_HISTORY
from skyhold.kernel.db import Database
from support.databases import databases

from .processes import Nursery
from .stage import Stage, on_stage

# So many systems side by side; each waits about as long as it works.
LANES = 2 * (os.cpu_count() or 1)


@dataclass(frozen=True)
class Theatre:
    """Stages of one engine, as many at once as there are lanes."""

    nursery: Nursery
    template: Path
    folder: Path
    lanes: asyncio.Queue[Mapping[str, str]]
    numbers: Iterator[int]

    @asynccontextmanager
    async def stage(self, point: str, **settings: object) -> AsyncIterator[Stage]:
        where = await self.lanes.get()
        try:
            folder = self.folder / f"{next(self.numbers)}-{point}"
            async with on_stage(
                self.nursery, folder, self.template, where, point, **settings
            ) as stage:
                yield stage
        finally:
            self.lanes.put_nowait(where)


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


@pytest.fixture(scope="session", params=["sqlite", "mariadb"])
def lanes(request, tmp_path_factory) -> Iterator[list[Mapping[str, str]]]:
    """For each lane its databases, as settings; without any they are files of its folder."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("databases")
        lanes = [stack.enter_context(databases(request.param, folder)) for _ in range(LANES)]
        for where in filter(None, lanes):
            asyncio.run(_prepare(**where))
        yield lanes


async def _prepare(database_url: str, flight_database_url: str) -> None:
    async with opened(Database(database_url)) as bookings:
        await BOOKING_HISTORY.upgrade(bookings)
    async with opened(Database(flight_database_url)) as flights:
        await FLIGHT_HISTORY.upgrade(flights)
        await reference.load(flights)


@pytest.fixture
async def theatre(nursery, template, tmp_path, lanes) -> Theatre:
    free: asyncio.Queue[Mapping[str, str]] = asyncio.Queue()
    for where in lanes:
        free.put_nowait(where)
    return Theatre(nursery, template, tmp_path, free, itertools.count())
