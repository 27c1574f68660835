"""The flight service, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from skyhold.kernel.auth import Tokens, access_kind, service_kind
from skyhold.kernel.clock import Clock, clock_for
from skyhold.kernel.db import Database
from skyhold.kernel.jobs import Periodic
from skyhold.kernel.migrations import History
from skyhold.kernel.settings import secret

from .jobs.sweep import sweeper
from .services.holds import Holds
from .services.schedule import Schedule
from .settings import FlightSettings

HISTORY = History("flight", Path(__file__).parent / "migrations")


@dataclass(frozen=True, slots=True)
class FlightService:
    """Everything the flight service is made of."""

    settings: FlightSettings
    db: Database
    schedule: Schedule
    holds: Holds
    sweeper: Periodic
    access_tokens: Tokens
    service_tokens: Tokens | None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Jobs run inside; on leaving, what waits is finished and everything is closed."""
        self.sweeper.start()
        try:
            yield
        finally:
            await self.sweeper.stop()
            await self.holds.close()
            await self.db.close()


def wire(settings: FlightSettings, clock: Clock | None = None) -> FlightService:
    """Build the service from its settings; nothing is opened or started yet."""
    clock = clock or clock_for(settings.clock_file)
    db = open_database(settings)
    holds = Holds(
        db,
        clock,
        batch_max=settings.hold_batch_max,
        waiting_max=settings.hold_waiting_max,
        sweep_max=settings.sweep_batch_max,
    )
    user_key = secret(settings.jwt_secret, name="jwt_secret", data_dir=settings.data_dir)
    service_key = secret(settings.service_secret, name="service_secret", data_dir=settings.data_dir)
    return FlightService(
        settings=settings,
        db=db,
        schedule=Schedule(db, clock),
        holds=holds,
        sweeper=sweeper(
            holds, period_s=settings.sweep_period_s, batch_max=settings.sweep_batch_max
        ),
        access_tokens=Tokens(user_key, access_kind(ttl_s=0), clock),
        service_tokens=Tokens(service_key, service_kind("flight"), clock),
    )


def open_database(settings: FlightSettings) -> Database:
    """The flight database as the settings name it."""
    return Database(settings.database(), pool_max=settings.db_pool_max, wait_s=settings.db_wait_s)
