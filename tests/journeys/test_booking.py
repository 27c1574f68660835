"""From searching to sitting: what a traveller does on a good day, and on a bad one."""

from __future__ import annotations

import pytest

from support.system import eventually
from support.traveller import seats_of


async def status_of(traveller, booking):
    return (await traveller.get(booking))["status"]


async def test_a_journey_from_search_to_refund(system, alice):
    flight = await system.a_flight()
    day = (await system.flight(flight))["departing_at"][:10]
    found = await system.flights_http.get(
        "/api/v1/flights",
        params={"origin": "JFK", "destination": "LAX", "date": day, "passengers": 2},
    )
    assert flight in [offer["id"] for offer in found.json()["data"]]

    booking = await alice.book(flight, party=2, seats=["12A", "12C"])
    assert booking.status == 201
    assert booking.headers["location"] == f"/api/v1/bookings/{booking['id']}"
    assert booking["status"] == "held"
    assert booking["total"] == {"amount": "258.00", "currency": "USD"}
    assert booking["available_actions"] == ["pay", "cancel"]
    assert seats_of(booking) == ["12A", "12C"]
    states = await system.seat_states(flight)
    assert (states["12A"], states["12D"]) == ("held", "available")

    paid = await alice.pay(booking)
    assert (paid.status, paid["status"], paid["booking"]["status"]) == (
        201,
        "captured",
        "confirmed",
    )
    assert (await system.seat_states(flight))["12A"] == "occupied"
    assert (await alice.pay(booking)).status == 200

    cancelled = await alice.cancel(booking)
    assert (cancelled.status, cancelled["status"]) == (200, "cancelled")
    refunded = await eventually(lambda: refund_of(alice, booking))
    assert refunded == {"status": "succeeded", "amount": {"amount": "258.00", "currency": "USD"}}
    assert (await system.seat_states(flight))["12A"] == "available"
    again = await alice.cancel(booking)
    assert (again.status, again["status"]) == (200, "cancelled")


async def refund_of(traveller, booking):
    refund = (await traveller.get(booking))["payment"]["refund"]
    return refund if refund and refund["status"] == "succeeded" else None


async def test_unpaid_after_the_window_it_expires_and_its_seats_are_on_sale_again(system, alice):
    flight = await system.a_flight()
    booking = await alice.book(flight, seats=["1A"])

    system.advance(minutes=14)
    assert await status_of(alice, booking) == "held"

    system.advance(minutes=1, seconds=1)

    async def it_has_expired():
        return await status_of(alice, booking) == "expired"

    async def the_seat_is_free():
        return (await system.seat_states(flight))["1A"] == "available"

    await eventually(it_has_expired)
    await eventually(the_seat_is_free)
    late = await alice.pay(booking)
    assert (late.status, late.code) == (409, "hold_expired")
    assert (await alice.book(flight, seats=["1A"])).status == 201


async def test_a_declined_payment_can_be_tried_again(system, alice):
    booking = await alice.book(await system.a_flight())
    declined = await alice.pay(booking, "tok_declined")
    assert (declined.status, declined.code) == (402, "payment_declined")
    still = await alice.get(booking)
    assert (still["status"], still["available_actions"]) == ("held", ["pay", "cancel"])
    assert (await alice.pay(booking)).status == 201


async def test_a_refused_capture_cancels_and_frees_the_seats(system, alice):
    flight = await system.a_flight()
    booking = await alice.book(flight, seats=["2A"])
    refused = await alice.pay(booking, "tok_capture_refused")
    assert (refused.status, refused.code) == (402, "capture_refused")
    assert await status_of(alice, booking) == "cancelled"

    async def the_seat_is_free():
        return (await system.seat_states(flight))["2A"] == "available"

    await eventually(the_seat_is_free)
    again = await alice.pay(booking)
    assert (again.status, again.code) == (409, "already_cancelled")


async def test_a_slow_provider_is_waited_for(system, alice):
    booking = await alice.book(await system.a_flight())
    assert (await alice.pay(booking, "tok_slow")).status == 201


async def test_a_silent_provider_leaves_the_payment_open_and_then_gives_up(system, alice):
    flight = await system.a_flight()
    booking = await alice.book(flight, seats=["3A"])
    waiting = await alice.pay(booking, "tok_never")
    assert (waiting.status, waiting["status"]) == (202, "created")
    assert await status_of(alice, booking) == "paying"
    for refused in (await alice.pay(booking), await alice.cancel(booking)):
        assert (refused.status, refused.code) == (409, "payment_in_progress")
        assert int(refused.headers["retry-after"]) > 0

    system.advance(minutes=16, seconds=1)  # the window and the minute after it

    async def it_is_voided():
        seen = await alice.get(booking)
        return seen["status"] == "expired" and seen["payment"]["status"] == "voided"

    await eventually(it_is_voided)
    assert await system.seats_left(flight) == 100


async def test_cancelling_an_unpaid_booking_frees_its_seats_at_once(system, alice):
    flight = await system.a_flight()
    booking = await alice.book(flight, party=3)
    assert await system.seats_left(flight) == 97
    body = {"status": "cancelled"}
    cancelled = await alice.send("PATCH", f"bookings/{booking['id']}", body)
    assert (cancelled.status, cancelled["status"]) == (200, "cancelled")
    assert await system.seats_left(flight) == 100
    refused = await alice.pay(booking)
    assert (refused.status, refused.code) == (409, "already_cancelled")


async def test_what_is_not_yours_does_not_exist(system, alice, bob):
    booking = await alice.book(await system.a_flight())
    nobody = {"id": "018f0000-0000-7000-8000-000000000000"}
    for ask in (bob.get, bob.pay, bob.cancel):
        theirs, nothing = await ask(booking), await ask(nobody)
        assert theirs.status == 404
        assert theirs.body | {"instance": ""} == nothing.body | {"instance": ""}
    assert (await bob.send("GET", "bookings"))["data"] == []
    assert await status_of(alice, booking) == "held"


@pytest.mark.parametrize("party", [-1, 0, 0.5, 10, 10**6, "2", True, None], ids=repr)
async def test_a_party_that_is_none_is_refused(system, alice, party):
    flight = await system.a_flight()
    body = {"segments": [{"flight_id": flight}], "passengers": party}
    assert (await alice.send("POST", "bookings", body)).status == 422
    if isinstance(party, int) and not isinstance(party, bool) and party in {0, 10}:
        assert (await alice.book(flight, party=party)).status == 422
    hold = {"segments": [{"flight_id": flight, "count": party}], "ttl_s": 60}
    refused = await system.hold("PUT", "018f0000-0000-7000-8000-000000000001", hold)
    assert refused.status == 422
    assert await system.seats_left(flight) == 100


async def test_the_last_seats_go_to_the_party_they_suffice_for(system, alice):
    flight = await system.a_flight()
    for _ in range(11):
        assert (await alice.book(flight, party=9)).status == 201
    refused = await alice.book(flight, party=2)
    assert (refused.status, refused.code) == (409, "sold_out")
    assert (await alice.book(flight)).status == 201
    assert await system.seats_left(flight) == 0


async def test_a_price_that_is_not_the_expected_one_holds_nothing(system, alice):
    flight = await system.a_flight()
    expected = {"amount": "99.00", "currency": "USD"}
    refused = await alice.book(flight, expected_total=expected)
    assert (refused.status, refused.code) == (409, "price_changed")
    assert await system.seats_left(flight) == 100
    expected = {"amount": "129.00", "currency": "USD"}
    assert (await alice.book(flight, expected_total=expected)).status == 201
