"""Many people at once: exactly the seats there are get sold, and nobody sees anything but a no."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime

from support.system import eventually
from support.traveller import seats_of

BUYERS = 500
ACCOUNTS = 20


async def at_once(*calls):
    return await asyncio.gather(*calls)


async def test_five_hundred_buyers_for_a_hundred_seats(system):
    flight = await system.a_flight()
    assert await system.seats_left(flight) == 100
    travellers = [await system.traveller(f"Buyer{n}") for n in range(ACCOUNTS)]

    replies = await at_once(*(travellers[n % ACCOUNTS].book(flight) for n in range(BUYERS)))

    outcomes = Counter((reply.status, reply.code) for reply in replies)
    assert outcomes == {(201, None): 100, (409, "sold_out"): 400}
    sold = [seat for reply in replies if reply.status == 201 for seat in seats_of(reply)]
    assert len(set(sold)) == 100
    assert await system.seats_left(flight) == 0
    assert set((await system.seat_states(flight)).values()) == {"held"}


async def test_fifty_buyers_for_the_same_seat(system):
    flight = await system.a_flight()
    travellers = [await system.traveller(f"Rival{n}") for n in range(10)]

    replies = await at_once(*(travellers[n % 10].book(flight, seats=["7C"]) for n in range(50)))

    outcomes = Counter((reply.status, reply.code) for reply in replies)
    assert outcomes == {(201, None): 1, (409, "seat_unavailable"): 49}
    assert await system.seats_left(flight) == 99


async def test_parties_that_overlap_get_all_their_seats_or_none(system, alice):
    flight = await system.a_flight()
    wishes = [["1A", "1C"], ["1C", "1D"], ["1D", "1F"], ["1F", "1A"]] * 5

    replies = await at_once(*(alice.book(flight, party=2, seats=seats) for seats in wishes))

    sold = [seat for reply in replies if reply.status == 201 for seat in seats_of(reply)]
    assert len(sold) == len(set(sold))
    states = await system.seat_states(flight)
    assert {seat for seat, state in states.items() if state == "held"} == set(sold)
    assert {reply.code for reply in replies if reply.status != 201} == {"seat_unavailable"}


async def test_the_same_request_twice_makes_one_booking(system, alice):
    flight = await system.a_flight()
    first = await alice.book(flight, party=2, key="once")
    second = await alice.book(flight, party=2, key="once")
    assert (first.status, second.status) == (201, 201)
    assert second["id"] == first["id"]
    assert second.headers["idempotent-replayed"] == "true"
    assert await system.seats_left(flight) == 98

    other = await alice.book(flight, party=3, key="once")
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert await system.seats_left(flight) == 98


async def test_the_same_request_twenty_times_at_once_makes_one_booking(system, alice, bob):
    flight = await system.a_flight()
    replies = await at_once(*(alice.book(flight, party=2, key="click") for _ in range(20)))
    assert {reply.status for reply in replies} == {201}
    assert len({reply["id"] for reply in replies}) == 1
    assert await system.seats_left(flight) == 98

    theirs = await bob.book(flight, key="click")
    assert theirs["id"] != replies[0]["id"]


async def test_a_hundred_payments_at_once_capture_once(system, alice):
    booking = await alice.book(await system.a_flight())
    replies = await at_once(*(alice.pay(booking) for _ in range(100)))
    outcomes = Counter((reply.status, reply.code) for reply in replies)
    assert outcomes[201, None] == 1
    assert set(outcomes) <= {(201, None), (200, None), (409, "payment_in_progress")}
    seen = await alice.get(booking)
    assert (seen["status"], seen["payment"]["status"]) == ("confirmed", "captured")


async def test_paying_at_the_deadline_either_pays_or_expires(system, alice):
    """The deadline falls among the payments: each ends paid and confirmed, or expired and free."""
    flight = await system.a_flight()
    bookings = [await alice.book(flight) for _ in range(30)]
    deadline = datetime.fromisoformat(bookings[15]["payment_required_by"])
    system.advance(seconds=(deadline - system.now()).total_seconds() - 1)

    async def pay_a_little_later(n, booking):
        await asyncio.sleep(n / 15)
        return await alice.pay(booking)

    replies = await at_once(*(pay_a_little_later(*each) for each in enumerate(bookings)))
    outcomes = {(reply.status, reply.code) for reply in replies}
    assert outcomes <= {(201, None), (409, "hold_expired")}
    assert (201, None) in outcomes
    assert (409, "hold_expired") in outcomes

    async def every_booking_rests():
        seen = [await alice.get(booking) for booking in bookings]
        return all(booking["status"] in {"confirmed", "expired"} for booking in seen)

    await eventually(every_booking_rests)
    for reply, booking in zip(replies, bookings, strict=True):
        seen = await alice.get(booking)
        assert (seen["status"] == "confirmed") == (reply.status == 201)
    sold = sum(reply.status == 201 for reply in replies)

    async def the_others_are_free():
        return await system.seats_left(flight) == 100 - sold

    await eventually(the_others_are_free)
