"""Booking: hold first, then record; and whatever happens in between, no seat is left behind."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from booking_stage import (
    Gate,
    a_traveller,
    again,
    comes_back,
    dies,
    http,
    in_the_end,
    look,
    lost_answer,
    lost_request,
    raises,
    written,
)

from skyhold.booking.services import book
from skyhold.kernel.db import DatabaseBusy, OutcomeUnknown
from skyhold.kernel.ids import derived_id
from support.system import eventually
from support.traveller import seats_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def user_id_of(traveller):
    return (await traveller.send("GET", "users/me"))["id"]


async def seconds_to_pay(system, booking):
    deadline = datetime.fromisoformat(booking["payment_required_by"])
    return (deadline - system.clock.now()).total_seconds()


async def hold_of(system, booking_id):
    return await system.hold("GET", booking_id)


# --- the flight service does not answer ------------------------------------------------------


async def test_an_answer_lost_after_the_seats_were_held_costs_a_repeat(still, alice, world, flight):
    world.on("PUT hold", lost_answer, times=2)
    booking = await alice.book(flight, party=2)
    assert booking.status == 201
    assert world.made("PUT hold") == 3
    assert await still.seats_left(flight) == 98
    assert [b["id"] for b in (await alice.send("GET", "bookings"))["data"]] == [booking["id"]]


@pytest.mark.parametrize(
    "trouble",
    [
        lost_request,
        http(500),
        http(200, b"<html>"),
        http(401, {"code": "unauthorized", "detail": ""}),
    ],
    ids=["down", "500", "HTML", "not admitted"],
)
async def test_without_the_flight_service_nothing_is_booked_and_one_may_try_again(
    still, alice, world, flight, trouble
):
    before = await written(still)
    world.on("(PUT|DELETE).*", trouble)
    refused = await alice.book(flight)
    assert (refused.status, refused.code) == (503, "flight_service_unavailable")
    assert int(refused.headers["retry-after"]) > 0
    assert await written(still) == before
    world.calms()
    assert (await alice.book(flight)).status == 201


async def test_seats_held_by_a_booking_that_was_not_made_go_back_at_once(
    still, alice, world, flight
):
    world.on("PUT hold", lost_answer)
    assert (await alice.book(flight)).status == 503
    await comes_back(still, flight)


async def test_under_a_key_they_wait_for_the_retry(still, alice, world, flight):
    world.on("PUT hold", lost_answer)
    assert (await alice.book(flight, seats=["4A"], key="trip")).status == 503
    await still.bookings.background.drain(timeout_s=5)
    assert world.made("DELETE.*") == 0
    assert (await still.seat_states(flight))["4A"] == "held"
    world.calms()

    booking = await alice.book(flight, seats=["4A"], key="trip")
    assert booking.status == 201
    assert booking["id"] == derived_id(await user_id_of(alice), "trip", "0")


async def test_a_hold_that_ended_between_two_repeats_is_said_to_have_ended(
    still, alice, world, flight
):
    world.on("PUT hold", http(410, {"code": "hold_ended", "detail": "Over."}))
    refused = await alice.book(flight)
    assert (refused.status, refused.code) == (409, "hold_expired")


# --- the hold is there, the record is not ----------------------------------------------------


async def test_when_the_record_fails_for_certain_the_seats_go_back_at_once(
    still, alice, world, flight
):
    world.on("transact", raises(DatabaseBusy()))
    refused = await alice.book(flight)
    assert (refused.status, refused.code) == (503, "database_busy")
    await comes_back(still, flight)
    assert world.calls[-3:] == ["PUT hold", "transact", "DELETE hold"]


async def test_under_a_key_a_failed_record_leaves_the_seats_to_the_retry(
    still, alice, world, flight
):
    world.on("transact", raises(DatabaseBusy()), times=1)
    assert (await alice.book(flight, seats=["4A"], key="trip")).status == 503
    await still.bookings.background.drain(timeout_s=5)
    assert (await still.seat_states(flight))["4A"] == "held"
    assert (await alice.book(flight, seats=["4A"], key="trip")).status == 201
    assert world.made("DELETE.*") == 0


async def test_when_nobody_knows_whether_it_was_recorded_the_seats_are_not_touched(
    still, alice, world, flight
):
    """It may be a booking by now; if it is not, the hold ends by itself."""
    recorded = Gate(before=False)
    recorded.opens()

    async def committed_but_unheard(go):
        await recorded(go)
        raise OutcomeUnknown

    world.on("transact", committed_but_unheard, times=1)
    assert (await alice.book(flight)).status == 503
    await still.bookings.background.drain(timeout_s=5)
    assert world.made("DELETE.*") == 0
    (booking,) = (await alice.send("GET", "bookings"))["data"]
    assert (await alice.pay(booking)).status == 201


async def test_a_record_locator_that_is_taken_is_replaced(still, alice, flight, monkeypatch):
    first = await alice.book(flight)
    locators = iter([first["record_locator"], first["record_locator"], "ACDEFG"])
    monkeypatch.setattr(book, "new_locator", lambda: next(locators))
    assert (await alice.book(flight))["record_locator"] == "ACDEFG"


async def test_without_a_free_record_locator_the_seats_go_back(still, alice, flight, monkeypatch):
    taken = (await alice.book(flight))["record_locator"]
    monkeypatch.setattr(book, "new_locator", lambda: taken)
    assert (await alice.book(flight, seats=["4A"])).status == 503

    async def it_is_free():
        return (await still.seat_states(flight))["4A"] == "available"

    await eventually(it_is_free)


# --- idempotency keys ------------------------------------------------------------------------


async def test_the_same_key_is_the_same_booking(still, alice, flight):
    first = await alice.book(flight, party=2, key="trip")
    second = await alice.book(flight, party=2, key="trip")
    assert (first.status, second.status) == (201, 201)
    assert second.body == first.body
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert await still.seats_left(flight) == 98


async def test_the_same_key_with_another_body_is_refused(still, alice, flight):
    booking = await alice.book(flight, seats=["1A"], key="trip")
    for other in (
        await alice.book(flight, seats=["1C"], key="trip"),
        await alice.book(flight, party=2, key="trip"),
        await alice.book(await still.a_flight(), seats=["1A"], key="trip"),
        await alice.book(
            flight, seats=["1A"], key="trip", expected_total={"amount": "129.00", "currency": "USD"}
        ),
    ):
        assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert await still.seats_left(flight) == 99
    assert (await alice.get(booking))["status"] == "held"


async def test_the_passengers_names_belong_to_the_body(still, alice, flight):
    await alice.book(flight, key="trip")
    segments = [{"flight_id": flight, "cabin": "economy"}]
    somebody_else = [{"given_name": "Eve", "family_name": "Tester"}]
    body = {"segments": segments, "passengers": somebody_else}
    refused = await alice.send("POST", "bookings", body, idempotency_key="trip")
    assert (refused.status, refused.code) == (422, "idempotency_key_reused")


async def test_another_body_is_also_refused_while_only_the_hold_knows_of_the_first(
    still, alice, world, flight
):
    world.on("transact", raises(DatabaseBusy()), times=1)
    assert (await alice.book(flight, seats=["1A"], key="trip")).status == 503
    refused = await alice.book(flight, seats=["1C"], key="trip")
    assert (refused.status, refused.code) == (422, "idempotency_key_reused")


async def test_somebody_elses_key_is_another_booking(still, alice, bob, flight):
    hers = await alice.book(flight, key="trip")
    his = await bob.book(flight, key="trip")
    assert (hers.status, his.status) == (201, 201)
    assert hers["id"] != his["id"]
    assert seats_of(hers) != seats_of(his)
    assert "idempotent-replayed" not in his.headers


async def test_keys_are_compared_byte_by_byte(still, alice, flight):
    bookings = [await alice.book(flight, key=key) for key in ("trip", "Trip", "trip-", "tri")]
    assert len({booking["id"] for booking in bookings}) == 4


@pytest.mark.parametrize(
    "key",
    ["", " ", "trip ", "a b", "k" * 256, "schlüssel", "a\tb", "\x7f"],
    ids=lambda key: ascii(key[:9]),
)
async def test_a_key_that_is_none_is_refused(still, alice, flight, key):
    refused = await alice.http.post(
        "/api/v1/bookings",
        json={
            "segments": [{"flight_id": flight}],
            "passengers": [{"given_name": "A", "family_name": "B"}],
        },
        headers=[
            (b"authorization", f"Bearer {alice.token}".encode()),
            (b"idempotency-key", key.encode()),
        ],
    )
    assert refused.status_code == 422, refused.text
    assert await still.seats_left(flight) == 100


async def test_a_key_of_255_characters_is_one(still, alice, flight):
    assert (await alice.book(flight, key="k" * 255)).status == 201


async def test_twenty_at_once_under_one_key_are_one_booking(still, alice, flight):
    replies = await asyncio.gather(*(alice.book(flight, party=2, key="trip") for _ in range(20)))
    assert {reply.status for reply in replies} == {201}
    assert len({reply["id"] for reply in replies}) == 1
    assert await still.seats_left(flight) == 98
    assert len((await alice.send("GET", "bookings"))["data"]) == 1


async def test_a_request_overtaken_by_its_twin_answers_with_the_twins_booking(
    still, alice, world, flight
):
    """By the time its own PUT is answered the hold is confirmed, for the twin has paid."""
    world.on("PUT hold", overtaken := Gate(before=True), times=1)
    slow = asyncio.create_task(alice.book(flight, key="trip"))
    await overtaken.reached.wait()
    quick = await alice.book(flight, key="trip")
    assert (await alice.pay(quick)).status == 201
    overtaken.opens()
    found = await slow
    assert (found.status, found["id"], found["status"]) == (201, quick["id"], "confirmed")
    assert await still.seats_left(flight) == 99


async def test_a_refused_request_does_not_spend_its_key(still, alice, bob, flight):
    theirs = await bob.book(flight, seats=["1A"])
    assert (await alice.book(flight, seats=["1A"], key="trip")).code == "seat_unavailable"
    await bob.cancel(theirs)
    assert (await alice.book(flight, seats=["1A"], key="trip")).status == 201


async def test_a_key_whose_hold_has_ended_takes_its_next_attempt(still, alice, world, flight):
    world.on("transact", raises(DatabaseBusy()), times=1)
    assert (await alice.book(flight, seats=["4A"], key="trip")).status == 503
    still.advance(minutes=18)
    booking = await alice.book(flight, seats=["4A"], key="trip")
    assert booking.status == 201
    assert booking["id"] == derived_id(await user_id_of(alice), "trip", "1")
    assert await seconds_to_pay(still, booking) == pytest.approx(900, abs=5)


async def test_a_key_whose_holds_all_ended_is_given_up(still, alice, world, flight):
    world.on("PUT hold", http(410, {"code": "hold_ended", "detail": "Over."}))
    refused = await alice.book(flight, key="trip")
    assert (refused.status, refused.code) == (409, "hold_expired")
    assert world.made("PUT hold") == book.KEY_ATTEMPTS_MAX


async def test_a_process_that_slept_after_its_hold_finds_the_booking_of_the_retry(lives, world):
    """Its hold has ended and another process booked anew; the unique key refuses its record."""
    async with lives(world) as sleepy, lives() as other:
        alice, flight = await a_traveller(sleepy), await sleepy.a_flight()
        world.on("transact", record := Gate(before=True), times=1)
        slow = asyncio.create_task(alice.book(flight, seats=["4A"], key="trip"))
        await record.reached.wait()
        other.advance(minutes=18)
        retried = await again(alice, other).book(flight, seats=["4A"], key="trip")
        assert retried.status == 201
        record.opens()
        assert (await slow)["id"] == retried["id"]
        assert len((await alice.send("GET", "bookings"))["data"]) == 1
        assert (await again(alice, other).pay(retried)).status == 201


# --- the promise -----------------------------------------------------------------------------


async def test_the_hold_outlives_the_promise_by_the_grace(still, alice, flight):
    booking = await alice.book(flight)
    hold = await hold_of(still, booking["id"])
    assert await seconds_to_pay(still, booking) == pytest.approx(900, abs=5)
    left_s = hold["expires_in_s"]
    assert left_s == pytest.approx(1020, abs=5)
    # The answer counts whole seconds, so one may be lost to rounding.
    assert await seconds_to_pay(still, booking) <= left_s - 120 + 1


async def test_a_retry_does_not_get_more_time_than_its_hold_has_left(still, alice, world, flight):
    world.on("transact", raises(DatabaseBusy()), times=1)
    await alice.book(flight, key="trip")
    still.advance(minutes=10)
    booking = await alice.book(flight, key="trip")
    assert booking.status == 201
    assert await seconds_to_pay(still, booking) == pytest.approx(300, abs=5)


async def test_a_slow_answer_shortens_the_promise_and_not_the_grace(still, alice, world, flight):
    world.on("PUT hold", slow := Gate(before=False), times=1)
    booking = asyncio.create_task(alice.book(flight))
    await slow.reached.wait()
    still.advance(minutes=10)
    slow.opens()
    assert await seconds_to_pay(still, await booking) == pytest.approx(300, abs=5)


async def test_nothing_is_promised_when_only_the_grace_is_left(still, alice, world, flight):
    world.on("transact", raises(DatabaseBusy()), times=1)
    await alice.book(flight, key="trip")
    still.advance(minutes=15, seconds=1)
    refused = await alice.book(flight, key="trip")
    assert (refused.status, refused.code) == (409, "hold_expired")
    still.advance(minutes=2)
    assert (await alice.book(flight, key="trip")).status == 201


async def test_nobody_is_promised_time_to_pay_for_a_flight_that_has_left(still, alice):
    flight = await still.a_flight(departs_in_h=0.2)
    booking = await alice.book(flight)
    departs = datetime.fromisoformat(booking["segments"][0]["departing_at"])
    assert datetime.fromisoformat(booking["payment_required_by"]) == departs
    still.advance(minutes=13)
    refused = await alice.pay(booking)
    assert (refused.status, refused.code) == (409, "hold_expired")


async def test_the_price_is_the_one_that_was_promised(still, alice, flight):
    booking = await alice.book(flight, party=3)
    kept, _ = await look(still, booking)
    assert kept.total.minor == 3 * 12_900
    assert kept.payment_required_by - kept.created_at <= timedelta(seconds=900)


# --- the process dies ------------------------------------------------------------------------

BOOKING = ["PUT hold", "transact"]


async def test_a_process_that_dies_while_it_books_leaves_a_booking_or_nothing(lives, world):
    seats = {0: "1A", 1: "2A", 2: "3A"}
    async with lives(world) as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        for steps, seat in seats.items():
            await dies(world, BOOKING, steps, alice.book(flight, seats=[seat]))
    async with lives() as system:
        (booking,) = (await again(alice, system).send("GET", "bookings"))["data"]
        assert (booking["status"], seats_of(booking)) == ("held", ["3A"])
        states = await system.seat_states(flight)
        assert [states[seat] for seat in seats.values()] == ["available", "held", "held"]

        system.advance(minutes=17, seconds=1)

        assert await in_the_end(system, booking) == "expired"
        await comes_back(system, flight)


async def test_after_the_process_has_died_a_retry_with_the_key_gets_the_hold_that_is_there(
    lives, world
):
    seats = {0: "1A", 1: "2A", 2: "3A"}
    async with lives(world) as system:
        alice, flight = await a_traveller(system), await system.a_flight()
        user_id = await user_id_of(alice)
        for steps, seat in seats.items():
            await dies(world, BOOKING, steps, alice.book(flight, seats=[seat], key=f"trip{steps}"))
    async with lives() as system:
        system.advance(minutes=5)
        alice = again(alice, system)
        for steps, seat in seats.items():
            booking = await alice.book(flight, seats=[seat], key=f"trip{steps}")
            assert booking.status == 201
            assert booking["id"] == derived_id(user_id, f"trip{steps}", "0")
            left_s = 600 if steps else 900
            assert await seconds_to_pay(system, booking) == pytest.approx(left_s, abs=10)
            assert (await alice.pay(booking)).status == 201
        assert len((await alice.send("GET", "bookings"))["data"]) == 3
        assert await system.seats_left(flight) == 97
