"""Flights that change, and all that waits to be done: the same answers from every engine."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from booking_desk import FLIGHT, a_booking, a_payment
from flight_stage import a_flight, clear_the_ground, holds_on, lay_the_ground, wanted

from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.change import ChangeKind, FlightChange, Times
from skyhold.booking.models.payment import PaymentStatus
from skyhold.booking.repositories import backlog as booking_backlog
from skyhold.booking.repositories import flight_changes
from skyhold.flight.repositories import backlog as flight_backlog
from skyhold.kernel.backlog import ATTEMPTS_MANY, Due, Untold
from skyhold.kernel.ids import new_id

HELD, EXPIRED = BookingStatus.HELD, BookingStatus.EXPIRED


@pytest.fixture
def change(now):
    leaves = now + timedelta(days=9, hours=1)
    times = Times(leaves, leaves + timedelta(hours=6))
    return FlightChange(FLIGHT, 5, ChangeKind.RESCHEDULED, times, now, 0, 1, now)


async def test_a_change_is_noted_unless_a_later_one_was(desk, change, now):
    async def noted(sequence):
        told = replace(change, sequence=sequence)
        return await desk.transact(lambda tx: flight_changes.note(tx, told))

    outcomes = [await noted(sequence) for sequence in (5, 5, 4, 6, 5)]
    assert outcomes == [True, False, False, True, False]
    async with desk.read() as tx:
        assert await flight_changes.by_flight(tx, FLIGHT) == replace(change, sequence=6, ver=2)
        assert await flight_changes.due(tx, now, 10) == [FLIGHT]
        assert await flight_changes.due(tx, now - timedelta(microseconds=1), 10) == []


async def test_of_many_who_tell_a_booking_of_a_change_one_does(
    desk, connect, ada, write, change, now
):
    booking, other = a_booking(ada, now), a_booking(ada, now, status=EXPIRED)
    await write(booking, other)
    replicas = desk, connect()
    heard = await asyncio.gather(
        *(
            replicas[nth % 2].transact(lambda tx: flight_changes.hear(tx, change, booking.id))
            for nth in range(8)
        )
    )
    assert heard.count(True) == 1
    async with desk.read() as tx:
        assert await flight_changes.unaware(tx, change, {HELD}, 10) == []
        assert await flight_changes.unaware(tx, change, {HELD, EXPIRED}, 10) == [other.id]
        later = replace(change, sequence=6)
        assert await flight_changes.unaware(tx, later, {HELD}, 1) == [booking.id]
        assert await flight_changes.unaware(tx, later, {HELD}, 1, after=booking.id) == []


async def test_a_change_that_was_woken_meanwhile_is_not_done(desk, change, now):
    await desk.transact(lambda tx: flight_changes.note(tx, change))
    await desk.transact(lambda tx: flight_changes.wake(tx, [FLIGHT, "another"], now))

    def done(ver):
        seen = replace(change, ver=ver)
        return desk.transact(lambda tx: flight_changes.look_again(tx, seen, None, attempts=0))

    assert [await done(ver) for ver in (1, 2, 2)] == [False, True, False]


async def test_what_is_due_and_overdue_is_counted_by_its_state(desk, ada, write, now):
    stuck = now - timedelta(seconds=61)
    booking = a_booking(ada, now, due_at=now)
    void_due = {"status": PaymentStatus.VOID_DUE, "attempts": ATTEMPTS_MANY}
    await write(
        booking,
        a_booking(ada, now, due_at=stuck),
        a_booking(ada, now, due_at=now + timedelta(seconds=1)),
        a_booking(ada, now, status=BookingStatus.CONFIRMED, due_at=None),
        a_booking(ada, now, status=EXPIRED, due_at=stuck),
        a_payment(booking, now, **void_due, due_at=now + timedelta(hours=1)),
    )
    async with desk.read() as tx:
        found = await booking_backlog.bookings(tx, now)
        assert dict(found) == {"held": Due(2, 1), "expired": Due(1, 1)}
        found = await booking_backlog.payments(tx, now)
        assert dict(found) == {"void_due": Due(0, 1)}
        assert dict(await booking_backlog.flight_changes(tx, now)) == {}
        assert await booking_backlog.events(tx) == Untold(0, None)


async def test_holds_that_are_over_are_counted(db, clock):
    await clear_the_ground(db)
    await lay_the_ground(db)
    flight, holds = await a_flight(db, clock), holds_on(db, clock)
    for ttl_s in (60, 600):
        await holds.put(new_id(), "booking", wanted(flight, count=1, ttl_s=ttl_s))
    for seconds, due in ((59, Due(0, 0)), (1, Due(1, 0)), (60, Due(1, 1)), (480, Due(2, 1))):
        clock.advance(seconds=seconds)
        async with db.read() as tx:
            assert await flight_backlog.holds(tx, clock.now()) == due, seconds
