"""The driver's job: finds what is due, and lets nobody wait for somebody else's silence."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from booking_stage import (
    Gate,
    a_traveller,
    answers,
    look,
    lost_request,
    raises,
    states,
    told,
)
from sqlalchemy import func, select, text

from skyhold.booking.clients.payments.port import ProviderState as Provider
from skyhold.booking.jobs import drive
from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.tables import BookingRow
from skyhold.booking.repositories import bookings
from skyhold.kernel.ids import new_id, new_locator
from support.system import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUICK = {"expiry_period_s": 0.02}


@pytest.fixture
def short_rounds(monkeypatch):
    """For tests in which somebody is silent: a round waits for them to its end."""
    monkeypatch.setattr(drive, "ROUND_S", 0.05)


async def many_like(system, booking, count, **changes):
    """So many more bookings of the same customer, written without asking for their seats."""
    kept, _ = await look(system, booking)
    more = [
        replace(kept, id=new_id(), record_locator=new_locator(), **changes) for _ in range(count)
    ]
    await system.bookings.db.transact(lambda tx: bookings.add(tx, more))


async def how_many(system):
    """How many bookings there are, by status and whether their seats are still to be given back."""
    async with system.bookings.db.read() as tx:
        rows = await tx.rows(
            select(BookingRow.status, BookingRow.hold_open, func.count().label("n")).group_by(
                BookingRow.status, BookingRow.hold_open
            )
        )
    return {(row.status, row.hold_open): row.n for row in rows}


async def test_unpaid_bookings_expire_by_themselves_and_their_seats_are_free(start):
    async with start(**QUICK) as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        made = [await alice.book(flight) for _ in range(3)]
        system.advance(minutes=14, seconds=50)
        await asyncio.sleep(0.1)
        assert await how_many(system) == {("held", True): 3}
        system.advance(seconds=11)

        async def all_expired():
            return await how_many(system) == {("expired", False): 3}

        await eventually(all_expired)
        assert await system.seats_left(flight) == 100
        assert await told(system, made[0]) == ["booking.held", "booking.expired"]


async def test_a_silent_provider_delays_nobody_elses_expiry(start, world, short_rounds):
    async with start(provider_timeout_s=20, drain_s=90, **QUICK) as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        stuck, unpaid = await alice.book(flight), await alice.book(flight)
        world.on("authorise", lost_request, times=1)
        assert (await alice.pay(stuck)).status == 202
        system.advance(seconds=2)
        world.on("authorise", silent := Gate(before=True))
        await silent.reached.wait()
        system.advance(minutes=15, seconds=1)

        async def it_has_expired():
            return await states(system, unpaid) == ("expired", None, False)

        await eventually(it_has_expired, within_s=10)
        assert (await states(system, stuck))[0] == "paying"
        silent.opens()


async def test_a_provider_silent_for_everybody_delays_no_expiry_either(start, world, short_rounds):
    """More payments wait for it than steps may be under way at once."""
    settings = QUICK | {"expiry_batch_max": 4, "provider_timeout_s": 20, "drain_s": 90}
    async with start(**settings) as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        stuck = [await alice.book(flight) for _ in range(6)]
        unpaid = await alice.book(flight)
        world.on("authorise", lost_request, times=6)
        await asyncio.gather(*(alice.pay(booking) for booking in stuck))
        system.advance(seconds=2)
        world.on("authorise", silent := Gate(before=True))
        await silent.reached.wait()
        system.advance(minutes=15, seconds=1)

        async def it_has_expired():
            return await states(system, unpaid) == ("expired", None, False)

        await eventually(it_has_expired, within_s=10)
        assert world.made("authorise") - 6 <= 4
        silent.opens()


async def test_a_silent_flight_service_delays_no_expiry(start, world, short_rounds):
    """Seats cannot be given back just now; that a booking has ended is told all the same."""
    async with start(expiry_batch_max=2, **QUICK) as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        for _ in range(5):
            await alice.book(flight)
        world.on("DELETE.*", silent := Gate(before=True))
        system.advance(minutes=15, seconds=1)

        async def all_expired():
            return await how_many(system) == {("expired", True): 5}

        await eventually(all_expired, within_s=10)
        silent.opens()


async def test_three_hundred_due_bookings_drain_in_bounded_rounds(start):
    async with start() as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        booking = await alice.book(flight)
        now = system.clock.now()
        await many_like(system, booking, 300, status=BookingStatus.EXPIRED, due_at=now)
        system.bookings.flights.release = at_once
        bound = system.bookings.settings.expiry_batch_max
        rounds = []
        drained = {("held", True): 1, ("expired", False): 300}
        while await how_many(system) != drained:
            rounds.append(await system.bookings.drive.run_once())
        assert max(rounds) <= bound
        assert len(rounds) >= 300 / bound


async def at_once(_):
    """The flight service as fast as it could ever be."""


async def test_a_backlog_drains_without_pauses(start):
    """It takes eight rounds and more; a pause after each of them would be half a minute."""
    async with start(expiry_period_s=4, expiry_batch_max=5) as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        booking = await alice.book(flight)
        await many_like(system, booking, 39)
        system.advance(minutes=15, seconds=1)
        job = next(job for job in system.bookings.jobs if job.name == "drive")
        await job.stop()
        job._stopping.clear()
        job.start()

        async def all_done():
            return await how_many(system) == {("expired", False): 40}

        await eventually(all_done, within_s=15)


async def test_the_longest_overdue_comes_first(start):
    async with start(expiry_batch_max=1) as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        first = await alice.book(flight)
        system.advance(minutes=1)
        second = await alice.book(flight)
        system.advance(minutes=15)
        await system.bookings.drive.run_once()
        assert (await states(system, first))[0] == "expired"
        assert (await states(system, second))[0] == "held"


async def test_what_is_not_due_is_left_alone(start, world):
    async with start() as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        paid, held = await alice.book(flight), await alice.book(flight)
        await alice.pay(paid)
        before = [await look(system, booking) for booking in (paid, held)]
        assert await system.bookings.drive.run_once() == 0
        assert [await look(system, booking) for booking in (paid, held)] == before
        world.calms()
        system.advance(minutes=14)
        assert await system.bookings.drive.run_once() == 0
        assert world.calls == []


async def test_one_that_always_fails_does_not_stop_the_others(start, world):
    async with start() as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        cursed, unpaid = await alice.book(flight), await alice.book(flight)
        world.on("capture", raises(ZeroDivisionError()))
        assert (await alice.pay(cursed)).status == 202
        system.advance(minutes=15, seconds=1)
        for _ in range(4):
            await system.bookings.drive.run_once()
        assert await states(system, unpaid) == ("expired", None, False)
        assert (await states(system, cursed))[0] == "paying"
        world.calms()
        system.advance(minutes=1)
        await system.bookings.drive.run_once()
        assert await states(system, cursed) == ("confirmed", "captured", True)


async def test_a_database_that_is_away_for_a_moment_ends_no_job(start, world):
    async with start(**QUICK) as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        booking = await alice.book(flight)
        await system.bookings.db.transact(
            lambda tx: tx.run(text("ALTER TABLE payments RENAME TO away"))
        )
        system.advance(minutes=15, seconds=1)
        await asyncio.sleep(0.1)
        await system.bookings.db.transact(
            lambda tx: tx.run(text("ALTER TABLE away RENAME TO payments"))
        )

        async def it_has_expired():
            return await states(system, booking) == ("expired", None, False)

        await eventually(it_has_expired)


async def test_what_is_under_way_is_not_begun_again_by_the_next_round(start, world, short_rounds):
    async with start(provider_timeout_s=20, drain_s=90) as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        booking = await alice.book(flight)
        world.on("authorise", lost_request, times=1)
        await alice.pay(booking)
        system.advance(seconds=5)
        world.on("authorise", slow := Gate(before=True))
        for _ in range(2):
            assert await system.bookings.drive.run_once() == 0
        assert world.made("authorise") == 2
        slow.opens()

        async def it_is_confirmed():
            await system.bookings.drive.run_once()
            return (await states(system, booking))[0] == "confirmed"

        await eventually(it_is_confirmed)
        assert world.made("authorise") == 2


async def test_a_stopping_service_waits_for_the_step_that_is_under_way(start, world):
    async with start() as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        booking = await alice.book(flight)
        system.advance(minutes=15, seconds=1)
        await system.bookings.drive.run_once()
        world.on("DELETE.*", slow := Gate(before=False))
        giving_back = asyncio.create_task(system.bookings.drive.run_once())
        await slow.reached.wait()
        closing = asyncio.create_task(system.bookings.drive.close(timeout_s=10))
        await asyncio.sleep(0.02)
        assert not closing.done()
        slow.opens()
        await closing
        await giving_back
        assert await states(system, booking) == ("expired", None, False)


async def test_a_step_that_does_not_end_is_cut_off_and_still_due(start, world, short_rounds):
    async with start(provider_timeout_s=20, drain_s=90) as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        booking = await alice.book(flight)
        world.on("authorise", lost_request, times=1)
        await alice.pay(booking)
        system.advance(seconds=5)
        world.on("authorise", Gate(before=True))
        await system.bookings.drive.run_once()
        await system.bookings.drive.close(timeout_s=0.01)
        kept, _ = await look(system, booking)
        assert kept.status.value == "paying"
        assert kept.due_at < system.clock.now() + timedelta(seconds=1)


async def test_refunds_are_found_by_the_job_too(start, world):
    async with start() as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        booking = await alice.book(flight)
        await alice.pay(booking)
        world.on("refund", answers(Provider.PENDING), times=1)
        assert (await alice.cancel(booking))["payment"]["refund"]["status"] == "due"
        assert await system.bookings.drive.run_once() == 0
        system.advance(seconds=2)
        assert await system.bookings.drive.run_once() == 1
        assert await states(system, booking) == ("cancelled", "refunded", False)
