"""Defects that were found, live, in other services of this kind; here each of them is a test.

104 bookings for 100 seats                 journeys/test_races.py
                                           test_five_hundred_buyers_for_a_hundred_seats
a negative number of seats that pays out   below
a payment after the end that returns the   below
    seats once per request
SQL injection in an id of a path           below; booking/test_bookings_api.py
                                           test_what_is_no_id_finds_nothing_and_breaks_nothing
identity taken from a header or the body   test_raw.py
                                           test_no_header_says_who_one_is_or_what_is_asked_for;
                                           booking/test_bookings_api.py
                                           test_whose_booking_it_is_the_token_says_and_nothing…
tokens and stack traces in logs and        test_traces.py, after all other tests here;
    answers                                booking/test_users.py
                                           test_no_secret_is_ever_answered_or_logged
a crash that leaves bookings without       failpoints/test_failpoints.py, a kill at every point;
    seats, or seats without bookings       journeys/test_interruptions.py
                                           test_a_process_gone_between_hold_and_record_costs…
expiry that never frees the seats          journeys/test_booking.py
                                           test_unpaid_after_the_window_it_expires_and_its_…
"""

from __future__ import annotations

import pytest

from skyhold.kernel.ids import new_id
from support.system import eventually


@pytest.mark.parametrize("count", [-1, -100, 0, 10, 2**31, 2**63])
async def test_no_number_of_seats_pays_out(inside, count):
    flight = await inside.a_flight()
    wanted = {"segments": [{"flight_id": flight, "count": count}], "ttl_s": 60}
    assert (await inside.hold("PUT", new_id(), wanted)).status == 422
    assert await inside.seats_left(flight) == 100


@pytest.mark.parametrize("amount", ["-129.00", "-0.01", "0.00", "1e-9", "NaN"])
async def test_no_price_that_somebody_names_is_the_price(inside, amount):
    alice = await inside.traveller()
    flight = await inside.a_flight()
    total = {"amount": amount, "currency": "USD"}
    refused = await alice.book(flight, expected_total=total)
    assert refused.status in {409, 422}
    assert await inside.seats_left(flight) == 100
    booking = await alice.book(flight)
    body = {"booking_id": booking["id"], "payment_token": "tok_visa", "amount": total}
    assert (await alice.send("POST", "bookings/payments", body)).status == 422
    paid = await alice.pay(booking)
    assert paid["amount"] == {"amount": "129.00", "currency": "USD"}


async def test_paying_too_late_again_and_again_returns_the_seats_once(inside):
    alice = await inside.traveller()
    flight = await inside.a_flight()
    kept = [await alice.book(flight, party=9) for _ in range(2)]
    assert [(await alice.pay(one)).status for one in kept] == [201, 201]
    late = await alice.book(flight, party=9)
    inside.advance(minutes=18)

    async def its_seats_are_back():
        return await inside.seats_left(flight) == 82

    replies = [await alice.pay(late) for _ in range(10)]
    await eventually(its_seats_are_back)
    replies += [await alice.pay(late) for _ in range(10)]
    replies += [await alice.cancel(late) for _ in range(10)]
    assert {reply.code for reply in replies[:20]} == {"hold_expired"}
    assert await inside.seats_left(flight) == 82
    assert (await alice.get(late))["status"] == "expired"


INJECTED = [
    "' OR '1'='1",
    "' OR 1=1 --",
    "' UNION SELECT * FROM bookings --",
    "'; UPDATE bookings SET status='confirmed'; --",
    "' AND (SELECT COUNT(*) FROM users) > 0 --",
    '" OR ""="',
]


@pytest.mark.parametrize("injected", INJECTED)
async def test_an_id_in_a_path_is_no_part_of_a_statement(inside, injected):
    alice, bob = await inside.traveller("Alice"), await inside.traveller("Bob")
    booking = await alice.book(await inside.a_flight())
    for id_ in (injected, booking["id"] + injected, booking["id"][:-1] + injected):
        for who in (alice, bob):
            for method in ("GET", "DELETE"):
                assert (await who.send(method, f"bookings/{id_}")).status in {404, 422}
        assert (await inside.bookings_http.get(f"/api/v1/flights/{id_}")).status_code in {404, 422}
        assert (await inside.hold("GET", id_)).status in {404, 422}
    assert (await alice.get(booking))["status"] == "held"
    assert (await bob.send("GET", "bookings"))["data"] == []
