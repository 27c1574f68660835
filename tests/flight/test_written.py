"""What is written straight from values reads as the models would have written it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from skyhold.contracts.holds import Cabin, HoldStatus
from skyhold.flight.models.flight import Availability, Flight, FlightStatus, Position
from skyhold.flight.models.layout import Layout
from skyhold.flight.schemas.flights import FlightOut, SeatMapOut
from skyhold.flight.schemas.written import page_of_flights, seat_map
from skyhold.kernel.http.pages import Page, to_instant_cursor
from skyhold.kernel.money import Money

LEAVES = datetime(2026, 12, 1, 10, 15, tzinfo=UTC)
LAYOUT = Layout.parse(
    [
        {"cabin": "business", "rows": "1-2", "seats": "A C", "blocked": ["2C"]},
        {"cabin": "economy", "rows": "3-5", "seats": "ABC DEF", "exits": [4], "missing": ["3F"]},
    ]
)
FARES = {Cabin.BUSINESS: Money(99_000, "USD"), Cabin.ECONOMY: Money(12_900, "USD")}


def a_flight(number=1545, fares=FARES, airline='"seats_available":0 "available"', ver=1):
    return Flight(
        id=f"UA{number}-2026-12-01-EWR",
        airline="UA",
        airline_name=airline,
        number=number,
        origin="EWR",
        destination="LHR",
        origin_zone="America/New_York",
        destination_zone="Europe/London",
        departing_at=LEAVES,
        arriving_at=LEAVES + timedelta(hours=7, minutes=4),
        aircraft="738",
        aircraft_name="Boeing 737-824",
        layout=LAYOUT,
        status=FlightStatus.SCHEDULED,
        fares=fares,
        ver=ver,
    )


@pytest.mark.parametrize("more", [None, Position(LEAVES, "UA1545-2026-12-01-EWR")])
def test_a_page_of_flights_is_what_the_models_write(more):
    offers = [
        Availability.of(a_flight(), {Cabin.ECONOMY: 3}),
        Availability.of(a_flight(7), {Cabin.BUSINESS: 3, Cabin.ECONOMY: 17}),
        Availability.of(a_flight(8, {Cabin.ECONOMY: Money(0, "JPY")}), {}),
    ]
    cursor = None if more is None else to_instant_cursor(more.departing_at, more.flight_id)
    page = Page(data=[FlightOut.of(offer) for offer in offers], next=cursor)
    for _ in range(2):  # anew, and from what is remembered
        assert page_of_flights(offers, more).body.decode() == page.model_dump_json()


def test_no_flights_are_a_page_too():
    assert page_of_flights([], None).body == b'{"data":[],"next":null}'


def test_a_flight_that_has_changed_is_written_anew():
    for ver, cents in ((1, 100), (2, 200)):
        dearer = a_flight(fares={Cabin.ECONOMY: Money(cents, "USD")}, ver=ver)
        text = page_of_flights([Availability.of(dearer, {})], None).body.decode()
        assert f'"amount":"{cents // 100}.00"' in text


@pytest.mark.parametrize("sold", [FARES, {Cabin.ECONOMY: FARES[Cabin.ECONOMY]}, {}])
def test_a_seat_map_is_what_the_models_write(sold):
    taken = {"1A": HoldStatus.HELD, "3A": HoldStatus.HELD, "5F": HoldStatus.CONFIRMED}
    expected = SeatMapOut.all_free("UA1545-2026-12-01-EWR", LAYOUT, sold)
    for cabin in expected.cabins:
        for seat in (seat for row in cabin.rows for seat in row.seats):
            if seat.seat in taken and cabin.cabin in sold:
                held = taken[seat.seat] is HoldStatus.HELD
                seat.status = "held" if held else "occupied"
    written = seat_map(a_flight(fares=sold), taken).body.decode()
    assert written == expected.model_dump_json(warnings=False)
    assert (
        seat_map(a_flight(fares=sold), {}).body.decode()
        == SeatMapOut.all_free("UA1545-2026-12-01-EWR", LAYOUT, sold).model_dump_json()
    )  # and what was filled in is not there for the next one
