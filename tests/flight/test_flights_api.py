"""One flight, its seat map, airports, and what staff may do."""

from __future__ import annotations

from datetime import timedelta

import airportsdata
import pytest

from skyhold.kernel.ids import new_id
from support.traveller import Reply

USD = {"amount": "129.00", "currency": "USD"}
NEW = {
    "airline": "UA",
    "origin": "EWR",
    "destination": "IAH",
    "departing_at": "2090-12-01T05:15",
    "arriving_at": "2090-12-01T08:19",
    "aircraft": "738",
    "aircraft_name": "Boeing 737-824",
    "fares": {"economy": USD, "first": {"amount": "649.00", "currency": "USD"}},
}


@pytest.fixture
def get(inside):
    async def get(path, **params) -> Reply:
        return Reply.of(await inside.flights_http.get(f"/api/v1/{path}", params=params))

    return get


@pytest.fixture
async def flight(inside) -> str:
    return await inside.a_flight(aircraft="763", economy="129.00", business="650.00")


# --- one flight -----------------------------------------------------------------------------------


async def test_a_flight_tells_what_a_traveller_wants_to_know(post_flight, get):
    added = await post_flight(**NEW, number=1545)
    assert added.status == 201
    assert added.headers["location"] == "/api/v1/flights/UA1545-2090-12-01-EWR"
    assert added.body == {
        "id": "UA1545-2090-12-01-EWR",
        "flight_number": "UA1545",
        "airline": {"code": "UA", "name": "United Air Lines Inc."},
        "origin": "EWR",
        "destination": "IAH",
        "departing_at": "2090-12-01T05:15:00-05:00",
        "arriving_at": "2090-12-01T08:19:00-06:00",
        "departing_at_utc": "2090-12-01T10:15:00Z",
        "arriving_at_utc": "2090-12-01T14:19:00Z",
        "duration": "PT4H4M",
        "aircraft": "Boeing 737-824",
        "status": "scheduled",
        "cabins": [
            {
                "cabin": "first",
                "fare": {"amount": "649.00", "currency": "USD"},
                "seats_total": 16,
                "seats_available": 16,
            },
            {"cabin": "economy", "fare": USD, "seats_total": 144, "seats_available": 144},
        ],
    }
    assert (await get("flights/UA1545-2090-12-01-EWR")).body == added.body


async def test_a_flight_that_is_not_there_is_not_found(get):
    for question in ("flights/B61-2090-01-01-JFK", "flights/B61-2090-01-01-JFK/seats"):
        reply = await get(question)
        assert (reply.status, reply.code) == (404, "flight_not_found")


@pytest.mark.parametrize("id_", ["nothing", "b61-2090-01-01-jfk", "\u0661"])
async def test_what_is_no_flights_id_is_refused_as_such(get, id_):
    for question in (f"flights/{id_}", f"flights/{id_}/seats"):
        reply = await get(question)
        assert (reply.status, reply.code) == (422, "invalid")
        assert reply["errors"][0]["field"] == "path.flight_id"


# --- the seat map ---------------------------------------------------------------------------------


async def test_the_seat_map_says_of_each_seat_whether_it_can_be_had(inside, flight):
    for seat in ("10A", "10B", "11D"):
        hold = {"segments": [{"flight_id": flight, "seats": [seat]}], "ttl_s": 600}
        held = await inside.hold("PUT", new_id(), hold)
        if seat == "10B":
            await inside.hold("PUT", f"{held['hold_id']}/confirmation")
        if seat == "11D":
            await inside.hold("DELETE", held["hold_id"])
    states = await inside.seat_states(flight)
    asked = ("10A", "10B", "11D", "11E", "29H")
    assert [states[seat] for seat in asked] == [
        "held",
        "occupied",
        "available",
        "available",
        "blocked",
    ]
    economy = sum(int(seat[:-1]) >= 10 and state == "available" for seat, state in states.items())
    assert economy == await inside.seats_left(flight)


