"""The booking service, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter

from skyhold.contracts.events import BOOKING
from skyhold.contracts.queues import TOPOLOGY
from skyhold.kernel.auth import Badge, Tokens, access_kind, service_kind
from skyhold.kernel.background import Background
from skyhold.kernel.backlog import DEAD_LETTERS
from skyhold.kernel.breaker import Breaker
from skyhold.kernel.client import PyreqwestTransport, ServiceClient, Transport
from skyhold.kernel.clock import Clock, clock_for
from skyhold.kernel.db import Database
from skyhold.kernel.inbox import Inbox
from skyhold.kernel.jobs import Periodic
from skyhold.kernel.leases import Lease
from skyhold.kernel.messaging import Bus, MemoryBus
from skyhold.kernel.messaging.from_settings import rabbit_bus
from skyhold.kernel.messaging.rabbit import RabbitBus
from skyhold.kernel.migrations import History
from skyhold.kernel.observatory import Probe, Readings
from skyhold.kernel.outbox import Outbox
from skyhold.kernel.passwords import Passwords
from skyhold.kernel.relay import Relay
from skyhold.kernel.settings import secret

from .auditing import Auditing, auditing_of
from .clients.flights import Flights
from .clients.mailer import FolderMailer, Mailer, SmtpMailer
from .clients.payments.from_settings import stripe_notices
from .clients.payments.port import PaymentProvider
from .consumers import flights as flight_events
from .consumers import notifications
from .jobs.drive import Drive
from .models.tables import INBOX, LEASES, OUTBOX
from .providers import provider_of
from .services.advance import Driver
from .services.backlog import Backlog
from .services.book import Booker, Limits
from .services.bookings import Bookings
from .services.collect import Collector
from .services.events import Chronicle
from .services.flight_changes import FlightChanges
from .services.letters import Letters
from .services.notify import Notifier
from .services.pay import Cashier
from .services.settle import Settler
from .services.story import Stories
from .services.users import Users
from .services.wake import Waker
from .services.webhooks import Webhooks
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
    waker: Waker
    auditing: Auditing
    webhooks: Webhooks | None
    flights: Flights
    provider: PaymentProvider
    passwords: Passwords
    background: Background
    changes: FlightChanges
    drive: Drive
    bus: Bus
    mailer: Mailer
    stories: Stories
    lease: Lease
    jobs: tuple[Periodic, ...]
    probes: Mapping[str, Probe]
    access_tokens: Tokens
    routers: tuple[APIRouter, ...]  # those that come with the payment provider
    service_tokens: None = None  # no other service calls this one

    @asynccontextmanager
    async def running(self, *, jobs: bool = True) -> AsyncIterator[None]:
        """Its jobs run inside, unless others do; on leaving, what waits is finished, all closed."""
        if jobs:
            await self.bus.start()
            for job in self.jobs:
                job.start()
        try:
            yield
        finally:
            for job in self.jobs:
                await job.stop()
            await self.lease.give_up()
            await self.auditing.audits.close()
            await self.bus.close()
            await self.drive.close(timeout_s=self.settings.flight_deadline_s)
            await self.booker.close()
            await self.background.drain(timeout_s=self.settings.flight_deadline_s)
            await self.close()

    async def close(self) -> None:
        """Close every connection and stop the threads."""
        await self.flights.close()
        await self.provider.close()
        await self.mailer.close()
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
    badge = Badge(
        Tokens(service_key, service_kind("flight"), clock), "booking", clock, scope="holds"
    )
    transport = transport or PyreqwestTransport(
        settings.flight_service or FLIGHT_SERVICE_DEFAULT, timeout_s=settings.flight_timeout_s
    )
    flights = Flights(
        ServiceClient(
            transport,
            party="flight",
            breaker=Breaker(
                "flight",
                failures_max=settings.breaker_failures_max,
                pause_s=settings.breaker_pause_s,
            ),
            authorize=badge,
            deadline_s=settings.flight_deadline_s,
        )
    )
    routers: tuple[APIRouter, ...] = ()
    if provider is None:
        provider, routers = provider_of(settings, clock)
    outbox = Outbox(OUTBOX, BOOKING)
    chronicle = Chronicle(outbox, clock)
    background = Background()
    waker = Waker(db, provider, clock, settings.provider_timeout_s)
    collector = Collector(
        db,
        flights,
        provider,
        chronicle,
        clock,
        waker,
        provider_timeout_s=settings.provider_timeout_s,
        give_up_after_s=settings.give_up_after_s,
    )
    settler = Settler(db, provider, chronicle, clock, settings.provider_timeout_s)
    driver = Driver(db, flights, chronicle, clock, collector, settler)
    auditing = auditing_of(settings, db, flights, provider, waker, clock)
    inbox = Inbox(INBOX)
    changes = FlightChanges(db, inbox, chronicle, clock, settings.expiry_batch_max)
    drive = Drive(db, driver, changes, clock, lane_max=settings.expiry_batch_max)
    bus = bus or rabbit_bus(settings, source=BOOKING, topology=TOPOLOGY) or MemoryBus()
    mailer = _mailer(settings)
    flight_events.listen(bus, changes)
    notifications.subscribe(bus, Notifier(db, inbox, mailer, Letters(settings.mail_from)))
    lease = Lease(db, LEASES, "relay", clock, settings.relay_lease_s)
    relay = Relay(db, outbox, bus, clock, settings.relay_batch_max, lease)
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
        waker=waker,
        auditing=auditing,
        webhooks=_webhooks(settings, db, waker, clock),
        flights=flights,
        provider=provider,
        passwords=passwords,
        background=background,
        changes=changes,
        drive=drive,
        bus=bus,
        lease=lease,
        mailer=mailer,
        stories=Stories(db, outbox, flights),
        jobs=(
            # What moved may have another step due: only a round in which nothing moved is a pause.
            Periodic("drive", settings.expiry_period_s, drive.run_once, round_max=1),
            Periodic("relay", settings.relay_period_s, relay.run_once, settings.relay_batch_max),
            *auditing.jobs,
        ),
        probes=_probes(Backlog(db, clock), bus),
        access_tokens=access_tokens,
        routers=routers,
    )


def open_database(settings: BookingSettings) -> Database:
    """The booking database as the settings name it."""
    return Database(
        settings.database(),
        name="booking",
        pool_max=settings.db_pool_max,
        writers_max=settings.db_writers_max,
        wait_s=settings.db_wait_s,
        statement_s=settings.db_statement_s,
    )


def _webhooks(
    settings: BookingSettings, db: Database, waker: Waker, clock: Clock
) -> Webhooks | None:
    read = stripe_notices(settings)
    return None if read is None else Webhooks("stripe", read, db, Inbox(INBOX), waker, clock)


def _mailer(settings: BookingSettings) -> Mailer:
    if settings.smtp_host is None:
        return FolderMailer(settings.data_dir / "mail")
    return SmtpMailer(
        settings.smtp_host,
        settings.smtp_port,
        user=settings.smtp_user,
        password=settings.smtp_pass,
        security=settings.smtp_security,
        timeout_s=settings.smtp_timeout_s,
    )


def _probes(backlog: Backlog, bus: Bus) -> Mapping[str, Probe]:
    if not isinstance(bus, RabbitBus):
        return {"booking": backlog.look}

    async def dead_letters() -> Readings:
        found = await bus.dead_letters() if bus.connected else {}
        return {DEAD_LETTERS: {(queue,): count for queue, count in found.items()}}

    return {"booking": backlog.look, "dead_letters": dead_letters}
