"""The flight service, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from skyhold.contracts.events import FLIGHT
from skyhold.contracts.queues import TOPOLOGY
from skyhold.contracts.sessions import SCOPE
from skyhold.kernel.auth import Badge, Tokens, access_kind, service_kind
from skyhold.kernel.breaker import Breaker
from skyhold.kernel.client import PyreqwestTransport, ServiceClient
from skyhold.kernel.clock import Clock, clock_for
from skyhold.kernel.db import Database
from skyhold.kernel.ended_sessions import LAG_MAX_S, EndedSessions
from skyhold.kernel.jobs import Periodic
from skyhold.kernel.leases import Lease
from skyhold.kernel.logging import get_logger
from skyhold.kernel.messaging import Bus
from skyhold.kernel.messaging.from_settings import rabbit_bus
from skyhold.kernel.migrations import History
from skyhold.kernel.observatory import Probe
from skyhold.kernel.outbox import Outbox
from skyhold.kernel.people import People, PublishedKeys
from skyhold.kernel.relay import Relay
from skyhold.kernel.settings import secret

from .clients.bookings import Bookings
from .jobs.sweep import sweeper
from .models.tables import LEASES, OUTBOX
from .repositories.reference import Reference
from .services.backlog import Backlog
from .services.holds import Holds
from .services.inventory import Inventory
from .services.news import News
from .services.schedule import Schedule
from .settings import FlightSettings

log = get_logger(__name__)

HISTORY = History("flight", Path(__file__).parent / "migrations")


@dataclass(frozen=True, slots=True)
class FlightService:
    """Everything the flight service is made of."""

    settings: FlightSettings
    db: Database
    schedule: Schedule
    holds: Holds
    inventory: Inventory
    bus: Bus | None
    lease: Lease
    jobs: tuple[Periodic, ...]
    probes: Mapping[str, Probe]
    bookings: Bookings
    people: People
    service_tokens: Tokens

    @asynccontextmanager
    async def running(self, *, jobs: bool = True) -> AsyncIterator[None]:
        """Its jobs run inside, unless others do; on leaving, what waits is finished, all closed."""
        if jobs:
            await self._start_jobs()
        try:
            yield
        finally:
            for job in self.jobs:
                await job.stop()
            await self.lease.give_up()
            if self.bus is not None:
                await self.bus.close()
            await self.holds.close()
            await self.schedule.close()
            await self.people.ended.close()
            await self.bookings.close()
            await self.db.close()

    async def _start_jobs(self) -> None:
        if self.bus is None:
            log.warning(
                "flight.no_bus",
                hint="AMQP_URL is not set: the booking service does not hear of flights that are "
                "cancelled or retimed; such events wait until it is",
            )
        else:
            await self.bus.start()
        for job in self.jobs:
            job.start()


def wire(
    settings: FlightSettings, clock: Clock | None = None, *, bus: Bus | None = None
) -> FlightService:
    """Build the service from its settings; nothing is opened or started yet.

    `bus` takes the place of the one that the settings name. Without any, events wait in the outbox
    until there is one.
    """
    clock = clock or clock_for(settings.clock_file)
    db = open_database(settings)
    reference = Reference()
    holds = Holds(
        db,
        reference,
        clock,
        batch_max=settings.hold_batch_max,
        waiting_max=settings.hold_waiting_max,
        sweep_max=settings.sweep_batch_max,
    )
    outbox = Outbox(OUTBOX, FLIGHT)
    bus = bus or rabbit_bus(settings, source=FLIGHT, topology=TOPOLOGY)
    lease = Lease(db, LEASES, "relay", clock, settings.relay_lease_s)
    jobs = [sweeper(holds, period_s=settings.sweep_period_s, batch_max=settings.sweep_batch_max)]
    if bus is not None:
        relay = Relay(db, outbox, bus, clock, settings.relay_batch_max, lease)
        jobs.append(
            Periodic("relay", settings.relay_period_s, relay.run_once, settings.relay_batch_max)
        )
    service_key = secret(settings.service_secret, name="service_secret", data_dir=settings.data_dir)
    bookings = _bookings(settings, service_key, clock)
    return FlightService(
        settings=settings,
        db=db,
        schedule=Schedule(db, reference, clock, News(outbox, clock)),
        holds=holds,
        inventory=Inventory(db, clock),
        bus=bus,
        lease=lease,
        jobs=tuple(jobs),
        probes={"flight": Backlog(db, clock).look},
        bookings=bookings,
        people=_people(settings, bookings, clock),
        service_tokens=Tokens(service_key, service_kind("flight"), clock),
    )


def _bookings(settings: FlightSettings, service_key: str, clock: Clock) -> Bookings:
    return Bookings(
        ServiceClient(
            PyreqwestTransport(settings.booking_service, timeout_s=settings.booking_timeout_s),
            party="booking",
            breaker=Breaker("booking", failures_max=5, pause_s=LAG_MAX_S),
            authorize=Badge(
                Tokens(service_key, service_kind("booking"), clock), "flight", clock, scope=SCOPE
            ),
            deadline_s=settings.booking_timeout_s,
        )
    )


def _people(settings: FlightSettings, bookings: Bookings, clock: Clock) -> People:
    """Who has logged in at the booking service: by its keys or our common secret."""
    kind = access_kind(settings.access_token_ttl_s)
    ended = EndedSessions(bookings.ended_after, ttl_s=kind.ttl_s, clock=clock)
    if settings.jwt_keys_published:
        published = PublishedKeys(bookings.keys)
        return People(Tokens(published, kind, clock), ended, published)
    user_key = secret(settings.jwt_secret, name="jwt_secret", data_dir=settings.data_dir)
    return People(Tokens(user_key, kind, clock), ended)


def open_database(settings: FlightSettings) -> Database:
    """The flight database as the settings name it."""
    return Database(
        settings.database(),
        name="flight",
        pool_max=settings.db_pool_max,
        writers_max=settings.db_writers_max,
        wait_s=settings.db_wait_s,
        statement_s=settings.db_statement_s,
    )