async def test_the_seats_of_a_cabin_that_is_not_sold_are_blocked(inside, post_flight):
    flight = await post_flight(aircraft="E70", fares={"economy": USD})
    states = await inside.seat_states(flight["id"])
    assert {state for seat, state in states.items() if int(seat[:-1]) <= 3} == {"blocked"}
    assert {state for seat, state in states.items() if int(seat[:-1]) > 3} == {"available"}


async def test_the_seat_map_draws_the_cabins_with_their_aisles(get, flight):
    seat_map = await get(f"flights/{flight}/seats")
    business, economy = seat_map["cabins"]
    assert seat_map["flight_id"] == flight
    assert (business["cabin"], economy["cabin"]) == ("business", "economy")
    assert business["columns"] == ["A", "B", None, "E", None, "H", "J"]
    rows = {row["row"]: row for row in economy["rows"]}
    assert 13 not in rows
    assert [row["row"] for row in rows.values() if row["exit"]] == [22, 23]
    assert [seat["seat"] for seat in rows[36]["seats"]] == ["36B", "36D", "36E", "36F", "36H"]
    assert rows[22]["seats"][0] == {
        "seat": "22A",
        "status": "available",
        "characteristics": ["window", "exit"],
    }


# --- airports -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("JFK", "JFK"),
        ("jfk", "JFK"),
        ("ORY", "ORY"),
        ("heathrow", "LHR"),
        ("Zürich", "ZRH"),
        ("zurich", "ZRH"),
        ("  ZURICH  ", "ZRH"),
        ("Düsseldorf", "DUS"),
        ("dusseldorf", "DUS"),
    ],
)
async def test_an_airport_is_found_by_code_city_or_name_however_it_is_typed(get, words, first):
    found = await get("airports", q=words)
    assert found["data"][0]["code"] == first


async def test_an_exact_code_comes_before_names_that_hold_the_same_letters(get):
    found = [airport["code"] for airport in (await get("airports", q="man", limit=100))["data"]]
    assert found[0] == "MAN"
    assert len(found) > 10


@pytest.mark.parametrize("words", ["ZRH", "zrh", "man", "new york", "é", "zzz", "q"])
async def test_the_best_match_is_the_same_when_nobody_asks_for_more(get, words):
    several = (await get("airports", q=words, limit=100))["data"]
    assert (await get("airports", q=words, limit=1))["data"] == several[:1]


async def test_a_blank_question_about_airports_is_none(get):
    assert (await get("airports", q=" ")).body == (await get("airports")).body


async def test_an_airport_tells_its_place_and_its_time_zone(get):
    (zurich,) = (await get("airports", q="ZRH"))["data"]
    assert zurich == {
        "code": "ZRH",
        "name": "Zurich Airport",
        "city": "Zurich",
        "country": "CH",
        "time_zone": "Europe/Zurich",
    }


@pytest.mark.parametrize("words", ["%", "_", "\\", "' OR 1=1 --", "no such place"])
async def test_words_that_no_airport_has_find_nothing(get, words):
    found = await get("airports", q=words)
    assert (found.status, found["data"], found["next"]) == (200, [], None)


async def test_pages_give_every_airport_of_the_world_once_in_the_order_of_codes(get):
    codes, page = [], await get("airports", limit=100)
    while True:
        codes += [airport["code"] for airport in page["data"]]
        if page["next"] is None:
            break
        page = await get("airports", limit=100, after=page["next"])
    assert codes == sorted(airportsdata.load("IATA"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"limit": 0}, "invalid"),
        ({"limit": 101}, "invalid"),
        ({"after": "?"}, "invalid_cursor"),
        ({"q": "x" * 65}, "invalid"),
        ({"q": "\x00"}, "invalid"),
    ],
    ids=str,
)
async def test_a_question_about_airports_that_makes_no_sense_is_refused(get, change, code):
    refused = await get("airports", **change)
    assert (refused.status, refused.code) == (422, code)


# --- who may change the schedule ------------------------------------------------------------------


@pytest.fixture(params=["nobody", "a customer", "a service", "an unknown token"])
async def outsider(request, inside):
    """Headers of someone who is not staff, and how they are refused."""
    if request.param == "nobody":
        return {}, (401, "unauthorized")
    if request.param == "a customer":
        person = await inside.traveller()
        return {"authorization": f"Bearer {person.token}"}, (403, "staff_only")
    if request.param == "a service":
        return inside.service(), (403, "staff_only")
    return {"authorization": "Bearer e30.e30.e30"}, (401, "invalid_token")


