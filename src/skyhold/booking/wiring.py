"""The booking service, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from skyhold.contracts.events import BOOKING
from skyhold.contracts.queues import TOPOLOGY
from skyhold.kernel.auth import Tokens
from skyhold.kernel.background import Background
from skyhold.kernel.client import Transport
from skyhold.kernel.clock import Clock, clock_for
from skyhold.kernel.db import Database
from skyhold.kernel.http.routes import Routes
from skyhold.kernel.inbox import Inbox
from skyhold.kernel.jobs import Periodic
from skyhold.kernel.leases import Lease
from skyhold.kernel.messaging import Bus, MemoryBus
from skyhold.kernel.messaging.from_settings import rabbit_bus
from skyhold.kernel.migrations import History
from skyhold.kernel.observatory import Probe
from skyhold.kernel.outbox import Outbox
from skyhold.kernel.people import People
from skyhold.kernel.relay import Relay
from skyhold.kernel.settings import secret

from .auditing import Auditing, auditing_of
from .broker import dead_letters_of, probes_of
from .clients.flights import Flights
from .clients.mailer import Mailer
from .clients.payments.from_settings import stripe_notices
from .clients.payments.port import PaymentProvider
from .consumers import flights as flight_events
from .consumers import notifications
from .jobs.drive import Drive
from .membership import Membership, membership_of
from .models.hoard import Ceiling
from .models.tables import INBOX, LEASES, OUTBOX
from .neighbours import flights_of, mailer_of
from .providers import provider_of
from .services.advance import Driver
from .services.backlog import Backlog
from .services.book import Booker, Limits
from .services.bookings import Bookings
from .services.bookkeeping import Bookkeeper
from .services.calendars import Calendars
from .services.collect import Collector
from .services.desk import Desk
from .services.events import Chronicle
from .services.flight_changes import FlightChanges
from .services.hoarding import Hoarding
from .services.letters import Letters
from .services.look import Views
from .services.notify import Notifier
from .services.overview import Overview
from .services.pay import Cashier
from .services.record import Recorder
from .services.settle import Settler
from .services.staffing import Staffing
from .services.story import Stories
from .services.timeline import Timelines
from .services.users import Users
from .services.wake import Waker
from .services.webhooks import Webhooks
from .settings import BookingSettings

HISTORY = History("booking", Path(__file__).parent / "migrations")


@dataclass(frozen=True, slots=True)
class BookingService:
    """Everything the booking service is made of."""

    settings: BookingSettings
    clock: Clock
    db: Database
    membership: Membership
    staffing: Staffing
    booker: Booker
    bookings: Bookings
    timelines: Timelines
    calendars: Calendars
    books: Bookkeeper
    cashier: Cashier
    driver: Driver
    waker: Waker
    auditing: Auditing
    webhooks: Webhooks | None
    flights: Flights
    provider: PaymentProvider
    background: Background
    changes: FlightChanges
    drive: Drive
    bus: Bus
    mailer: Mailer
    stories: Stories
    desk: Desk
    overview: Overview
    lease: Lease
    jobs: tuple[Periodic, ...]
    probes: Mapping[str, Probe]
    routers: tuple[Routes, ...]  # those that come with the payment provider

    @property
    def users(self) -> Users:
        """Accounts: register and log in."""
        return self.membership.users

    @property
    def people(self) -> People:
        """Who shows an access token."""
        return self.membership.people

    @property
    def service_tokens(self) -> Tokens:
        """What other services show."""
        return self.membership.service_tokens

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
            await self.bookings.close()
            await self.books.close()
            await self.background.drain(timeout_s=self.settings.flight_deadline_s)
            await self.close()

    async def close(self) -> None:
        """Close every connection and stop the threads."""
        await self.flights.close()
        await self.provider.close()
        await self.mailer.close()
        await self.membership.close()
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
    service_key = secret(settings.service_secret, name="service_secret", data_dir=settings.data_dir)
    db = open_database(settings)
    membership = membership_of(settings, db, clock, service_key)
    flights = flights_of(settings, service_key, clock, transport)
    routers: tuple[Routes, ...] = ()
    if provider is None:
        provider, routers = provider_of(settings, clock)
    outbox = Outbox(OUTBOX, BOOKING)
    chronicle = Chronicle(outbox, clock)
    timelines = Timelines(db, clock)
    views = Views(db, clock)
    background = Background()
    waker = Waker(db, provider, clock, settings.provider_timeout_s)
    books = Bookkeeper(
        db,
        chronicle,
        clock,
        batch_max=settings.record_batch_max,
        waiting_max=settings.record_waiting_max,
    )
    collector = Collector(
        db,
        flights,
        provider,
        chronicle,
        clock,
        waker,
        books,
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
    mailer = mailer_of(settings, clock)
    flight_events.listen(bus, changes)
    letters = Letters(settings.mail_from)
    notifications.subscribe(bus, Notifier(db, inbox, mailer, letters))
    bookings = Bookings(db, views, driver, chronicle, timelines, clock)
    lease = Lease(db, LEASES, "relay", clock, settings.relay_lease_s)
    stories = Stories(db, outbox, flights)
    backlog = Backlog(db, clock)
    relay = Relay(db, outbox, bus, clock, settings.relay_batch_max, lease)
    return BookingService(
        settings=settings,
        clock=clock,
        db=db,
        membership=membership,
        booker=_booker(settings, db, flights, chronicle, clock, background),
        bookings=bookings,
        staffing=Staffing(db, clock),
        timelines=timelines,
        calendars=Calendars(bookings, letters.sender),
        books=books,
        cashier=Cashier(db, views, driver, books, clock, call_max_s=settings.pay_max_s),
        driver=driver,
        waker=waker,
        auditing=auditing,
        webhooks=_webhooks(settings, db, waker, clock),
        flights=flights,
        provider=provider,
        background=background,
        changes=changes,
        drive=drive,
        bus=bus,
        lease=lease,
        mailer=mailer,
        stories=stories,
        desk=Desk(db, timelines, stories, clock),
        overview=Overview(db, backlog, dead_letters_of(bus), clock),
        jobs=(
            # What moved may have another step due: only a round in which nothing moved is a pause.
            Periodic("drive", settings.expiry_period_s, drive.run_once, round_max=1),
            Periodic("relay", settings.relay_period_s, relay.run_once, settings.relay_batch_max),
            *auditing.jobs,
            *membership.jobs,
        ),
        probes=probes_of(backlog, bus),
        routers=routers,
    )


def _booker(
    settings: BookingSettings,
    db: Database,
    flights: Flights,
    chronicle: Chronicle,
    clock: Clock,
    background: Background,
) -> Booker:
    ceiling = Ceiling(settings.unpaid_bookings_max, settings.unpaid_seats_max)
    recorder = Recorder(
        db,
        chronicle,
        clock,
        ceiling,
        batch_max=settings.record_batch_max,
        waiting_max=settings.record_waiting_max,
    )
    limits = Limits(settings.payment_window_s, settings.hold_grace_s)
    hoarding = Hoarding(db, ceiling, clock, waiting_max=settings.record_waiting_max)
    return Booker(db, flights, clock, background, recorder, hoarding, limits)


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
