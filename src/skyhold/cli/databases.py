"""Before anything is served: does the database have the schema that this version works with?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from skyhold.booking import wiring as booking
from skyhold.booking.settings import BookingSettings
from skyhold.flight import wiring as flight
from skyhold.flight.services import reference
from skyhold.flight.settings import FlightSettings
from skyhold.kernel.db import Database
from skyhold.kernel.migrations import History, SchemaState
from skyhold.kernel.settings import SettingsError

_HAS = {
    SchemaState.EMPTY: "has no schema yet",
    SchemaState.OLD: "has an older schema than this version",
}


async def ready_booking(settings: BookingSettings, *, migrate: bool) -> None:
    """Migrate the booking database, or see that it is done; SettingsError when it is not.

    Without `migrate` only a SQLite file is migrated, which is nobody else's. A server's database
    has other processes, of the version before perhaps: there it is a step of its own.
    """
    async with opened(booking.open_database(settings)) as db:
        await _ready(db, booking.HISTORY, migrate=migrate)


async def ready_flight(settings: FlightSettings, *, migrate: bool) -> None:
    """The same for the flight database; migrated, it also gets its airports and aircraft."""
    async with opened(flight.open_database(settings)) as db:
        if await _ready(db, flight.HISTORY, migrate=migrate):
            await reference.load(db)


@asynccontextmanager
async def opened(db: Database) -> AsyncIterator[Database]:
    """The database, closed on leaving."""
    try:
        yield db
    finally:
        await db.close()


async def _ready(db: Database, history: History, *, migrate: bool) -> bool:
    """Whether it was ours to migrate."""
    await db.check_settings()
    service = history.service
    state = await history.state(db)
    if state is SchemaState.NEWER:
        msg = (
            f"The {service} database has a newer schema than this version; "
            "run the version that migrated it, or a later one."
        )
        raise SettingsError(msg)
    if migrate or not db.is_server:
        await history.upgrade(db)
        return True
    if state is not SchemaState.CURRENT:
        msg = (
            f"The {service} database {_HAS[state]}; "
            f"run `skyhold {service} migrate` first, or start with --migrate."
        )
        raise SettingsError(msg)
    return False
