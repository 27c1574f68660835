"""Promises that were broken once, each found by writing the tests beside this one."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from booking_stage import Gate, look, lost_request, rewritten

from skyhold.kernel.auth import Tokens, access_kind
from skyhold.kernel.client import RawReply
from skyhold.kernel.clock import FrozenClock
from skyhold.kernel.ids import new_id
from support.system import JWT_SECRET, eventually
from support.traveller import Traveller

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def comes_back(system, flight):
    async def all_free():
        return await system.seats_left(flight) == 100

    await eventually(all_free, within_s=5)


async def test_the_token_of_an_account_that_is_gone_books_nothing(still, flight):
    token = Tokens(JWT_SECRET, access_kind(600), still.clock).issue(new_id(), role="customer")
    refused = await Traveller(still.bookings_http, token, "").book(flight)
    assert (refused.status, refused.code) == (401, "invalid_token")
    await comes_back(still, flight)


async def test_giving_up_is_also_tried_again_after_growing_pauses(still, alice, world, flight):
    booking = await alice.book(flight)
    world.on("authorise|DELETE hold", lost_request)
    await alice.pay(booking)
    still.advance(minutes=16, seconds=1)
    clock = FrozenClock(still.clock.now())
    driver = replace(still.bookings.driver, clock=clock)
    pauses = []
    for _ in range(6):
        await driver.advance(booking["id"])
        pauses.append(((await look(still, booking))[0].due_at - clock.now()).total_seconds())
    assert pauses == [2, 4, 8, 15, 15, 15]


@pytest.mark.parametrize("left_s", [80_000, 10**20, -5])
async def test_a_hold_that_says_it_lives_longer_than_asked_promises_no_more_time(
    still, alice, world, flight, left_s
):
    world.on("PUT hold", rewritten(expires_in_s=left_s))
    booking = await alice.book(flight)
    assert booking.status in {201, 503}
    if booking.status == 201:
        kept, _ = await look(still, booking)
        assert (kept.payment_required_by - kept.created_at).total_seconds() <= 900


async def test_a_departure_without_a_zone_is_no_answer(still, alice, world, flight):
    async def naive(go):
        reply = await go()
        body = json.loads(reply.body)
        body["segments"][0]["departing_at"] = "2026-12-03T10:00:00"
        return RawReply(reply.status, json.dumps(body).encode())

    world.on("PUT hold", naive)
    assert (await alice.book(flight)).status == 503


async def test_a_twin_under_the_same_key_hears_of_the_same_payment(still, alice, world, flight):
    """It looked for its key just before the other one wrote it, and at the booking just after."""
    booking = await alice.book(flight)
    cashier = still.bookings.cashier
    between, owned = asyncio.Event(), cashier._owned
    go_on = asyncio.Event()

    async def slowly(*whose):
        between.set()
        await go_on.wait()
        return await owned(*whose)

    cashier._owned = slowly
    twin = asyncio.create_task(alice.pay(booking, key="pay"))
    await between.wait()
    cashier._owned = owned
    world.on("authorise", asked := Gate(before=True), times=1)
    first = asyncio.create_task(alice.pay(booking, key="pay"))
    await asked.reached.wait()
    go_on.set()
    found = await twin
    asked.opens()
    assert found.status == 202
    assert found["id"] == (await first)["id"]


async def test_without_a_key_a_hold_that_came_too_late_goes_back(still, alice, world, flight):
    world.on("PUT hold", slow := Gate(before=False))
    booking = asyncio.create_task(alice.book(flight))
    await slow.reached.wait()
    still.advance(minutes=15, seconds=30)
    slow.opens()
    assert (await booking).code == "hold_expired"
    await comes_back(still, flight)


async def test_a_late_postponement_does_not_put_off_an_authorised_payment(
    still, alice, world, flight
):
    booking = await alice.book(flight)
    world.on("authorise", lost_request, times=1)
    await alice.pay(booking)
    gate = Gate(before=True)

    async def late_silence(go):
        return await gate(lambda: lost_request(go))

    world.on("authorise", late_silence, times=1)
    late = asyncio.create_task(still.bookings.driver.advance(booking["id"]))
    await gate.reached.wait()
    await still.bookings.driver.advance(booking["id"])
    authorised, _ = await look(still, booking)
    gate.opens()
    await late
    kept, _ = await look(still, booking)
    assert (kept.due_at, kept.attempts) == (authorised.due_at, 0)


@pytest.mark.parametrize("card", ["4111.1111.1111.1111", "4111_1111_1111_1111"])
async def test_a_card_number_in_groups_of_any_kind_is_refused(still, alice, card):
    assert (await alice.pay({"id": new_id()}, card)).code == "card_data_not_accepted"


@pytest.mark.parametrize("born_on", [0, 1e3, "0", "1000"], ids=repr)
async def test_a_birthday_is_written_as_a_date(still, alice, flight, born_on):
    who = {"given_name": "A", "family_name": "B", "born_on": born_on}
    body = {"segments": [{"flight_id": flight}], "passengers": [who]}
    assert (await alice.send("POST", "bookings", body)).status == 422