async def test_only_staff_change_the_schedule(inside, get, flight, outsider):
    headers, refusal = outsider
    before = (await get(f"flights/{flight}")).body
    new, change = NEW | {"number": 404}, {"status": "cancelled"}
    for method, path, body in (("POST", "flights", new), ("PATCH", f"flights/{flight}", change)):
        reply = Reply.of(
            await inside.flights_http.request(method, f"/api/v1/{path}", json=body, headers=headers)
        )
        assert (reply.status, reply.code) == refusal
    assert (await get("flights/UA404-2090-12-01-EWR")).status == 404
    assert (await get(f"flights/{flight}")).body == before


# --- adding flights -------------------------------------------------------------------------------


async def test_a_flight_is_added_once(post_flight, get):
    first = await post_flight(**NEW, number=31)
    other = {"departing_at": "2090-12-01T06:00", "fares": {"economy": USD}}
    for again in (NEW, NEW | other):
        refused = await post_flight(**again, number=31)
        assert (refused.status, refused.code) == (409, "flight_exists")
    assert (await get(f"flights/{first['id']}")).body == first.body


async def test_without_a_name_of_its_own_the_aircraft_has_that_of_its_type(post_flight):
    assert (await post_flight(aircraft="738"))["aircraft"] == "Boeing 737-800"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"airline": "QQ"}, "unknown_airline"),
        ({"origin": "QQQ"}, "unknown_airport"),
        ({"destination": "QQQ"}, "unknown_airport"),
        ({"aircraft": "QQQ"}, "unknown_aircraft"),
        ({"destination": "EWR"}, "impossible_flight"),
        ({"arriving_at": "2090-12-01T04:15"}, "impossible_flight"),
        ({"arriving_at": "2090-11-30T23:00"}, "impossible_flight"),
        ({"fares": {"business": USD}}, "impossible_flight"),
        (
            {"fares": {"economy": USD, "first": {"amount": "600.00", "currency": "EUR"}}},
            "impossible_flight",
        ),
        ({"fares": {}}, "invalid"),
        ({"fares": {"economy": {"amount": "-1.00", "currency": "USD"}}}, "invalid"),
        ({"fares": {"economy": {"amount": "1e3", "currency": "USD"}}}, "invalid"),
        ({"fares": {"economy": {"amount": "1.005", "currency": "USD"}}}, "invalid"),
        ({"fares": {"economy": {"amount": "99999999999.00", "currency": "USD"}}}, "invalid"),
        (
            {"fares": {"economy": {"amount": "999999999.00", "currency": "USD"}}},
            "impossible_flight",
        ),
        ({"fares": {"economy": {"amount": 129, "currency": "USD"}}}, "invalid"),
        ({"fares": {"economy": {"amount": "129.00", "currency": "QQQ"}}}, "invalid"),
        ({"number": 0}, "invalid"),
        ({"number": 10_000}, "invalid"),
        ({"number": True}, "invalid"),
        ({"airline": "ua"}, "invalid"),
        ({"departing_at": "1999-12-31T23:00"}, "invalid"),
        ({"departing_at": "0001-01-01T00:00"}, "invalid"),
        ({"arriving_at": "9999-12-31T23:59"}, "invalid"),
        ({"departing_at": "noon"}, "invalid"),
        ({"departing_at": 3818571300}, "invalid"),
        ({"departing_at": "3818571300"}, "invalid"),
        ({"aircraft_name": "<script>"}, "invalid"),
        ({"status": "cancelled"}, "invalid"),
    ],
    ids=str,
)
async def test_a_flight_that_cannot_be_is_not_added(post_flight, get, change, code):
    refused = await post_flight(**NEW | {"number": 33} | change)
    assert (refused.status, refused.code) == (422, code)
    assert (await get("flights/UA33-2090-12-01-EWR")).status == 404


# --- changing flights -----------------------------------------------------------------------------


