"""Journeys over several flights: every seat on every flight, or nothing at all."""

from __future__ import annotations

from datetime import datetime

import pytest

from support.system import eventually


async def two_flights(system):
    there = await system.a_flight(departs_in_h=240, takes_h=6)
    back = await system.a_flight(origin="LAX", destination="JFK", departs_in_h=264, takes_h=5)
    return there, back


async def test_two_segments_are_one_booking(system, alice):
    there, back = await two_flights(system)
    booking = await alice.book(there, back, party=2)
    assert booking.status == 201
    assert [segment["flight_id"] for segment in booking["segments"]] == [there, back]
    assert booking["total"]["amount"] == "516.00"
    assert (await alice.pay(booking)).status == 201
    assert await system.seats_left(there) == await system.seats_left(back) == 98
    await alice.cancel(booking)
    assert await system.seats_left(there) == await system.seats_left(back) == 100


async def test_when_the_second_segment_is_full_nothing_is_held_on_the_first(system, alice):
    there, back = await two_flights(system)
    for party in [9] * 11 + [1]:
        assert (await alice.book(back, party=party)).status == 201
    refused = await alice.book(there, back)
    assert (refused.status, refused.code) == (409, "sold_out")
    assert await system.seats_left(there) == 100
    assert set((await system.seat_states(there)).values()) == {"available"}


@pytest.mark.parametrize(
    ("seats", "cabin", "status", "code"),
    [
        (["99A", "1A"], "economy", 422, "unknown_seat"),
        (["1A", "1A"], "economy", 422, "duplicate_seat"),
        (["1A", "1B"], "economy", 422, "unknown_seat"),  # this aircraft has no B
        (["1A", "1C"], "first", 422, "unknown_cabin"),
        (["1A"], "economy", 422, "invalid"),  # one seat for two people
    ],
)
async def test_seats_that_cannot_be_had_hold_nothing(system, alice, seats, cabin, status, code):
    there, back = await two_flights(system)
    refused = await alice.book(there, back, party=2, seats=seats, cabin=cabin)
    assert (refused.status, refused.code) == (status, code)
    assert await system.seats_left(there) == await system.seats_left(back) == 100


async def test_segments_out_of_order_or_unknown_hold_nothing(system, alice):
    there, back = await two_flights(system)
    backwards = await alice.book(back, there)
    assert (backwards.status, backwards.code) == (422, "segments_overlap")
    nowhere = await alice.book(there, "ZZ1-2030-01-01-JFK")
    assert (nowhere.status, nowhere.code) == (404, "flight_not_found")
    assert await system.seats_left(there) == await system.seats_left(back) == 100


async def test_a_flight_that_has_left_or_is_cancelled_is_not_sold(system, alice):
    soon = await system.a_flight(departs_in_h=1)
    system.advance(minutes=61)
    departed = await alice.book(soon)
    assert (departed.status, departed.code) == (409, "flight_departed")

    flight = await system.a_flight()
    change = {"status": "cancelled"}
    await system.flights_http.patch(
        f"/api/v1/flights/{flight}", json=change, headers=system.staff()
    )
    cancelled = await alice.book(flight)
    assert (cancelled.status, cancelled.code) == (409, "flight_cancelled")


async def test_a_booking_of_a_flight_cancelled_meanwhile_takes_no_money(system, alice):
    flight = await system.a_flight()
    booking = await alice.book(flight)
    change = {"status": "cancelled"}
    reply = await system.flights_http.patch(
        f"/api/v1/flights/{flight}", json=change, headers=system.staff()
    )
    assert reply.json()["cabins"][0]["seats_available"] == 0

    refused = await alice.pay(booking)
    assert (refused.status, refused.code) == (409, "hold_expired")

    async def it_is_voided():
        seen = await alice.get(booking)
        return (seen["status"], seen["payment"]["status"]) == ("expired", "voided")

    await eventually(it_is_voided)


async def test_the_time_to_pay_ends_when_the_flight_leaves(system, alice):
    flight = await system.a_flight(departs_in_h=0.1)
    booking = await alice.book(flight)
    departs = datetime.fromisoformat((await system.flight(flight))["departing_at"])
    assert datetime.fromisoformat(booking["payment_required_by"]) == departs
    system.advance(minutes=6.1)
    refused = await alice.pay(booking)
    assert (refused.status, refused.code) == (409, "hold_expired")


async def test_once_the_journey_has_begun_a_paid_booking_stays(system, alice):
    booking = await alice.book(await system.a_flight(departs_in_h=1))
    assert (await alice.pay(booking)).status == 201
    system.advance(minutes=61)
    refused = await alice.cancel(booking)
    assert (refused.status, refused.code) == (409, "departed_already")
    assert (await alice.get(booking))["available_actions"] == []
