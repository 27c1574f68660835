"""A booking from its account to its payment, while the database is lost in every COMMIT of it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from contract_stage import servers_only
from flight_stage import a_flight, books_of, clear_the_ground, lay_the_ground
from sqlalchemy import func, select

from skyhold import embedded
from skyhold.booking.clients.payments.port import Charge, ProviderState
from skyhold.booking.models.booking import BookingStatus, Passenger, PassengerType
from skyhold.booking.models.payment import PaymentStatus
from skyhold.booking.models.tables import OUTBOX, BookingRow, PaymentRow, UserRow
from skyhold.booking.services.book import Order
from skyhold.booking.services.pay import Wish
from skyhold.booking.settings import BookingSettings
from skyhold.booking.wiring import wire as wire_booking
from skyhold.contracts.holds import HoldStatus, SegmentWanted
from skyhold.flight.settings import FlightSettings
from skyhold.flight.wiring import wire as wire_flight
from skyhold.kernel.clock import VirtualClock
from support.system import PASSWORD, SETTINGS, eventually

pytestmark = servers_only


class Line:
    """The booking service's way to its database; each COMMIT is lost on it, the first time."""

    def __init__(self, wire, outside, lost):
        self.wire, self.outside, self.lost = wire, outside, lost
        self.losses = 0

    def take_hold_of(self, db):
        transact = db.transact

        async def lossy(work):
            before = await self.everything()
            runs = []

            async def first_lost(tx):
                result = await work(tx)
                runs.append(result)
                if len(runs) == 1:
                    await self.lose(before)
                return result

            return await transact(first_lost)

        db.transact = lossy

    async def lose(self, before):
        self.losses += 1
        if self.lost == "request":
            await self.wire.cut()
            await self.wire.heal()
            return
        self.wire.silence()
        self.breaking = asyncio.create_task(self.break_once_committed(before))

    async def break_once_committed(self, before):
        async def it_is_there():
            return await self.everything() != before

        await eventually(it_is_there)
        await self.wire.cut()
        await self.wire.heal()

    async def everything(self):
        """Something that every transaction of this service changes."""
        async with self.outside.read() as tx:
            counts = [
                await tx.scalar(select(func.count()).select_from(table))
                for table in (UserRow, BookingRow, PaymentRow, OUTBOX)
            ]
            sums = [
                await tx.scalar(select(func.sum(row.ver) + func.sum(row.attempts)))
                for row in (BookingRow, PaymentRow)
            ]
        return counts, sums


def settings(kind, **wanted):
    given = SETTINGS | wanted
    return kind(_env_file=None, **{k: v for k, v in given.items() if k in kind.model_fields})


@asynccontextmanager
async def services(url, wire, folder):
    clock = VirtualClock()
    flights = wire_flight(settings(FlightSettings, data_dir=folder, database_url=url), clock)
    bookings = wire_booking(
        settings(BookingSettings, data_dir=folder, database_url=wire.url(url)),
        clock=clock,
        transport=embedded.to_flights(flights, timeout_s=5),
    )
    async with flights.running(jobs=False), bookings.running(jobs=False):
        yield bookings, flights
    assert (bookings.db.checked_out, flights.db.checked_out) == (0, 0)


@pytest.mark.parametrize("key", [None, "a-key"])
@pytest.mark.parametrize("lost", ["request", "answer"])
async def test_every_commit_may_be_lost_once_and_all_is_done_once(
    connect, wire, url, tmp_path, lost, key
):
    outside = connect()
    await clear_the_ground(outside)
    await lay_the_ground(outside)
    line = Line(wire, outside, lost)
    async with asyncio.timeout(30), services(url, wire, tmp_path) as (bookings, flights):
        flight = await a_flight(outside, flights.holds._clock)
        line.take_hold_of(bookings.db)
        user = await bookings.users.register("Ada", f"{lost}-{key}@example.com", PASSWORD)

        segment = SegmentWanted(flight_id=flight, count=1)
        ada = Passenger("Ada", "Lovelace", PassengerType.ADULT, None)
        order = Order((segment,), (ada,), None, "d" * 64)
        booked = await bookings.booker.book(user.id, order, key)
        assert not booked.replayed or lost == "answer"

        paid = await bookings.cashier.pay(user.id, Wish(booked.booking.id, "tok_visa"), key)
        assert paid.settled
        assert paid.payment.status is PaymentStatus.CAPTURED
        assert paid.booking.status is BookingStatus.CONFIRMED
        assert line.losses >= 5  # account, booking, intent, authorised, seats ours, captured

        books = await books_of(outside, flight)
        books.check()
        assert books.states() == {booked.booking.id: HoldStatus.CONFIRMED}
        known = await bookings.provider.get(Charge.of(paid.payment))
        assert known.state is ProviderState.CAPTURED
        async with outside.read() as tx:
            told = await tx.rows(
                select(OUTBOX.c.type)
                .where(OUTBOX.c.subject == booked.booking.id)
                .order_by(OUTBOX.c.sequence)
            )
        assert [event.type for event in told] == ["booking.held", "booking.confirmed"]
        assert booked.booking.payment_required_by < flights.holds.now() + timedelta(minutes=16)
