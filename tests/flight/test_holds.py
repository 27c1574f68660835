"""The life of a hold over HTTP: PROTOCOL §2."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
from sqlalchemy import select

from skyhold.contracts.holds import HoldWanted
from skyhold.flight.errors import SeatUnavailable, SoldOut
from skyhold.flight.models.holds import Decision
from skyhold.flight.models.tables import SeatClaimRow
from skyhold.flight.settings import FlightSettings
from skyhold.flight.wiring import wire
from skyhold.kernel.clock import VirtualClock
from skyhold.kernel.ids import new_id
from support.system import SETTINGS, eventually

TTL_S = 600


def wanted(*segments, **more):
    return {"segments": list(segments), "ttl_s": TTL_S} | more


def seats(flight, *numbers, cabin="economy"):
    return {"flight_id": flight, "cabin": cabin, "seats": list(numbers)}


def party(flight, count, cabin="economy"):
    return {"flight_id": flight, "cabin": cabin, "count": count}


def promise(hold):
    """All of a hold but how much of it is left."""
    return hold.body | {"expires_in_s": None}


@pytest.fixture
async def flight(inside):
    return await inside.a_flight()


# --- the table: what each call answers in each state, and what becomes of the seat ----------------

STATES = ("held", "confirmed", "released", "expired", "cancelled", "tombstone", "unknown")
ENDED = ("released", "expired", "cancelled")
CALLS = {
    "PUT same": ("PUT", "", "1A"),
    "PUT other": ("PUT", "", "1C"),
    "PUT confirmation": ("PUT", "/confirmation", None),
    "DELETE": ("DELETE", "", None),
    "DELETE cancel": ("DELETE", "?cancel=true", None),
}
# (status, the hold's state or the refusal's code, seat 1A afterwards)
TABLE = {
    ("PUT same", "held"): (200, "held", "held"),
    ("PUT same", "confirmed"): (200, "confirmed", "occupied"),
    ("PUT same", "tombstone"): (410, "hold_ended", "available"),
    ("PUT same", "unknown"): (201, "held", "held"),
    ("PUT other", "held"): (422, "hold_request_differs", "held"),
    ("PUT other", "confirmed"): (422, "hold_request_differs", "occupied"),
    ("PUT other", "tombstone"): (410, "hold_ended", "available"),
    ("PUT other", "unknown"): (201, "held", "available"),
    ("PUT confirmation", "held"): (200, "confirmed", "occupied"),
    ("PUT confirmation", "confirmed"): (200, "confirmed", "occupied"),
    ("PUT confirmation", "tombstone"): (410, "hold_ended", "available"),
    ("PUT confirmation", "unknown"): (404, "hold_not_found", "available"),
    ("DELETE", "held"): (200, "released", "available"),
    ("DELETE", "confirmed"): (409, "hold_confirmed", "occupied"),
    ("DELETE", "tombstone"): (200, "released", "available"),
    ("DELETE", "unknown"): (200, "released", "available"),
    ("DELETE cancel", "held"): (200, "released", "available"),
    ("DELETE cancel", "confirmed"): (200, "cancelled", "available"),
    ("DELETE cancel", "tombstone"): (200, "released", "available"),
    ("DELETE cancel", "unknown"): (200, "released", "available"),
}
for ended in ENDED:
    TABLE |= {
        ("PUT same", ended): (410, "hold_ended", "available"),
        ("PUT other", ended): (422, "hold_request_differs", "available"),
        ("PUT confirmation", ended): (410, "hold_ended", "available"),
        ("DELETE", ended): (200, ended, "available"),
        ("DELETE cancel", ended): (200, ended, "available"),
    }


async def a_hold_that_is(state, inside, flight):
    """The id of a hold of seat 1A that has come to this state."""
    hold_id = new_id()
    ttl_s = 1 if state == "expired" else TTL_S
    if state not in {"unknown", "tombstone"}:
        await inside.hold("PUT", hold_id, wanted(seats(flight, "1A"), ttl_s=ttl_s))
    if state in {"confirmed", "cancelled"}:
        await inside.hold("PUT", f"{hold_id}/confirmation")
    if state in {"released", "tombstone"}:
        await inside.hold("DELETE", hold_id)
    if state == "cancelled":
        await inside.hold("DELETE", f"{hold_id}?cancel=true")
    if state == "expired":
        inside.advance(seconds=2)
    return hold_id


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("call", CALLS)
async def test_every_call_in_every_state_answers_as_the_protocol_says(inside, flight, call, state):
    method, path, seat = CALLS[call]
    hold_id = await a_hold_that_is(state, inside, flight)
    body = None if seat is None else wanted(seats(flight, seat))
    reply = await inside.hold(method, hold_id + path, body)
    outcome = reply.code or reply["status"]
    left = (await inside.seat_states(flight))["1A"]
    assert (reply.status, outcome, left) == TABLE[call, state]


@pytest.mark.parametrize("state", ENDED)
async def test_a_refusal_names_the_state_in_which_the_hold_ended(inside, flight, state):
    hold_id = await a_hold_that_is(state, inside, flight)
    gone = await inside.hold("PUT", f"{hold_id}/confirmation")
    assert (gone.status, state in gone["detail"]) == (410, True)


# --- asking twice ---------------------------------------------------------------------------------


async def test_a_hold_says_what_it_promises(inside, flight):
    hold_id = new_id()
    held = await inside.hold("PUT", hold_id, wanted(seats(flight, "7C", "7A")))
    (segment,) = held["segments"]
    assert (held["hold_id"], held["status"]) == (hold_id, "held")
    assert TTL_S - 5 <= held["expires_in_s"] <= TTL_S
    assert segment["seats"] == ["7C", "7A"], "in the order of the passengers"
    assert segment["fare"] == {"amount": "129.00", "currency": "USD"}
    assert held["total"] == {"amount": "258.00", "currency": "USD"}
    flown = await inside.flight(flight)
    for fact in ("flight_number", "origin", "destination", "departing_at", "arriving_at"):
        assert segment[fact] == flown[fact]


async def test_a_replay_answers_the_same_seats_and_fares_after_the_price_has_changed(
    inside, flight, patch_flight
):
    hold_id, body = new_id(), wanted(party(flight, 3))
    first = await inside.hold("PUT", hold_id, body)
    fares = {"economy": {"amount": "999.00", "currency": "USD"}}
    assert (await patch_flight(flight, fares=fares)).status == 200

    again = await inside.hold("PUT", hold_id, body)
    assert (first.status, again.status) == (201, 200)
    assert promise(again) == promise(first)
    assert await inside.seats_left(flight) == 97


async def test_a_hold_keeps_the_times_it_promised_when_the_flight_is_retimed(
    inside, post_flight, patch_flight
):
    flight = await post_flight(number=700)
    first = await inside.hold("PUT", new_id(), wanted(party(flight["id"], 1)))
    times = {"departing_at": "2090-06-02T09:00", "arriving_at": "2090-06-02T12:00"}
    assert (await patch_flight(flight["id"], **times)).status == 200
    kept = await inside.hold("GET", first["hold_id"])
    assert kept["segments"] == first["segments"]
    late = await inside.hold("PUT", new_id(), wanted(party(flight["id"], 1)))
    assert late["segments"][0]["departing_at"] == "2090-06-02T09:00:00-04:00"


async def test_asking_again_for_longer_is_the_same_request_and_does_not_prolong(inside, flight):
    hold_id = new_id()
    await inside.hold("PUT", hold_id, wanted(party(flight, 1), ttl_s=60))
    again = await inside.hold("PUT", hold_id, wanted(party(flight, 1), ttl_s=6000))
    assert again.status == 200
    assert again["expires_in_s"] <= 60


async def test_a_confirmed_hold_outlasts_its_time(inside, flight):
    hold_id = await a_hold_that_is("confirmed", inside, flight)
    inside.advance(seconds=TTL_S + 1)
    again = await inside.hold("PUT", f"{hold_id}/confirmation")
    assert (again.status, again["status"], again["expires_in_s"]) == (200, "confirmed", None)
    rival = await inside.hold("PUT", new_id(), wanted(seats(flight, "1A")))
    assert (rival.status, rival.code) == (409, "seat_unavailable")


# --- a late PUT, a stale DELETE, a stranger -------------------------------------------------------


async def test_a_put_that_arrives_after_the_delete_of_its_id_holds_nothing(inside, flight):
    hold_id = new_id()
    assert (await inside.hold("DELETE", hold_id)).status == 200
    late = await inside.hold("PUT", hold_id, wanted(party(flight, 2)))
    assert (late.status, late.code) == (410, "hold_ended")
    assert await inside.seats_left(flight) == 100


async def test_a_stale_delete_frees_nothing_once_the_seat_was_sold_again(inside, flight):
    stale = await a_hold_that_is("expired", inside, flight)
    owner = await inside.hold("PUT", new_id(), wanted(seats(flight, "1A")))
    for path in (stale, f"{stale}?cancel=true"):
        late = await inside.hold("DELETE", path)
        assert (late.status, late["status"]) == (200, "expired")
    assert (await inside.seat_states(flight))["1A"] == "held"
    assert (await inside.hold("PUT", f"{owner['hold_id']}/confirmation")).status == 200


@pytest.mark.parametrize("state", ["held", "confirmed", "released", "expired", "tombstone"])
@pytest.mark.parametrize("call", ["GET", *CALLS])
async def test_another_services_hold_does_not_exist_and_stays_as_it_is(inside, flight, call, state):
    method, path, seat = CALLS.get(call, ("GET", "", None))
    hold_id = await a_hold_that_is(state, inside, flight)
    before = await inside.hold("GET", hold_id), await inside.seat_states(flight)
    body = None if seat is None else wanted(seats(flight, seat))
    reply = await inside.hold(method, hold_id + path, body, client="rival")
    assert (reply.status, reply.code) == (404, "hold_not_found")
    after = await inside.hold("GET", hold_id), await inside.seat_states(flight)
    assert (promise(after[0]), after[1]) == (promise(before[0]), before[1])


async def test_only_services_hold_seats(inside, flight):
    body, path = wanted(party(flight, 1)), f"/api/v1/holds/{new_id()}"
    person = await inside.traveller()
    nobody = await inside.flights_http.put(path, json=body)
    assert (nobody.status_code, nobody.json()["code"]) == (401, "unauthorized")
    for headers in ({"authorization": f"Bearer {person.token}"}, inside.staff()):
        refused = await inside.flights_http.put(path, json=body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "services_only")
    assert await inside.seats_left(flight) == 100


@pytest.mark.parametrize("hold_id", ["1", "018F0000-0000-7000-8000-000000000001", "a" * 300])
async def test_a_hold_id_that_is_no_canonical_uuid_is_refused(inside, flight, hold_id):
    for method, body in (("PUT", wanted(party(flight, 1))), ("DELETE", None), ("GET", None)):
        assert (await inside.hold(method, hold_id, body)).status == 422


# --- time -----------------------------------------------------------------------------------------


async def test_a_seat_is_sellable_the_moment_its_hold_ends_although_nobody_swept(inside, flight):
    await inside.hold("PUT", new_id(), wanted(seats(flight, "1A"), ttl_s=60))
    early = await inside.hold("PUT", new_id(), wanted(seats(flight, "1A")))
    assert early.code == "seat_unavailable"
    inside.advance(seconds=61)
    assert (await inside.seat_states(flight))["1A"] == "available"
    assert (await inside.hold("PUT", new_id(), wanted(seats(flight, "1A")))).status == 201


async def test_a_whole_cabin_whose_holds_have_ended_is_sellable_to_parties(inside):
    flight = await inside.a_flight(aircraft="E70", first="500.00")
    full = wanted(party(flight, 9, "first"), ttl_s=60)
    assert (await inside.hold("PUT", new_id(), full)).status == 201
    assert (await inside.hold("PUT", new_id(), full)).code == "sold_out"
    inside.advance(seconds=61)
    assert (await inside.hold("PUT", new_id(), full)).status == 201


async def test_a_hold_that_ended_cannot_be_confirmed_although_nobody_swept(inside, flight):
    hold_id = await a_hold_that_is("expired", inside, flight)
    assert (await inside.hold("GET", hold_id))["status"] == "expired"
    assert (await inside.hold("PUT", f"{hold_id}/confirmation")).status == 410


async def test_taking_over_one_seat_ends_all_of_the_hold_that_had_it(inside, flight):
    other = await inside.a_flight(departs_in_h=480)
    both = wanted(seats(flight, "1A"), seats(other, "1A"), ttl_s=60)
    ended = await inside.hold("PUT", new_id(), both)
    inside.advance(seconds=61)
    await inside.hold("PUT", new_id(), wanted(seats(flight, "1A")))
    assert (await inside.hold("GET", ended["hold_id"]))["status"] == "expired"
    assert await inside.seats_left(other) == 100


async def claimed(system, flight):
    of_flight = select(SeatClaimRow.seat, SeatClaimRow.hold_id)
    async with system.flights.db.read() as tx:
        rows = await tx.rows(of_flight.where(SeatClaimRow.flight_id == flight))
    return {row.seat: row.hold_id for row in rows}


async def test_the_sweeper_frees_seats_whose_time_is_up_and_no_others(start_system):
    async with start_system(sweep_period_s=0.02) as system:
        flight = await system.a_flight()
        short = await system.hold("PUT", new_id(), wanted(party(flight, 2), ttl_s=60))
        long = await system.hold("PUT", new_id(), wanted(party(flight, 1), ttl_s=600))
        paid = await system.hold("PUT", new_id(), wanted(party(flight, 1), ttl_s=60))
        await system.hold("PUT", f"{paid['hold_id']}/confirmation")
        assert await system.seats_left(flight) == 96
        system.advance(seconds=61)

        async def the_pair_is_swept():
            return len(await claimed(system, flight)) == 2

        await eventually(the_pair_is_swept)
        assert await system.seats_left(flight) == 98
        states = [await system.hold("GET", hold["hold_id"]) for hold in (short, long, paid)]
        assert [hold["status"] for hold in states] == ["expired", "held", "confirmed"]


async def test_a_sweep_ends_at_most_so_many_holds_and_the_longest_overdue_first(start_system):
    async with start_system(sweep_period_s=3600, sweep_batch_max=2) as system:
        flight = await system.a_flight()
        for ttl_s in (30, 10, 20):
            await system.hold("PUT", new_id(), wanted(party(flight, 1), ttl_s=ttl_s))
        assert await system.flights.holds.sweep() == 0
        system.advance(seconds=60)
        assert await system.seats_left(flight) == 100  # on sale before anybody sweeps
        first = (await claimed(system, flight)).pop("1A")
        assert await system.flights.holds.sweep() == 2
        left = await claimed(system, flight)
        assert list(left.values()) == [first]  # the 30 seconds
        assert await system.flights.holds.sweep() == 1
        assert await system.flights.holds.sweep() == 0
        assert await claimed(system, flight) == {}


# --- a flight that is cancelled meanwhile ---------------------------------------------------------


async def test_seats_on_a_cancelled_flight_cannot_be_confirmed_any_more(
    inside, flight, patch_flight
):
    onward = await inside.a_flight(departs_in_h=480)
    held = await inside.hold("PUT", new_id(), wanted(party(flight, 1), party(onward, 1)))
    await patch_flight(onward, status="cancelled")
    gone = await inside.hold("PUT", f"{held['hold_id']}/confirmation")
    assert (gone.status, gone.code) == (410, "hold_ended")
    assert (await inside.hold("GET", held["hold_id"]))["status"] == "released"
    assert await inside.seats_left(flight) == 100


async def test_seats_that_were_confirmed_before_the_flight_was_cancelled_stay_so(
    inside, flight, patch_flight
):
    hold_id = await a_hold_that_is("confirmed", inside, flight)
    await patch_flight(flight, status="cancelled")
    again = await inside.hold("PUT", f"{hold_id}/confirmation")
    assert (again.status, again["status"]) == (200, "confirmed")
    cancelled = await inside.hold("DELETE", f"{hold_id}?cancel=true")
    assert (cancelled.status, cancelled["status"]) == (200, "cancelled")


# --- all segments or none -------------------------------------------------------------------------


async def full(inside, **_):
    flight = await inside.a_flight(aircraft="E70", departs_in_h=480, first="500.00")
    await inside.hold("PUT", new_id(), wanted(party(flight, 9, "first")))
    return party(flight, 1, "first")


async def taken(inside, **_):
    flight = await inside.a_flight(departs_in_h=480)
    await inside.hold("PUT", new_id(), wanted(seats(flight, "2D")))
    return seats(flight, "2C", "2D")


async def unknown(**_):
    return party("B61-2090-01-01-JFK", 1)


async def no_such_cabin(inside, **_):
    return party(await inside.a_flight(departs_in_h=480), 1, "business")


async def no_such_seat(inside, **_):
    return seats(await inside.a_flight(departs_in_h=480), "26A")


async def wrong_cabin(inside, **_):
    fares = {"first": "500.00", "economy": "99.00"}
    flight = await inside.a_flight(aircraft="E70", departs_in_h=480, **fares)
    return seats(flight, "4A", cabin="first")


async def blocked(inside, **_):
    return seats(await inside.a_flight(aircraft="763", departs_in_h=480), "29H")


async def seat_twice(inside, **_):
    return seats(await inside.a_flight(departs_in_h=480), "5A", "5A")


async def departed(inside, **_):
    flight = await inside.a_flight(departs_in_h=0.5)
    inside.advance(minutes=31)
    return party(flight, 1)


async def cancelled(inside, patch_flight, **_):
    flight = await inside.a_flight(departs_in_h=480)
    assert (await patch_flight(flight, status="cancelled")).status == 200
    return party(flight, 1)


async def leaves_too_early(inside, **_):
    return party(await inside.a_flight(departs_in_h=245), 1)


async def priced_in_euros(post_flight, **_):
    flight = await post_flight(
        number=701, fares={"economy": {"amount": "99.00", "currency": "EUR"}}
    )
    return party(flight["id"], 1)


@pytest.mark.parametrize(
    ("second", "status", "code"),
    [
        (full, 409, "sold_out"),
        (taken, 409, "seat_unavailable"),
        (unknown, 404, "flight_not_found"),
        (no_such_cabin, 422, "unknown_cabin"),
        (no_such_seat, 422, "unknown_seat"),
        (wrong_cabin, 422, "wrong_cabin"),
        (blocked, 422, "seat_blocked"),
        (seat_twice, 422, "duplicate_seat"),
        (departed, 409, "flight_departed"),
        (cancelled, 409, "flight_cancelled"),
        (leaves_too_early, 422, "segments_overlap"),
        (priced_in_euros, 422, "mixed_currencies"),
    ],
)
async def test_a_second_segment_that_cannot_be_had_holds_nothing_on_the_first(
    inside, flight, post_flight, patch_flight, second, status, code
):
    other = await second(inside=inside, post_flight=post_flight, patch_flight=patch_flight)
    hold_id = new_id()
    refused = await inside.hold("PUT", hold_id, wanted(seats(flight, "1A"), other))
    assert (refused.status, refused.code) == (status, code)
    assert await inside.seats_left(flight) == 100
    # Nothing was recorded either: the id is as good as new.
    assert (await inside.hold("GET", hold_id)).status == 404
    assert (await inside.hold("PUT", hold_id, wanted(seats(flight, "1A")))).status == 201


async def test_one_hold_spans_all_flights_of_a_journey(inside, flight):
    onward = await inside.a_flight(departs_in_h=246, economy="71.00")  # just as the first lands
    held = await inside.hold("PUT", new_id(), wanted(party(flight, 2), party(onward, 2)))
    assert held.status == 201
    assert held["total"] == {"amount": "400.00", "currency": "USD"}
    await inside.hold("DELETE", held["hold_id"])
    assert [await inside.seats_left(each) for each in (flight, onward)] == [100, 100]


async def test_the_same_flight_twice_in_one_hold_is_refused(inside, flight):
    twice = wanted(seats(flight, "1A"), seats(flight, "1C"))
    assert (await inside.hold("PUT", new_id(), twice)).code == "segments_overlap"


@pytest.mark.parametrize(
    ("amount", "currency", "status"),
    [
        ("258.00", "USD", 201),
        ("258", "USD", 201),
        ("257.99", "USD", 409),
        ("129.00", "USD", 409),
        ("258.00", "EUR", 409),
    ],
)
async def test_seats_are_held_at_the_expected_total_or_not_at_all(
    inside, flight, amount, currency, status
):
    expected = {"amount": amount, "currency": currency}
    body = wanted(party(flight, 2), expected_total=expected)
    reply = await inside.hold("PUT", new_id(), body)
    assert (reply.status, reply.code) == (status, None if status == 201 else "price_changed")
    assert await inside.seats_left(flight) == (98 if status == 201 else 100)


@pytest.mark.parametrize(
    "change",
    [
        {"ttl_s": 0},
        {"ttl_s": 86_401},
        {"ttl_s": "600"},
        {"segments": []},
        {"segments": [{"flight_id": "B61-2090-01-01-JFK"}]},
        {"segments": [{"flight_id": "B61-2090-01-01-JFK", "count": 1, "seats": ["1A"]}]},
        {"segments": [{"flight_id": "B61-2090-01-01-JFK", "count": 10}]},
        {"segments": [{"flight_id": "B61-2090-01-01-JFK", "seats": ["0A"]}]},
        {"segments": [{"flight_id": "B61-2090-01-01-JFK", "seats": []}]},
        {"segments": [{"flight_id": "' OR 1=1 --", "count": 1}]},
        {"segments": [{"flight_id": "B61-2090-01-01-JFK", "count": 1}] * 7},
        {"expires_at": "2090-01-01T00:00:00Z"},
    ],
    ids=str,
)
async def test_a_request_that_makes_no_sense_is_refused(inside, flight, change):
    reply = await inside.hold("PUT", new_id(), wanted(party(flight, 1)) | change)
    assert (reply.status, reply.code) == (422, "invalid")


# --- two replicas on one database -----------------------------------------------------------------


async def test_two_replicas_never_sell_a_seat_twice(inside, flight):
    settings = SETTINGS | {"data_dir": inside.flights.settings.data_dir, "hold_batch_max": 4}
    fields = {name: settings[name] for name in settings if name in FlightSettings.model_fields}
    replicas = [wire(FlightSettings(_env_file=None, **fields), VirtualClock()) for _ in range(2)]
    row = [f"{number}{letter}" for number in range(1, 6) for letter in "ACDF"]
    dice = random.Random(7)
    requests = [
        party(flight, dice.randint(1, 9)) if nth % 3 == 0 else seats(flight, *dice.sample(row, 2))
        for nth in range(60)
    ]
    async with replicas[0].running(), replicas[1].running():
        outcomes = await asyncio.gather(
            *(
                replicas[nth % 2].holds.put(new_id(), "booking", HoldWanted(**wanted(request)))
                for nth, request in enumerate(requests)
            ),
            return_exceptions=True,
        )
    held = [outcome.hold for outcome in outcomes if isinstance(outcome, Decision)]
    refused = [outcome for outcome in outcomes if not isinstance(outcome, Decision)]
    assert len(held) > 10
    assert {type(refusal) for refusal in refused} <= {SeatUnavailable, SoldOut}

    sold = Counter(seat for hold in held for seat in hold.segments[0].seats)
    assert max(sold.values()) == 1
    async with inside.flights.db.read() as tx:
        claims = await tx.rows(select(SeatClaimRow.seat).where(SeatClaimRow.flight_id == flight))
    assert sorted(sold) == sorted(claim.seat for claim in claims)
