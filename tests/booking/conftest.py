from __future__ import annotations

import shutil
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
import structlog
from booking_stage import IDLE, PATIENT, World, a_traveller

from support.system import one_process


@pytest.fixture(autouse=True, scope="module")
def _plain_logs():
    """Plain log lines; tracebacks that show every variable take seconds to render."""
    processors = structlog.get_config()["processors"]
    before = processors[:]
    # In place: loggers that exist already hold on to this list.
    processors[:] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(key_order=["level", "event"]),
    ]
    yield
    processors[:] = before


@asynccontextmanager
async def set_in(world, folder, template, **settings):
    """Both services in this world; their jobs do not come unless a test says so."""
    wanted = {"transport": world.transport, "provider": world.provider(folder)}
    async with one_process(folder, template, **wanted | IDLE | PATIENT | settings) as system:
        world.watch(system.bookings.db)
        system.bookings.flights._client._sleep = _no_pause
        yield system


async def _no_pause(_):
    """Where the flights client would wait before it repeats a call."""


@pytest.fixture(scope="module")
def _world():
    return World()


@pytest.fixture
def world(_world):
    """What the booking service calls; calm at first."""
    _world.calms()
    yield _world
    _world.calms()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def _still(_world, tmp_path_factory, template):
    async with set_in(_world, tmp_path_factory.mktemp("still") / "data", template) as system:
        yield system


@pytest.fixture
def still(_still, world):
    """Both services, where nothing happens unless a test does it.

    The tests of a module share it: its clock goes on from test to test, and everybody books on
    flights of their own.
    """
    return _still


@pytest.fixture
def start(world, tmp_path, template):
    """Start both services for one test, with settings of its own."""

    def start(**settings):
        return set_in(world, tmp_path / "data", template, **settings)

    return start


@pytest.fixture
def lives(tmp_path, template):
    """Start both services on one data folder, again and again; in a world, or as they are."""
    shutil.copytree(template, tmp_path / "data")
    (tmp_path / "nothing").mkdir()
    folders = tmp_path / "data", tmp_path / "nothing"

    def live(world=None, **settings):
        if world is None:
            return one_process(*folders, **PATIENT | settings)
        return set_in(world, *folders, **settings)

    return live


@pytest_asyncio.fixture(loop_scope="module")
async def alice(still):
    return await a_traveller(still, "Alice")


@pytest_asyncio.fixture(loop_scope="module")
async def bob(still):
    return await a_traveller(still, "Bob")


@pytest_asyncio.fixture(loop_scope="module")
async def flight(still):
    return await still.a_flight()
