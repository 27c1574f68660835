"""Promises that were broken once, each found by writing the tests beside this one."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from booking_stage import Gate, comes_back, http, look, lost_request, rewritten
from structlog.testing import capture_logs

from skyhold.kernel.auth import Tokens, access_kind
from skyhold.kernel.client import RawReply
from skyhold.kernel.clock import FrozenClock
from skyhold.kernel.db import DatabaseBusy, OutcomeUnknown
from skyhold.kernel.ids import new_id
from support.system import JWT_SECRET
from support.traveller import Traveller

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_token_of_an_account_that_is_gone_books_nothing(still, flight):
    token = Tokens(JWT_SECRET, access_kind(600), still.clock).issue(
        new_id(), role="customer", sid=new_id()
    )
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


async def test_a_stranger_cannot_cut_work_off_and_so_close_the_way_to_the_flights(
    still, alice, bob, flight
):
    """Once, five requests with a tiny deadline opened the breaker for everybody."""
    for _ in range(8):
        reply = await bob.send("POST", "bookings", wish(flight), x_deadline_ms="1")
        assert reply.status == 201
    assert (await alice.book(flight)).status == 201


def wish(flight):
    who = {"given_name": "Ada", "family_name": "Lovelace"}
    return {"segments": [{"flight_id": flight}], "passengers": [who]}


async def test_whoever_goes_away_while_the_seats_are_held_leaves_none_behind(
    still, alice, world, flight
):
    world.on("PUT hold", gate := Gate(before=False), times=1)
    booking = asyncio.create_task(alice.book(flight, party=9))
    await gate.reached.wait()
    assert await still.seats_left(flight) == 91
    booking.cancel()
    await comes_back(still, flight)


async def test_an_error_after_a_lost_commit_does_not_give_the_seats_away(
    still, alice, flight, monkeypatch
):
    """The booking is there: whoever cannot know that must not act as if it were not."""
    db = still.bookings.db
    run, runs = db._run, []

    async def lost(work):
        runs.append(work)
        if len(runs) == 1:
            await run(work)
            raise OutcomeUnknown
        raise RuntimeError("something else goes wrong")

    monkeypatch.setattr(db, "_run", lost)
    assert (await alice.book(flight)).code == "database_outcome_unknown"
    monkeypatch.undo()
    (booking,) = (await alice.send("GET", "bookings"))["data"]
    assert await still.seats_left(flight) == 99
    assert (await alice.pay(booking)).status == 201


@pytest.mark.parametrize("what", ["booking", "refund"])
async def test_a_break_of_the_database_sets_nothing_aside(
    still, alice, flight, world, monkeypatch, what
):
    booking = await alice.book(flight)
    if what == "refund":
        await alice.pay(booking)
        world.on("refund", lost_request, times=1)
        await alice.cancel(booking)
    still.advance(minutes=16)
    before = await look(still, booking)

    @asynccontextmanager
    async def away():
        raise DatabaseBusy
        yield

    monkeypatch.setattr(still.bookings.db, "read", away)
    driver = still.bookings.driver
    if what == "refund":
        assert not await driver.settler.advance(before[1].id)
    else:
        assert not await driver.advance(booking["id"])
    monkeypatch.undo()
    assert await look(still, booking) == before


async def test_a_service_that_is_not_the_flight_service_is_no_refusal(still, alice, world, flight):
    """Once, a wrong FLIGHT_SERVICE told travellers 404, and nobody else anything."""
    nothing = {"code": "not_found", "detail": "There is nothing here.", "status": 404}
    world.on("PUT hold|DELETE hold", http(404, nothing))
    with capture_logs() as logs:
        reply = await alice.book(flight)
    assert (reply.status, reply.code) == (503, "flight_service_unavailable")
    assert "retry-after" in reply.headers
    assert any(line["event"] == "flights.not_there" for line in logs)
