"""Cancelling: the seats go back once, the money goes back once, and only what may be cancelled."""

from __future__ import annotations

import asyncio

import pytest
from booking_stage import (
    Gate,
    a_traveller,
    again,
    dies,
    in_the_end,
    ledger,
    look,
    lost_answer,
    lost_request,
    states,
    told,
    written,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def paid(alice, flight, **wish):
    booking = await alice.book(flight, **wish)
    assert (await alice.pay(booking)).status == 201
    return booking


async def patch(traveller, booking, body):
    return await traveller.send("PATCH", f"bookings/{booking['id']}", body)


async def test_an_unpaid_booking_gives_its_seats_back_at_once(still, alice, flight):
    booking = await alice.book(flight, party=2)
    cancelled = await alice.cancel(booking)
    assert (cancelled.status, cancelled["status"]) == (200, "cancelled")
    assert (cancelled["available_actions"], cancelled["payment"]) == ([], None)
    assert await states(still, booking) == ("cancelled", None, False)
    assert await still.seats_left(flight) == 100
    assert await told(still, booking) == ["booking.held", "booking.cancelled"]


async def test_a_paid_booking_gives_seats_and_money_back(still, alice, flight):
    booking = await paid(alice, flight, party=2)
    cancelled = await alice.cancel(booking)
    amount = {"amount": "258.00", "currency": "USD"}
    assert cancelled["status"] == "cancelled"
    assert cancelled["payment"]["status"] == "captured"
    assert cancelled["payment"]["refund"] == {"status": "succeeded", "amount": amount}
    assert await ledger(still, booking) == ["refunded"]
    assert await still.seats_left(flight) == 100


async def test_patch_cancels_like_delete(still, alice, flight):
    booking = await paid(alice, flight)
    cancelled = await patch(alice, booking, {"status": "cancelled"})
    assert (cancelled.status, cancelled["status"]) == (200, "cancelled")
    assert await ledger(still, booking) == ["refunded"]


async def test_cancelling_again_answers_the_same_and_does_nothing(still, alice, world, flight):
    booking = await paid(alice, flight)
    first = await alice.cancel(booking)
    events = await told(still, booking)
    for reply in (
        await alice.cancel(booking),
        await patch(alice, booking, {"status": "cancelled"}),
    ):
        assert (reply.status, reply.body) == (200, first.body)
    assert await told(still, booking) == events
    assert world.made("refund") == 1


@pytest.mark.parametrize("pays", [False, True], ids=["unpaid", "paid"])
async def test_twenty_at_once_cancel_once(still, alice, world, flight, pays):
    booking = await (paid(alice, flight) if pays else alice.book(flight))
    replies = await asyncio.gather(*(alice.cancel(booking) for _ in range(20)))
    assert {(reply.status, reply["status"]) for reply in replies} == {(200, "cancelled")}
    events = await told(still, booking)
    assert events.count("booking.cancelled") == 1
    assert events.count("payment.refunded") == pays
    assert world.made("refund") == pays
    assert await ledger(still, booking) == ["refunded"] * pays
    assert await still.seats_left(flight) == 100


async def test_while_it_is_being_paid_it_cannot_be_cancelled(still, alice, world, flight):
    booking = await alice.book(flight)
    world.on("authorise", asked := Gate(before=False))
    paying = asyncio.create_task(alice.pay(booking))
    await asked.reached.wait()
    for refused in (
        await alice.cancel(booking),
        await patch(alice, booking, {"status": "cancelled"}),
    ):
        assert (refused.status, refused.code) == (409, "payment_in_progress")
        assert int(refused.headers["retry-after"]) > 0
    asked.opens()
    assert (await paying).status == 201
    assert (await alice.get(booking))["status"] == "confirmed"


async def test_cancelling_and_paying_at_once_end_as_one_of_them(still, alice, flight):
    for _ in range(4):
        booking = await alice.book(flight)
        payment, cancelled = await asyncio.gather(alice.pay(booking), alice.cancel(booking))
        outcome = (await alice.get(booking))["status"]
        if outcome == "confirmed":
            assert (payment.status, cancelled.code) == (201, "payment_in_progress")
            assert await ledger(still, booking) == ["captured"]
            await alice.cancel(booking)
        else:
            assert outcome == "cancelled"
            assert "captured" not in await ledger(still, booking)
            assert cancelled.status == 200
            assert payment.status in {201, 409}
    assert await still.seats_left(flight) == 100


async def test_a_cancellation_that_saw_it_unpaid_refunds_what_was_paid_meanwhile(
    still, alice, world, flight
):
    booking = await alice.book(flight)
    world.on("transact", about_to_write := Gate(before=True), times=1)
    cancelling = asyncio.create_task(alice.cancel(booking))
    await about_to_write.reached.wait()
    assert (await alice.pay(booking)).status == 201
    about_to_write.opens()
    assert (await cancelling)["status"] == "cancelled"
    assert await ledger(still, booking) == ["refunded"]
    assert await still.seats_left(flight) == 100


async def test_an_expired_booking_cannot_be_cancelled(still, alice, flight):
    booking = await alice.book(flight)
    still.advance(minutes=15, seconds=1)
    await still.bookings.driver.settle(booking["id"])
    refused = await alice.cancel(booking)
    assert (refused.status, refused.code) == (409, "illegal_transition")
    assert await told(still, booking) == ["booking.held", "booking.expired"]


async def test_once_the_journey_has_begun_it_cannot_be_cancelled(still, alice):
    flight = await still.a_flight(departs_in_h=1)
    booking = await paid(alice, flight)
    still.advance(minutes=58)
    assert (await alice.get(booking))["available_actions"] == ["cancel"]
    still.advance(minutes=2)
    refused = await alice.cancel(booking)
    assert (refused.status, refused.code) == (409, "departed_already")
    assert (await alice.get(booking))["available_actions"] == []
    assert await states(still, booking) == ("confirmed", "captured", True)
    assert await ledger(still, booking) == ["captured"]


async def test_the_money_goes_back_in_the_end_however_long_the_provider_is_away(
    still, alice, world, flight
):
    booking = await paid(alice, flight)
    world.on("refund", lost_request, times=5)
    cancelled = await alice.cancel(booking)
    assert cancelled["payment"]["refund"]["status"] == "due"
    for _ in range(4):
        await still.bookings.driver.settle(booking["id"])
        assert await states(still, booking) == ("cancelled", "refund_due", False)
    world.on("refund", lost_answer, times=1)
    await still.bookings.driver.settle(booking["id"])
    assert (await alice.get(booking))["payment"]["refund"]["status"] == "due"
    assert await ledger(still, booking) == ["refunded"]  # done, but we have not heard of it
    await still.bookings.driver.settle(booking["id"])
    assert (await alice.get(booking))["payment"]["refund"]["status"] == "succeeded"
    assert (await told(still, booking)).count("payment.refunded") == 1


async def test_it_is_cancelled_even_while_the_flight_service_is_away(still, alice, world, flight):
    booking = await paid(alice, flight)
    world.on("DELETE.*", lost_request)
    assert (await alice.cancel(booking))["status"] == "cancelled"
    assert await states(still, booking) == ("cancelled", "refunded", True)
    assert await still.seats_left(flight) == 99
    world.calms()
    await still.bookings.driver.settle(booking["id"])
    assert await states(still, booking) == ("cancelled", "refunded", False)
    assert await still.seats_left(flight) == 100


async def test_a_stale_release_does_not_touch_seats_that_were_sold_again(
    still, alice, bob, world, flight
):
    booking = await alice.book(flight, seats=["4A"])
    world.on("DELETE.*", lost_answer)
    await alice.cancel(booking)
    assert (await states(still, booking))[2] is True  # released, but we have not heard of it
    world.calms()
    theirs = await paid(bob, flight, seats=["4A"])
    await still.bookings.driver.settle(booking["id"])
    assert (await states(still, booking))[2] is False
    assert (await still.seat_states(flight))["4A"] == "occupied"
    assert (await bob.get(theirs))["status"] == "confirmed"


CHANGES = [
    {"status": "confirmed"},
    {"status": "held"},
    {"status": "paying"},
    {"status": "expired"},
    {"status": "CANCELLED"},
    {"status": "canceled"},
    {"status": None},
    {"status": ["cancelled"]},
    {"status": True},
    {"status": "cancelled", "price": "0.01"},
    {"status": "cancelled", "user_id": "018f0000-0000-7000-8000-000000000000"},
    {"status": "cancelled", "total": {"amount": "0.00", "currency": "USD"}},
    {"price": "0.01"},
    {"user_id": "018f0000-0000-7000-8000-000000000000"},
    {"passengers": []},
    {},
    [],
    "cancelled",
]


async def test_owners_can_change_nothing_else(still, alice, flight):
    booking = await paid(alice, flight)
    before, rows = await look(still, booking), await written(still)
    for change in CHANGES:
        refused = await patch(alice, booking, change)
        assert (refused.status, refused.code) == (422, "invalid"), change
    assert await look(still, booking) == before
    assert await written(still) == rows


async def test_nobody_cancels_what_is_not_theirs(still, alice, bob, flight):
    booking = await alice.book(flight)
    for refused in (
        await bob.cancel(booking),
        await patch(bob, booking, {"status": "cancelled"}),
    ):
        assert (refused.status, refused.code) == (404, "booking_not_found")
    assert (await alice.get(booking))["status"] == "held"


# --- the process dies ------------------------------------------------------------------------

UNPAID = ["transact", "DELETE hold cancel", "transact"]
PAID = [*UNPAID, "refund", "transact"]


async def test_a_process_that_dies_while_it_cancels_leaves_no_seat_behind(lives, world):
    bookings = await deaths(lives, world, UNPAID, lambda alice, flight: alice.book(flight))
    async with lives() as system:
        # Of the first one nothing was written: no answer came, and the customer asks again.
        alice = again(bookings.pop("by"), system)
        assert (await alice.get(bookings[0]))["status"] == "held"
        assert (await alice.cancel(bookings[0])).status == 200
        for steps, booking in bookings.items():
            assert await in_the_end(system, booking) == "cancelled", steps
            assert await told(system, booking) == ["booking.held", "booking.cancelled"]


async def test_a_process_that_dies_while_it_refunds_gives_the_money_back_once(lives, world):
    bookings = await deaths(lives, world, PAID, paid)
    async with lives() as system:
        alice = again(bookings.pop("by"), system)
        assert (await alice.cancel(bookings[0])).status == 200
        for steps, booking in bookings.items():
            assert await in_the_end(system, booking) == "cancelled", steps
            assert await states(system, booking) == ("cancelled", "refunded", False)
            assert await ledger(system, booking) == ["refunded"]
            assert (await told(system, booking)).count("payment.refunded") == 1


async def deaths(lives, world, calls, make):
    """Bookings whose cancellation ended with the process, after every number of steps."""
    async with lives(world) as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        bookings = {"by": alice}
        for steps in range(len(calls) + 1):
            bookings[steps] = await make(alice, flight)
            await dies(world, calls, steps, alice.cancel(bookings[steps]))
    return bookings
