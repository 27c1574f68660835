"""What an audit reads and repairs, on every engine: both sides sorted alike, repairs guarded."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from booking_desk import a_booking, a_payment, a_user
from contract_stage import servers_only
from flight_stage import (
    CLIENT,
    a_flight,
    books_of,
    clear_the_ground,
    holds_on,
    lay_the_ground,
    wanted,
)
from sqlalchemy import delete, insert

from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.payment import PaymentStatus
from skyhold.booking.repositories import audit, booking_moves, bookings, payments, users
from skyhold.flight.errors import SeatUnavailable
from skyhold.flight.models.tables import SeatClaimRow
from skyhold.flight.repositories import inventory
from skyhold.flight.services.inventory import Inventory
from skyhold.kernel.db import Database
from skyhold.kernel.ids import derived_id, new_id
from support.databases import fresh_database, migrate, require

RIVALS = 6


def ids(count: int) -> list[str]:
    """As bookings have them: by the time, or derived from a key, so all over the place."""
    return [new_id() if nth % 2 else derived_id(str(nth)) for nth in range(count)]


async def all_pages(read, limit):
    found, after = [], None
    while True:
        page = await read(after, limit)
        found += page
        if len(page) < limit:
            return [one.id for one in found]
        after = page[-1].id


@pytest.fixture
def pages(desk):
    def pages(what, limit, **more):
        async def read(after, limit):
            async with desk.read() as tx:
                if what is audit.payments:
                    return await what(tx, after=after, limit=limit, **more)
                return await what(tx, after, limit)

        return all_pages(read, limit)

    return pages


@pytest.fixture
async def ground(db):
    await clear_the_ground(db)
    await lay_the_ground(db)
    return db


# --- reading ----------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 4, 100])
async def test_bookings_and_payments_come_by_their_ids_on_pages_of_any_size(
    desk, ada, now, write, pages, limit
):
    written = [a_booking(ada, now, id=id) for id in ids(9)]
    paid = [a_payment(booking, now, id=id) for booking, id in zip(written, ids(9), strict=True)]
    await write(*written, *(replace(one, id=new_id()) for one in paid[:3]), *paid[3:])
    assert await pages(audit.bookings, limit) == sorted(booking.id for booking in written)
    by_id = await pages(audit.payments, limit, since=None)
    assert len(by_id) == 9
    assert by_id == sorted(by_id)


async def test_of_payments_those_begun_since_then(desk, ada, now, write, pages):
    booking = a_booking(ada, now)
    old = a_payment(booking, now, created_at=now - timedelta(microseconds=1))
    new = a_payment(booking, now)
    await write(booking, old, new)
    assert await pages(audit.payments, 10, since=now) == [new.id]
    assert len(await pages(audit.payments, 10, since=None)) == 2


async def test_what_is_read_is_what_was_written(desk, ada, now, write):
    booking = a_booking(ada, now)
    first = a_payment(booking, now, created_at=now - timedelta(seconds=1))
    second = a_payment(booking, now, reference="pi_1", attempts=3)
    await write(booking, second, first)
    async with desk.read() as tx:
        (facts,) = await audit.bookings(tx, None, 10)
        assert facts == (await audit.bookings_by_ids(tx, [booking.id, new_id()]))[booking.id]
        assert (facts.status, facts.total, facts.ver) == (booking.status, booking.total, 1)
        assert facts.due_at == facts.payment_required_by == booking.payment_required_by
        flight = booking.segments[0].flight_id
        assert facts.seats == {(flight, "1A"), (flight, "1B")}
        paid = (await audit.payments_of(tx, [booking.id]))[booking.id]
        assert [one.id for one in paid] == [first.id, second.id]
        assert (paid[1].amount, paid[1].reference, paid[1].attempts) == (second.amount, "pi_1", 3)
        assert (await audit.payments_by_ids(tx, [second.id]))[second.id] == paid[1]
        assert await audit.how_many(tx) == (1, 2)


async def test_both_services_sort_their_ids_alike(desk, ada, ground, clock, now, write, pages):
    flight, holds = await a_flight(ground, clock), holds_on(ground, clock)
    both = ids(12)
    await write(*(a_booking(ada, now, id=id) for id in both))
    for id in both:
        await holds.put(id, CLIENT, wanted(flight, count=1))
    await holds.close()
    page = await Inventory(ground, clock).page(CLIENT, None, 100)
    assert [facts.hold_id for facts in page.data] == await pages(audit.bookings, 5) == sorted(both)


async def test_nothing_is_lost_where_the_server_sorts_by_a_language(tmp_path, clock, now):
    require("postgresql")
    icu = "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C.UTF-8'"
    with fresh_database("postgresql", tmp_path, made_with=icu) as url:
        migrate(url, with_reference=False)
        db = Database(url)
        user = a_user(now)
        # Not ids of ours: capitals come between the small letters in English.
        odd = ["a-b", "A-b", "a_b", "b", "B", "aB", "ab", "-a", *ids(6)]
        await db.transact(lambda tx: users.add(tx, user))
        await db.transact(lambda tx: bookings.add(tx, [a_booking(user, now, id=id) for id in odd]))

        async def read(after, limit):
            async with db.read() as tx:
                return await audit.bookings(tx, after, limit)

        found = await all_pages(read, 3)
        ours = [id for id in found if len(id) == 36]
        await db.close()
    assert sorted(found) == sorted(odd)
    assert found != sorted(odd), "it is a server of that kind"
    assert ours == sorted(ours), "and ours are in order even there"


async def test_pages_of_holds_have_the_claims_of_nobody_in_their_place(ground, clock):
    flight, holds = await a_flight(ground, clock), holds_on(ground, clock)
    inventory = Inventory(ground, clock)
    some = sorted(ids(9))
    for id in some[::2]:
        await holds.put(id, CLIENT, wanted(flight, count=2))
    await holds.close()
    free = iter([f"5{letter}" for letter in "ABCD"])
    for id in some[1::2]:
        await claim(ground, flight, next(free), id)
    for limit in (1, 2, 4, 500):
        found, after = [], None
        while True:
            page = await inventory.page(CLIENT, after, limit)
            found += page.data
            after = page.next
            if after is None:
                break
        assert [facts.hold_id for facts in found] == some
        assert [facts.status is None for facts in found] == [False, True] * 4 + [False]
    assert (await inventory.of(CLIENT, some[:2])).data == found[:2]


# --- repairing --------------------------------------------------------------------------------


async def facts_of(db, booking_id):
    async with db.read() as tx:
        return (await audit.bookings_by_ids(tx, [booking_id]))[booking_id]


async def of_many(db, connect, repair):
    replicas = db, connect()
    return await asyncio.gather(*(replicas[nth % 2].transact(repair) for nth in range(RIVALS)))


@pytest.mark.parametrize("status", [BookingStatus.EXPIRED, BookingStatus.CANCELLED])
async def test_of_many_who_reopen_a_hold_one_does(desk, connect, ada, now, write, status):
    booking = a_booking(ada, now, status=status, hold_open=False, due_at=None)
    await write(booking)
    seen = await facts_of(desk, booking.id)
    done = await of_many(desk, connect, lambda tx: audit.reopen_hold(tx, seen, now))
    assert done.count(True) == 1
    after = await facts_of(desk, booking.id)
    assert (after.hold_open, after.due_at, after.ver) == (True, now, 2)


async def test_a_hold_is_reopened_for_what_has_ended_only(desk, ada, now, write):
    for status in (BookingStatus.HELD, BookingStatus.CONFIRMED):
        booking = a_booking(ada, now, status=status)
        await write(booking)
        seen = await facts_of(desk, booking.id)
        assert not await desk.transact(lambda tx, seen=seen: audit.reopen_hold(tx, seen, now))
        assert await facts_of(desk, booking.id) == seen


async def test_of_many_who_make_a_booking_due_one_does(desk, connect, ada, now, write):
    booking = a_booking(ada, now, due_at=now + timedelta(days=9), attempts=12)
    await write(booking)
    seen = await facts_of(desk, booking.id)
    done = await of_many(desk, connect, lambda tx: audit.make_due(tx, seen, now))
    assert done.count(True) == 1
    after = await facts_of(desk, booking.id)
    assert after == replace(seen, due_at=now, attempts=0, ver=2)


async def test_what_is_at_rest_is_not_made_due(desk, ada, now, write):
    at_rest = [
        a_booking(ada, now, status=BookingStatus.CONFIRMED, due_at=None),
        a_booking(ada, now, status=BookingStatus.CANCELLED, hold_open=False, due_at=None),
    ]
    await write(*at_rest)
    for booking in at_rest:
        seen = await facts_of(desk, booking.id)
        assert not await desk.transact(lambda tx, seen=seen: audit.make_due(tx, seen, now))


async def test_a_booking_that_moved_since_it_was_seen_stops_a_repair(desk, ada, now, write):
    given_back = {"status": BookingStatus.CANCELLED, "hold_open": False, "due_at": None}
    closed = a_booking(ada, now, **given_back)
    await write(closed)
    seen = await facts_of(desk, closed.id)
    await desk.transact(lambda tx: booking_moves.touch(tx, closed.id))
    assert not await desk.transact(lambda tx: audit.reopen_hold(tx, seen, now))
    booking = a_booking(ada, now, status=BookingStatus.CANCELLED)
    payment = a_payment(booking, now, status=PaymentStatus.CAPTURED, due_at=None)
    await write(booking, payment)
    seen = await facts_of(desk, booking.id)
    await desk.transact(lambda tx: booking_moves.touch(tx, booking.id))
    assert not await desk.transact(lambda tx: audit.touch(tx, seen))
    assert not await desk.transact(lambda tx: audit.make_due(tx, seen, now))
    assert await desk.transact(lambda tx: audit.touch(tx, replace(seen, ver=2)))
    async with desk.read() as tx:
        assert (await payments.by_id(tx, payment.id)).status is PaymentStatus.CAPTURED


# --- mending claims -----------------------------------------------------------------------------


async def claim(db, flight, seat, hold_id):
    row = {"flight_id": flight, "seat": seat, "cabin": "economy", "hold_id": hold_id}
    await db.transact(lambda tx: tx.run(insert(SeatClaimRow), [row]))


async def lose_claims(db, hold_id):
    lost = delete(SeatClaimRow).where(SeatClaimRow.hold_id == hold_id)
    await db.transact(lambda tx: tx.run(lost))


async def test_many_mend_one_hold_at_once_and_it_has_its_seats_once(ground, connect, clock):
    flight, holds = await a_flight(ground, clock), holds_on(ground, clock)
    id = new_id()
    await holds.put(id, CLIENT, wanted(flight, "1A", "1B"))
    await lose_claims(ground, id)
    await claim(ground, flight, "2A", id)
    replicas = ground, connect()
    told = await asyncio.gather(
        *(Inventory(replicas[nth % 2], clock).mend(CLIENT, id) for nth in range(RIVALS))
    )
    await holds.close()
    assert {(len(one.unclaimed), len(one.surplus)) for one in told} == {(0, 0)}
    (await books_of(ground, flight)).check()


@servers_only  # SQLite lets nobody else write meanwhile
async def test_who_mends_second_finds_it_mended(ground, connect, clock, monkeypatch):
    flight, holds = await a_flight(ground, clock), holds_on(ground, clock)
    id = new_id()
    await holds.put(id, CLIENT, wanted(flight, "1A", "1B"))
    await holds.close()
    await lose_claims(ground, id)
    rival, keep, met = Inventory(connect(), clock), inventory.keep, []

    async def overtaken(tx, held, now):
        if not met:
            met.append(held)
            await rival.mend(CLIENT, id)
        return await keep(tx, held, now)

    monkeypatch.setattr(inventory, "keep", overtaken)
    told = await Inventory(ground, clock).mend(CLIENT, id)
    assert met
    assert (told.unclaimed, told.surplus) == ([], [])
    (await books_of(ground, flight)).check()


async def test_mending_against_a_release_never_leaves_claims_without_a_hold(ground, connect, clock):
    flight, holds = await a_flight(ground, clock), holds_on(ground, clock)
    other = Inventory(connect(), clock)
    for _ in range(6):
        id = new_id()
        await holds.put(id, CLIENT, wanted(flight, count=2))
        await lose_claims(ground, id)
        await asyncio.gather(other.mend(CLIENT, id), holds.release(id, CLIENT, cancel=True))
        (await books_of(ground, flight)).check()
    await holds.close()


async def test_a_seat_that_is_sold_meanwhile_stays_with_whoever_has_it(ground, clock):
    flight, holds = await a_flight(ground, clock), holds_on(ground, clock)
    first, second = new_id(), new_id()
    await holds.put(first, CLIENT, wanted(flight, "1A", "1B"))
    await lose_claims(ground, first)
    await holds.put(second, CLIENT, wanted(flight, "1B"))
    await holds.close()
    with pytest.raises(SeatUnavailable):
        await Inventory(ground, clock).mend(CLIENT, first)
    assert (await books_of(ground, flight)).claims == {"1B": second}


async def test_claims_of_nobody_are_freed_for_good(ground, clock):
    flight, holds = await a_flight(ground, clock), holds_on(ground, clock)
    id = new_id()
    for seat in ("1A", "3C"):
        await claim(ground, flight, seat, id)
    told = await Inventory(ground, clock).mend(CLIENT, id)
    assert (told.status, told.surplus) == ("released", [])
    await holds.put(new_id(), CLIENT, wanted(flight, "1A", "3C"))
    await holds.close()
    (await books_of(ground, flight)).check()
