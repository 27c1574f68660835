from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from skyhold.booking.jobs import drive
from skyhold.booking.settings import BookingSettings
from skyhold.booking.wiring import HISTORY as BOOKING_HISTORY
from skyhold.booking.wiring import open_database as open_booking_database
from skyhold.flight.services import reference
from skyhold.flight.settings import FlightSettings
from skyhold.flight.wiring import HISTORY as FLIGHT_HISTORY
from skyhold.flight.wiring import open_database as open_flight_database
from support.system import OneProcess, one_process

pytest_plugins = ["support.figures"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Which tests may run at the same time, where two do."""
    from support.lanes import Lanes  # noqa: PLC0415 - not everybody runs two at a time

    return Lanes(config, log)


@pytest.fixture(autouse=True)
def logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A command that runs in this process configures logging; the next test knows nothing of it."""
    configure, before = structlog.configure, structlog.get_config()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    # A logger that has kept the configuration would keep it for good.
    monkeypatch.setattr(
        structlog,
        "configure",
        lambda **given: configure(**given | {"cache_logger_on_first_use": False}),
    )
    yield
    configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(autouse=True)
def patient_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round of the driver sees its steps end on a slow disk, too; a test may want it shorter."""
    monkeypatch.setattr(drive, "ROUND_S", 5)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Databases with the schema and the reference data, made once and copied for each test."""
    folder = tmp_path_factory.mktemp("template")
    asyncio.run(_prepare(folder))
    return folder


async def _prepare(folder: Path) -> None:
    flights = open_flight_database(FlightSettings(_env_file=None, data_dir=folder))
    await FLIGHT_HISTORY.upgrade(flights)
    await reference.load(flights)
    await flights.close()
    bookings = open_booking_database(BookingSettings(_env_file=None, data_dir=folder))
    await BOOKING_HISTORY.upgrade(bookings)
    await bookings.close()


@pytest.fixture
def start_system(tmp_path: Path, template: Path):
    """Start both services in this process, with whatever a test puts in their way."""

    def start(**settings):
        return one_process(tmp_path / "data", template, **settings)

    return start


@pytest.fixture
async def inside(start_system) -> OneProcess:
    """Both services in this process, open to be looked into."""
    async with start_system() as system:
        yield system