async def test_staff_cancel_a_flight_for_good(post_flight, patch_flight):
    flight = await post_flight()
    for _ in range(2):
        cancelled = await patch_flight(flight["id"], status="cancelled")
        assert (cancelled.status, cancelled["status"]) == (200, "cancelled")
    back = await patch_flight(flight["id"], fares={"economy": USD})
    assert (back.status, back.code) == (409, "flight_cancelled")
    assert (await patch_flight(flight["id"], status="scheduled")).status == 422


async def test_staff_retime_a_flight_and_it_keeps_its_id(post_flight, patch_flight, get, soon):
    day, flight = (
        soon + timedelta(days=1),
        await post_flight(
            destination="BUF",
            departing_at=f"{soon}T22:00",
            arriving_at=f"{soon}T23:30",
        ),
    )
    times = {"departing_at": f"{day}T00:15", "arriving_at": f"{day}T01:45"}
    later = await patch_flight(flight["id"], **times)
    assert (later["id"], later["duration"]) == (flight["id"], "PT1H30M")
    assert later["departing_at"].startswith(f"{day}T00:15:00-")
    route = {"origin": "JFK", "destination": "BUF"}
    assert (await get("flights", date=soon, **route))["data"] == []
    assert [found["id"] for found in (await get("flights", date=day, **route))["data"]] == [
        flight["id"]
    ]


async def test_a_flight_that_only_lands_later_still_leaves_on_its_day(
    post_flight, patch_flight, get, soon
):
    # In UTC it leaves on the next day.
    flight = await post_flight(
        destination="SYR", departing_at=f"{soon}T21:00", arriving_at=f"{soon}T22:15"
    )
    await patch_flight(flight["id"], arriving_at=f"{soon}T22:45")
    route = {"origin": "JFK", "destination": "SYR"}
    (found,) = (await get("flights", date=soon, **route))["data"]
    assert (found["id"], found["duration"]) == (flight["id"], "PT1H45M")


async def test_staff_reprice_one_cabin_and_the_others_stay(post_flight, patch_flight):
    flight = await post_flight(**NEW)
    dearer = {"amount": "149.00", "currency": "USD"}
    changed = await patch_flight(flight["id"], fares={"economy": dearer})
    assert [cabin["fare"] for cabin in changed["cabins"]] == [NEW["fares"]["first"], dearer]


async def test_staff_put_a_cabin_on_sale_that_was_not(post_flight, patch_flight):
    flight = await post_flight(**NEW | {"fares": {"economy": USD}})
    changed = await patch_flight(flight["id"], fares={"first": USD})
    assert [cabin["cabin"] for cabin in changed["cabins"]] == ["first", "economy"]


async def test_a_change_of_nothing_changes_nothing(post_flight, patch_flight):
    flight = await post_flight()
    assert (await patch_flight(flight["id"])).body == flight.body


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"fares": {"business": USD}}, "impossible_flight"),
        ({"fares": {"economy": {"amount": "1.00", "currency": "EUR"}}}, "impossible_flight"),
        ({"departing_at": "2090-12-01T09:20"}, "impossible_flight"),
        ({"arriving_at": "2090-12-01T04:00"}, "impossible_flight"),
        ({"departing_at": "2027-03-14T02:30"}, "impossible_flight"),
        ({"arriving_at": "2100-01-01T00:00"}, "invalid"),
        ({"fares": {}}, "invalid"),
        ({"fares": {"economy": {"amount": "-1.00", "currency": "USD"}}}, "invalid"),
        ({"origin": "JFK"}, "invalid"),
        ({"aircraft": "320"}, "invalid"),
    ],
    ids=str,
)
async def test_a_change_that_cannot_be_is_refused_and_the_flight_stays_as_it_is(
    post_flight, patch_flight, get, change, code
):
    flight = await post_flight(**NEW)
    refused = await patch_flight(flight["id"], **change)
    assert (refused.status, refused.code) == (422, code)
    assert (await get(f"flights/{flight['id']}")).body == flight.body


async def test_a_flight_that_is_not_there_cannot_be_changed(patch_flight):
    refused = await patch_flight("B61-2090-01-01-JFK", status="cancelled")
    assert (refused.status, refused.code) == (404, "flight_not_found")
