"""Nobody holds many seats without paying, however they go about it."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from booking_stage import Gate, a_traveller, comes_back, http, written
from sqlalchemy import func, select

from skyhold.booking.errors import TooManyUnpaid
from skyhold.flight.models.tables import HoldRow
from support.system import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="function")


@pytest.fixture
def hall(start):
    """Both services, with the limits as they are for everybody."""
    return start(unpaid_bookings_max=3, unpaid_seats_max=9)


async def holds(system):
    async with system.flights.db.read() as tx:
        return await tx.scalar(select(func.count()).select_from(HoldRow))


async def test_three_unpaid_bookings_and_no_fourth(hall):
    async with hall as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        for _ in range(3):
            assert (await alice.book(flight)).status == 201
        before = await written(system)
        refused = await alice.book(flight)
        assert (refused.status, refused.code) == (409, "too_many_unpaid")
        assert await written(system) == before
        assert await holds(system) == 3
        assert await system.seats_left(flight) == 97
        assert (await (await a_traveller(system, "Bob")).book(flight)).status == 201


@pytest.mark.parametrize("ending", ["paid", "cancelled", "expired"])
async def test_what_is_paid_cancelled_or_expired_makes_room(hall, ending):
    async with hall as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        booked = [await alice.book(flight) for _ in range(3)]
        assert (await alice.book(flight)).status == 409
        if ending == "paid":
            assert (await alice.pay(booked[0])).status == 201
        elif ending == "cancelled":
            await alice.cancel(booked[0])
        else:
            system.advance(minutes=16)
            await system.bookings.drive.run_once()
        assert (await alice.book(flight)).status == 201


async def test_nine_seats_in_them_on_all_flights_together(hall):
    async with hall as system:
        alice = await a_traveller(system)
        there, back = await system.a_flight(), await system.a_flight(departs_in_h=300)
        assert (await alice.book(there, back, party=4)).status == 201
        assert (await alice.book(there, party=2)).code == "too_many_unpaid"
        assert (await alice.book(there, party=1)).status == 201
        assert (await alice.book(there)).code == "too_many_unpaid"


async def test_one_booking_of_more_than_that_is_refused_at_once(hall, world):
    async with hall as system:
        alice = await a_traveller(system)
        there, back = await system.a_flight(), await system.a_flight(departs_in_h=300)
        world.calms()
        refused = await alice.book(there, back, party=5)
        assert refused.code == "too_many_unpaid"
        assert world.made("PUT hold") == 0


@pytest.mark.parametrize("keyed", [True, False], ids=["with keys", "without keys"])
async def test_a_hundred_at_once_are_three_and_the_rest_holds_nothing(hall, keyed):
    async with hall as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        replies = await asyncio.gather(
            *(alice.book(flight, key=f"k{n}" if keyed else None) for n in range(100))
        )
        assert Counter(reply.code for reply in replies) == {None: 3, "too_many_unpaid": 97}
        assert await holds(system) == 3
        assert await system.seats_left(flight) == 97


async def test_no_more_are_under_way_than_could_be_held_at_all(hall):
    async with hall as system:
        hoarding = system.bookings.booker._hoarding
        with hoarding.begun("ada", "b1", 1), hoarding.begun("ada", "b2", 1) as two:
            assert two == {"b1": 1, "b2": 1}
            with pytest.raises(TooManyUnpaid), hoarding.begun("ada", "b3", 8):
                pytest.fail("ten seats")
            with (
                hoarding.begun("ada", "b3", 1),
                hoarding.begun("bob", "b5", 1),
                pytest.raises(TooManyUnpaid),
                hoarding.begun("ada", "b4", 1),
            ):
                pytest.fail("a fourth one")


async def test_of_twins_under_way_the_last_one_ends_it(hall):
    async with hall as system:
        hoarding = system.bookings.booker._hoarding
        with hoarding.begun("ada", "b1", 8):
            with hoarding.begun("ada", "b1", 1) as twin:
                assert twin == {"b1": 8}
            with pytest.raises(TooManyUnpaid), hoarding.begun("ada", "b2", 2):
                pytest.fail("ten seats")
        assert not hoarding._under_way


async def test_a_slow_twin_gets_the_booking_that_the_other_made(hall, world):
    """Though the user holds all they may by then: it is no booking more."""
    async with hall as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        world.on("PUT hold", http(410, {"code": "hold_ended", "detail": "Over."}), times=1)
        world.on("PUT hold", gate := Gate(before=False), times=1)
        slow = asyncio.create_task(alice.book(flight, key="trip"))
        await gate.reached.wait()
        system.bookings.booker._hoarding._under_way.clear()
        made = await alice.book(flight, key="trip")
        others = [await alice.book(flight) for _ in range(2)]
        assert [reply.status for reply in (made, *others)] == [201] * 3
        gate.opens()
        assert (await slow)["id"] == made["id"]


async def test_a_repeat_is_no_booking_more(hall):
    async with hall as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        first = await alice.book(flight, key="again")
        for _ in range(2):
            await alice.book(flight)
        repeats = await asyncio.gather(*(alice.book(flight, key="again") for _ in range(10)))
        assert {reply["id"] for reply in repeats} == {first["id"]}
        assert (await alice.book(flight, key="another")).code == "too_many_unpaid"


async def test_twenty_repeats_at_once_are_one_and_leave_room_for_two(hall):
    async with hall as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        replies = await asyncio.gather(*(alice.book(flight, key="once") for _ in range(20)))
        assert len({reply["id"] for reply in replies}) == 1
        assert [(await alice.book(flight)).status for _ in range(3)] == [201, 201, 409]


async def test_what_another_process_recorded_meanwhile_counts_and_the_seats_go_back(hall, world):
    """The recorder has the last word: before the hold nothing was to be seen yet."""
    async with hall as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        for _ in range(2):
            await alice.book(flight)
        world.on("PUT hold", gate := Gate(before=False), times=1)
        late = asyncio.create_task(alice.book(flight))
        await gate.reached.wait()
        system.bookings.booker._hoarding._under_way.clear()  # another process does not know of it
        assert (await alice.book(flight)).status == 201
        gate.opens()
        assert (await late).code == "too_many_unpaid"
        await comes_back(system, flight, left=97)


async def test_nothing_is_remembered_of_what_is_over(hall, world):
    async with hall as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        await asyncio.gather(*(alice.book(flight) for _ in range(10)))
        assert not system.bookings.booker._hoarding._under_way


async def test_an_account_deleted_in_the_middle_books_nothing(hall, world):
    async with hall as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        world.on("PUT hold", gate := Gate(before=False))
        late = asyncio.create_task(alice.book(flight))
        await gate.reached.wait()
        gone = await alice.send("POST", "users/me/deletion", {"password": PASSWORD})
        assert gone.status == 204
        before = await written(system)
        gate.opens()
        assert (await late).code == "invalid_token"
        assert await written(system) == before
        await comes_back(system, flight)
