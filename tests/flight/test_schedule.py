"""Searching for flights, and what the clocks of two airports make of their times."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from skyhold.flight.repositories import schedule
from skyhold.flight.repositories.reference import Reference
from skyhold.flight.schemas.flights import iso_duration
from skyhold.kernel.http.pages import to_cursor
from skyhold.kernel.ids import new_id
from support.traveller import Reply

FARES = {
    "first": {"amount": "500.00", "currency": "USD"},
    "economy": {"amount": "99.00", "currency": "USD"},
}


@pytest.fixture
def search(inside):
    async def search(origin, destination, on, **more) -> Reply:
        params = {"origin": origin, "destination": destination, "date": str(on)} | more
        return Reply.of(await inside.flights_http.get("/api/v1/flights", params=params))

    return search


@pytest.fixture
def find(search):
    """The ids of what a search finds."""

    async def find(*where, **more) -> list[str]:
        found = await search(*where, **more)
        assert found.status == 200
        return [flight["id"] for flight in found["data"]]

    return find


@pytest.fixture
def fill(inside):
    """Hold so many seats."""

    async def fill(flight_id, seats, cabin="economy") -> None:
        while seats > 0:
            segment = {"flight_id": flight_id, "cabin": cabin, "count": min(9, seats)}
            body = {"segments": [segment], "ttl_s": 3600}
            assert (await inside.hold("PUT", new_id(), body)).status == 201
            seats -= 9

    return fill


# --- what a search finds --------------------------------------------------------------------------


async def test_a_search_is_for_a_day_at_the_airport_of_departure(post_flight, find, soon):
    # In UTC both leave on the second day, a quarter of an hour apart.
    next_day = soon + timedelta(days=1)
    late = await post_flight(
        destination="SEA",
        departing_at=f"{soon}T23:50",
        arriving_at=f"{next_day}T03:00",
    )
    early = await post_flight(
        destination="SEA",
        departing_at=f"{next_day}T00:05",
        arriving_at=f"{next_day}T03:15",
    )
    assert await find("JFK", "SEA", soon) == [late["id"]]
    assert await find("JFK", "SEA", next_day) == [early["id"]]
    assert await find("SEA", "JFK", soon) == []


async def test_a_flight_given_in_utc_leaves_on_the_day_of_its_airport(post_flight, find, soon):
    next_day = soon + timedelta(days=1)
    flight = await post_flight(
        destination="PHX",
        departing_at=f"{next_day}T01:15Z",
        arriving_at=f"{next_day}T06:45Z",
    )
    assert flight["id"].endswith(f"-{soon}-JFK")
    assert await find("JFK", "PHX", soon) == [flight["id"]]


async def test_flights_come_by_departure(post_flight, find, soon):
    for number, hour in ((11, 18), (12, 6), (13, 12)):
        await post_flight(
            number=number,
            destination="BOS",
            departing_at=f"{soon}T{hour:02}:00",
            arriving_at=f"{soon}T{hour + 1:02}:10",
        )
    assert [id[:4] for id in await find("JFK", "BOS", soon)] == ["B612", "B613", "B611"]


async def test_a_flight_is_found_while_the_whole_party_fits_into_one_cabin(
    post_flight, find, fill, soon
):
    flight = await post_flight(
        destination="MIA",
        departing_at=f"{soon}T08:00",
        arriving_at=f"{soon}T11:00",
        aircraft="E70",
        fares=FARES,
    )
    await fill(flight["id"], 6, "first")  # of 9
    await fill(flight["id"], 58)  # of 60
    where = ("JFK", "MIA", soon)
    assert await find(*where) == await find(*where, passengers=3) == [flight["id"]]
    assert await find(*where, passengers=4) == []
    assert await find(*where, passengers=3, cabin="first") == [flight["id"]]
    assert await find(*where, passengers=2, cabin="economy") == [flight["id"]]
    assert await find(*where, passengers=3, cabin="economy") == []
    assert await find(*where, cabin="business") == []


async def test_a_sold_out_flight_is_left_out(post_flight, find, fill, inside, soon):
    flight = await post_flight(
        destination="ORD", departing_at=f"{soon}T08:00", arriving_at=f"{soon}T10:00"
    )
    assert await find("JFK", "ORD", soon) == [flight["id"]]
    await fill(flight["id"], 100)
    assert await find("JFK", "ORD", soon) == []
    assert await inside.seats_left(flight["id"]) == 0


async def test_seats_whose_hold_has_ended_count_as_free_although_nobody_swept(
    post_flight, find, inside, soon
):
    flight = await post_flight(
        destination="CLT",
        departing_at=f"{soon}T08:00",
        arriving_at=f"{soon}T10:00",
        aircraft="E70",
        fares={"first": FARES["first"]},
    )
    segment = {"flight_id": flight["id"], "cabin": "first", "count": 9}
    await inside.hold("PUT", new_id(), {"segments": [segment], "ttl_s": 60})
    assert await find("JFK", "CLT", soon) == []
    inside.advance(seconds=61)
    assert await find("JFK", "CLT", soon, passengers=9) == [flight["id"]]
    assert await inside.seats_left(flight["id"], "first") == 9


async def test_a_cancelled_flight_is_left_out_and_can_still_be_looked_at(
    post_flight, patch_flight, find, inside, soon
):
    flight = await post_flight(
        destination="DEN", departing_at=f"{soon}T08:00", arriving_at=f"{soon}T11:00"
    )
    await patch_flight(flight["id"], status="cancelled")
    assert await find("JFK", "DEN", soon) == []
    assert (await inside.flight(flight["id"]))["status"] == "cancelled"
    assert await inside.seats_left(flight["id"]) == 0


async def test_a_flight_that_has_left_is_left_out_and_can_still_be_looked_at(
    post_flight, find, inside
):
    in_an_hour = inside.now().astimezone(ZoneInfo("America/New_York")) + timedelta(hours=1)
    flight = await post_flight(
        destination="ATL",
        departing_at=in_an_hour.isoformat(),
        arriving_at=(in_an_hour + timedelta(hours=2)).isoformat(),
    )
    assert await find("JFK", "ATL", in_an_hour.date()) == [flight["id"]]
    inside.advance(minutes=61)
    assert await find("JFK", "ATL", in_an_hour.date()) == []
    assert (await inside.flight(flight["id"]))["status"] == "scheduled"


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_pages_give_every_flight_with_room_once_and_in_order(
    post_flight, search, fill, soon, limit
):
    # Of every seven one is sold out, and several leave at the same minute.
    day, expected = soon + timedelta(days=limit), []
    for number in range(1, 8):
        minute = number // 3
        flight = await post_flight(
            number=number,
            destination="DCA",
            departing_at=f"{day}T08:0{minute}",
            arriving_at=f"{day}T09:30",
            aircraft="E70",
            fares={"first": FARES["first"]},
        )
        if number == 4:
            await fill(flight["id"], 9, "first")
        else:
            expected.append(flight["id"])
    found, after = [], {}
    while True:
        page = await search("JFK", "DCA", day, limit=limit, **after)
        assert len(page["data"]) <= limit
        found += [flight["id"] for flight in page["data"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert found == expected


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"origin": "QQQ"}, "unknown_airport"),
        ({"destination": "QQQ"}, "unknown_airport"),
        ({"origin": "jf1"}, "invalid"),
        ({"origin": "JFK'"}, "invalid"),
        ({"date": "2027-02-30"}, "invalid"),
        ({"date": "tomorrow"}, "invalid"),
        ({"date": "3800476800"}, "invalid"),
        ({"date": "0001-01-01"}, "invalid"),
        ({"date": "9999-12-31"}, "invalid"),
        ({"passengers": 0}, "invalid"),
        ({"passengers": 10}, "invalid"),
        ({"passengers": "two"}, "invalid"),
        ({"cabin": "steerage"}, "invalid"),
        ({"limit": 0}, "invalid"),
        ({"limit": 101}, "invalid"),
        ({"after": "not-one-of-ours"}, "invalid_cursor"),
        ({"after": "é"}, "invalid_cursor"),
        ({"after": to_cursor("JFK")}, "invalid_cursor"),
        ({"after": to_cursor("yesterday", "B61-2090-01-01-JFK")}, "invalid_cursor"),
        ({"after": to_cursor("2090-01-01T00:00:00", "B61-2090-01-01-JFK")}, "invalid_cursor"),
        ({"after": "A" * 513}, "invalid"),
    ],
    ids=str,
)
async def test_a_search_that_makes_no_sense_is_refused(inside, change, code):
    params = {"origin": "JFK", "destination": "LAX", "date": "2090-06-01"} | change
    reply = Reply.of(await inside.flights_http.get("/api/v1/flights", params=params))
    assert (reply.status, reply.code) == (422, code)


@pytest.mark.parametrize("missing", ["origin", "destination", "date"])
async def test_a_search_names_where_from_where_to_and_when(inside, missing):
    params = {"origin": "JFK", "destination": "LAX", "date": "2090-06-01"}
    del params[missing]
    reply = Reply.of(await inside.flights_http.get("/api/v1/flights", params=params))
    assert (reply.status, reply["errors"][0]["field"]) == (422, f"query.{missing}")


# --- times ----------------------------------------------------------------------------------------


def times(flight):
    return flight["departing_at"], flight["arriving_at"], flight["duration"]


async def test_times_are_told_on_the_clocks_of_both_airports_and_in_utc(post_flight):
    flight = await post_flight()
    assert times(flight) == ("2090-06-01T08:00:00-04:00", "2090-06-01T11:00:00-07:00", "PT6H")
    assert flight["departing_at_utc"] == "2090-06-01T12:00:00Z"
    assert flight["arriving_at_utc"] == "2090-06-01T18:00:00Z"


async def test_a_flight_may_land_on_the_next_local_day(post_flight):
    flight = await post_flight(
        number=22,
        destination="LHR",
        departing_at="2090-06-01T21:30",
        arriving_at="2090-06-02T09:40",
    )
    assert flight["id"] == "B622-2090-06-01-JFK"
    assert times(flight) == ("2090-06-01T21:30:00-04:00", "2090-06-02T09:40:00+01:00", "PT7H10M")


async def test_a_flight_may_land_on_the_local_day_before(post_flight):
    flight = await post_flight(
        number=23,
        origin="AKL",
        destination="HNL",
        departing_at="2090-06-02T00:30",
        arriving_at="2090-06-01T10:30",
    )
    assert flight["id"] == "B623-2090-06-02-AKL"
    assert times(flight) == ("2090-06-02T00:30:00+12:00", "2090-06-01T10:30:00-10:00", "PT8H")


async def test_a_flight_in_the_air_while_clocks_go_forward_is_an_hour_shorter_than_it_looks(
    post_flight,
):
    flight = await post_flight(
        destination="BOS",
        departing_at="2027-03-14T01:30",
        arriving_at="2027-03-14T03:45",
    )
    assert times(flight) == ("2027-03-14T01:30:00-05:00", "2027-03-14T03:45:00-04:00", "PT1H15M")


async def test_a_flight_in_the_air_while_clocks_go_back_is_an_hour_longer_than_it_looks(
    post_flight,
):
    flight = await post_flight(
        destination="BOS",
        departing_at="2027-11-07T00:30",
        arriving_at="2027-11-07T02:10",
    )
    assert times(flight) == ("2027-11-07T00:30:00-04:00", "2027-11-07T02:10:00-05:00", "PT2H40M")


@pytest.mark.parametrize(
    ("given", "shown", "duration"),
    [
        ("2027-11-07T01:30", "2027-11-07T01:30:00-04:00", "PT1H"),
        ("2027-11-07T01:30-04:00", "2027-11-07T01:30:00-04:00", "PT1H"),
        ("2027-11-07T01:30-05:00", "2027-11-07T01:30:00-05:00", "PT2H"),
    ],
)
async def test_a_time_that_comes_twice_is_the_first_unless_its_offset_says_the_second(
    post_flight, given, shown, duration
):
    flight = await post_flight(
        destination="BOS",
        departing_at="2027-11-07T00:30",
        arriving_at=given,
    )
    assert times(flight) == ("2027-11-07T00:30:00-04:00", shown, duration)


@pytest.mark.parametrize("end", ["departing_at", "arriving_at"])
async def test_a_time_that_clocks_jump_over_is_refused(post_flight, end):
    # At 02:00 in New York it is 03:00.
    bounds = {"departing_at": "2027-03-14T00:30", "arriving_at": "2027-03-14T05:30"}
    refused = await post_flight(destination="BOS", **bounds | {end: "2027-03-14T02:30"})
    assert (refused.status, refused.code) == (422, "impossible_flight")
    assert "2027-03-14T02:30" in refused["detail"]


@pytest.mark.parametrize(
    ("minutes", "iso"),
    [(1, "PT1M"), (60, "PT1H"), (244, "PT4H4M"), (1080, "PT18H"), (1501, "PT25H1M")],
)
def test_a_duration_is_written_as_iso_8601_says(minutes, iso):
    assert iso_duration(timedelta(minutes=minutes)) == iso


class Forgetful(Reference):
    """Somebody else makes room among the flights it knows, whenever something is looked up."""

    async def learn(self, tx, rows):
        self.flights.clear()
        await super().learn(tx, rows)


async def test_what_is_forgotten_while_the_rest_is_read_is_found_all_the_same(inside, post_flight):
    ids = [(await post_flight())["id"] for _ in range(2)]
    known = Forgetful()
    async with inside.flights.db.read() as tx:
        known.remember((await schedule.flights(tx, known, ids[:1])).values())
        found, _ = await schedule.with_claims(tx, known, ids)
    assert set(found) == set(ids)
    async with inside.flights.db.read() as tx:
        known.flights = {ids[0]: found[ids[0]]}
        day = ("JFK", "LAX", date(2090, 6, 1))
        of_day = await schedule.days(tx, known, [day], inside.now(), 1_000)
    assert set(ids) <= {flight.id for flight in of_day[day]}
