"""The booking service, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from skyhold.kernel.auth import Badge, Tokens, access_kind, service_kind
from skyhold.kernel.background import Background
from skyhold.kernel.client import PyreqwestTransport, ServiceClient, Transport
from skyhold.kernel.clock import Clock, clock_for
from skyhold.kernel.db import Database
from skyhold.kernel.jobs import Periodic
from skyhold.kernel.messaging import Bus, MemoryBus, log_event
from skyhold.kernel.migrations import History
from skyhold.kernel.outbox import Outbox, Relay
from skyhold.kernel.passwords import Passwords
from skyhold.kernel.settings import secret

from .clients.flights import Flights
from .clients.payments.port import PaymentProvider
from .clients.payments.sandbox import SandboxProvider
from .jobs.drive import Drive
from .models.tables import OUTBOX
from .services.advance import Driver
from .services.book import Booker, Limits
from .services.bookings import Bookings
from .services.events import Chronicle
from .services.pay import Cashier
from .services.users import Users
from .settings import FLIGHT_SERVICE_DEFAULT, BookingSettings

HISTORY = History("booking", Path(__file__).parent / "migrations")


@dataclass(frozen=True, slots=True)
class BookingService:
    """Everything the booking service is made of."""

    settings: BookingSettings
    db: Database
    users: Users
    booker: Booker
    bookings: Bookings
    cashier: Cashier
    driver: Driver
    flights: Flights
    provider: PaymentProvider
    passwords: Passwords
    background: Background
    drive: Drive
    jobs: tuple[Periodic, ...]
    access_tokens: Tokens
    service_tokens: None = None  # no other service calls this one

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Jobs run inside; on leaving, what waits is finished and everything is closed."""
        for job in self.jobs:
            job.start()
        try:
            yield
        finally:
            for job in self.jobs:
                await job.stop()
            await self.drive.close(timeout_s=self.settings.flight_deadline_s)
            await self.booker.close()
            await self.background.drain(timeout_s=self.settings.flight_deadline_s)
            await self.close()

    async def close(self) -> None:
        """Close every connection and stop the threads."""
        await self.flights.close()
        await self.provider.close()
        self.passwords.close()
        await self.db.close()


def wire(
    settings: BookingSettings,
    *,
    clock: Clock | None = None,
    transport: Transport | None = None,
    provider: PaymentProvider | None = None,
    bus: Bus | None = None,
) -> BookingService:
    """Build the service from its settings; nothing is opened or started yet.

    What is handed in takes the place of what the settings would give: the way to the flight
    service, the payment provider, the bus.
    """
    clock = clock or clock_for(settings.clock_file)
    data_dir = settings.data_dir
    user_key = secret(settings.jwt_secret, name="jwt_secret", data_dir=data_dir)
    service_key = secret(settings.service_secret, name="service_secret", data_dir=data_dir)
    pepper = secret(settings.password_pepper, name="password_pepper", data_dir=data_dir)

    db = open_database(settings)
    passwords = Passwords(
        pepper, cost=settings.bcrypt_cost, waiting_max=settings.password_waiting_max
    )
    access_tokens = Tokens(user_key, access_kind(settings.access_token_ttl_s), clock)
    badge = Badge(Tokens(service_key, service_kind("flight"), clock), "booking", clock)
    transport = transport or PyreqwestTransport(
        settings.flight_service or FLIGHT_SERVICE_DEFAULT, timeout_s=settings.flight_timeout_s
    )
    flights = Flights(
        ServiceClient(transport, authorize=badge, deadline_s=settings.flight_deadline_s)
    )
    provider = provider or SandboxProvider(
        Database(settings.sandbox()), clock, slow_s=settings.sandbox_slow_s
    )
    outbox = Outbox(OUTBOX)
    chronicle = Chronicle(outbox, clock)
    background = Background()
    driver = Driver(
        db,
        flights,
        provider,
        chronicle,
        clock,
        provider_timeout_s=settings.provider_timeout_s,
        give_up_after_s=settings.give_up_after_s,
    )
    drive = Drive(db, driver, clock, lane_max=settings.expiry_batch_max)
    relay = Relay(db, outbox, bus or _logging_bus(), clock, settings.relay_batch_max)
    return BookingService(
        settings=settings,
        db=db,
        users=Users(db, passwords, access_tokens, clock),
        booker=Booker(
            db,
            flights,
            chronicle,
            clock,
            background,
            Limits(
                payment_window_s=settings.payment_window_s,
                hold_grace_s=settings.hold_grace_s,
                record_batch_max=settings.record_batch_max,
                record_waiting_max=settings.record_waiting_max,
            ),
        ),
        bookings=Bookings(db, driver, chronicle, clock),
        cashier=Cashier(
            db,
            driver,
            clock,
            call_max_s=settings.pay_max_s,
        ),
        driver=driver,
        flights=flights,
        provider=provider,
        passwords=passwords,
        background=background,
        drive=drive,
        jobs=(
            # What moved may have another step due: only a round in which nothing moved is a pause.
            Periodic("drive", settings.expiry_period_s, drive.run_once, round_max=1),
            Periodic("relay", settings.relay_period_s, relay.run_once, settings.relay_batch_max),
        ),
        access_tokens=access_tokens,
    )


def open_database(settings: BookingSettings) -> Database:
    """The booking database as the settings name it."""
    return Database(settings.database(), pool_max=settings.db_pool_max, wait_s=settings.db_wait_s)


def _logging_bus() -> MemoryBus:
    bus = MemoryBus()
    bus.subscribe(log_event)
    return bus
