"""Recording bookings on every engine, from two processes at once: limits hold for all together."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from booking_desk import a_booking, a_user
from sqlalchemy import select

from skyhold.booking.errors import TooManyUnpaid
from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.hoard import Ceiling
from skyhold.booking.models.tables import BookingRow, PassengerRow
from skyhold.booking.repositories import users
from skyhold.booking.services.events import Chronicle
from skyhold.booking.services.record import Recorder
from skyhold.booking.wiring import OUTBOX
from skyhold.kernel.auth import InvalidToken
from skyhold.kernel.outbox import Outbox


@pytest.fixture
async def recorder(desk, connect, clock):
    """The recorder of one process; several share the database."""
    made = []

    def make(bookings_max=3, seats_max=9):
        chronicle = Chronicle(Outbox(OUTBOX, "booking"), clock)
        ceiling = Ceiling(bookings_max, seats_max)
        made.append(Recorder(connect(), chronicle, clock, ceiling, batch_max=16, waiting_max=1_000))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def outcome(recorder, booking):
    try:
        await recorder.record(booking)
    except (TooManyUnpaid, InvalidToken) as refusal:
        return type(refusal)
    return None


async def written(desk):
    async with desk.read() as tx:
        bookings = [row.id for row in await tx.rows(select(BookingRow.id))]
        seated = {row.booking_id for row in await tx.rows(select(PassengerRow.booking_id))}
    assert seated == set(bookings)
    return bookings


async def test_of_sixty_at_two_processes_three_are_recorded(recorder, desk, ada, now):
    here, there = recorder(), recorder()
    outcomes = await asyncio.gather(
        *(outcome((here, there)[n % 2], a_booking(ada, now)) for n in range(60))
    )
    assert Counter(outcomes) == {None: 3, TooManyUnpaid: 57}
    assert len(await written(desk)) == 3


async def test_one_persons_greed_costs_nobody_else_anything(recorder, desk, ada, now):
    bob = a_user(now)
    await desk.transact(lambda tx: users.add(tx, bob))
    both = [a_booking(ada if n % 4 else bob, now) for n in range(12)]
    recorder = recorder()
    outcomes = await asyncio.gather(*(outcome(recorder, one) for one in both))
    assert [it for it, one in zip(outcomes, both, strict=True) if one.user_id == bob.id] == [
        None
    ] * 3
    assert Counter(outcomes) == {None: 6, TooManyUnpaid: 6}


async def test_seats_count_too_and_the_first_come_first(recorder, desk, ada, now):
    recorder = recorder(bookings_max=100, seats_max=5)
    wanted = [a_booking(ada, now) for _ in range(4)]  # two seats each
    outcomes = await asyncio.gather(*(outcome(recorder, one) for one in wanted))
    assert outcomes == [None, None, TooManyUnpaid, TooManyUnpaid]
    assert sorted(await written(desk)) == sorted(one.id for one in wanted[:2])


async def test_only_what_is_unpaid_counts(recorder, write, desk, ada, now):
    for status in (BookingStatus.CONFIRMED, BookingStatus.CANCELLED, BookingStatus.EXPIRED):
        await write(a_booking(ada, now, status=status, due_at=now))
    paying = a_booking(ada, now, status=BookingStatus.PAYING, active_payment_id="p")
    await write(paying, a_booking(ada, now))
    recorder = recorder()
    outcomes = [await outcome(recorder, a_booking(ada, now)) for _ in range(2)]
    assert outcomes == [None, TooManyUnpaid]


async def test_an_account_that_is_gone_books_nothing_and_its_neighbours_do(
    recorder, desk, ada, now
):
    eve = a_user(now)
    await desk.transact(lambda tx: users.add(tx, eve))
    await desk.transact(
        lambda tx: users.erase(tx, eve.id, password_hash=eve.password_hash, now=now)
    )
    ghost = a_user(now)
    recorder = recorder()
    wanted = [a_booking(who, now) for who in (eve, ada, ghost, ada)]
    outcomes = await asyncio.gather(*(outcome(recorder, one) for one in wanted))
    assert outcomes == [InvalidToken, None, InvalidToken, None]


async def test_who_deletes_the_account_comes_before_a_booking_or_after_it(recorder, desk, ada, now):
    """Whichever it is: nothing is recorded for an account that was gone."""
    recorder = recorder(bookings_max=100, seats_max=1_000)

    async def delete():
        async def erase(tx):
            assert await users.erase(tx, ada.id, password_hash=ada.password_hash, now=now)
            return [row.id for row in await tx.rows(select(BookingRow.id))]

        return await desk.transact(erase)

    *outcomes, seen = await asyncio.gather(
        *(outcome(recorder, a_booking(ada, now)) for _ in range(20)), delete()
    )
    assert sorted(await written(desk)) == sorted(seen)
    assert outcomes.count(None) == len(seen)
