"""Flights for the bench: made up, and put straight into the flight database."""

from __future__ import annotations

import itertools
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Table

from skyhold.flight.models.flight import flight_id
from skyhold.flight.models.layout import Layout
from skyhold.flight.models.tables import Base, FlightRow, HoldRow, SeatClaimRow
from skyhold.flight.services.reference import data_file
from skyhold.kernel.ids import new_id

from . import database

AIRCRAFT, AIRCRAFT_NAME = "321", "Airbus A321"
AIRPORTS = ("JFK", "LAX", "ORD", "SFO", "ATL", "DFW", "BOS", "SEA")
ROUTES = tuple(itertools.permutations(AIRPORTS, 2))
FARE_MINOR = 12_900
FIRST_DAY, LAST_DAY = 30, 300  # days from now
NUMBER_MAX = 9_999
PARTY = 4
# 13:00 UTC is the same date at all of these airports, and so is everything up to nine hours later.
FIRST_HOUR_UTC, EVERY_MIN, TAKES_H = 13, 45, 5


@dataclass(frozen=True)
class Departure:
    """One flight on one day, as its row and its id have it."""

    id: str
    origin: str
    destination: str
    day: str
    row: Mapping[str, Any]


def for_sale(serials: Iterable[int], today: datetime) -> list[Departure]:
    """Flights on all routes and many days, one for each of these numbers."""
    days = LAST_DAY - FIRST_DAY
    return [
        _departure(
            "UA", serial // days % NUMBER_MAX + 1, route, FIRST_DAY + serial % days, 0, today
        )
        for serial, route in zip(serials, itertools.cycle(ROUTES), strict=False)
    ]


def schedule(route_days: int, flights_a_day: int, today: datetime) -> list[Departure]:
    """So many routes and days, with so many flights on each."""
    numbers = itertools.count(1)
    return [
        _departure(
            "B6", next(numbers), ROUTES[it % len(ROUTES)], 40 + it // len(ROUTES), slot, today
        )
        for it in range(route_days)
        for slot in range(flights_a_day)
    ]


def _departure(
    airline: str, number: int, route: tuple[str, str], in_days: int, slot: int, today: datetime
) -> Departure:
    origin, destination = route
    day = today.date() + timedelta(days=in_days)
    leaves = datetime(day.year, day.month, day.day, FIRST_HOUR_UTC, tzinfo=UTC)
    leaves += timedelta(minutes=EVERY_MIN * slot)
    id_ = flight_id(airline, number, day, origin)
    row = {
        "id": id_,
        "airline": airline,
        "number": number,
        "origin": origin,
        "destination": destination,
        "departs_on": day,
        "departing_at": leaves,
        "arriving_at": leaves + timedelta(hours=TAKES_H),
        "aircraft": AIRCRAFT,
        "aircraft_name": AIRCRAFT_NAME,
        "status": "scheduled",
        "currency": "USD",
        "fare_first": None,
        "fare_business": None,
        "fare_premium_economy": None,
        "fare_economy": FARE_MINOR,
        "ver": 1,
    }
    return Departure(id_, origin, destination, day.isoformat(), row)


def seats() -> list[str]:
    """Every seat of the economy cabin that is for sale."""
    drawing = tomllib.loads(data_file("aircraft.toml").read_text(encoding="utf-8"))[AIRCRAFT]
    layout = Layout.from_json(json.dumps(drawing["cabins"]))
    return [
        seat.number
        for cabin in layout.cabins
        for seat in cabin.sellable
        if cabin.cabin == "economy"
    ]


def add(url: str, flights: Sequence[Departure], sold: Sequence[str] = ()) -> None:
    """Put them into the flight database at this address, with these seats of each sold."""
    holds = [hold for flight in flights for hold in _holds(flight, sold)]
    claims = [
        {"flight_id": segment["flight_id"], "seat": seat, "cabin": "economy", "hold_id": hold["id"]}
        for hold in holds
        for segment in hold["segments"]
        for seat in segment["seats"]
    ]
    rows = {FlightRow: [flight.row for flight in flights], HoldRow: holds, SeatClaimRow: claims}
    database.add(url, {_table(row): many for row, many in rows.items()})


def _holds(flight: Departure, sold: Sequence[str]) -> Iterator[dict[str, Any]]:
    now = datetime.now(UTC)
    for start in range(0, len(sold), PARTY):
        segment = {
            "flight_id": flight.id,
            "flight_number": f"{flight.row['airline']}{flight.row['number']}",
            "origin": flight.origin,
            "destination": flight.destination,
            "departing_at": flight.row["departing_at"].isoformat(),
            "arriving_at": flight.row["arriving_at"].isoformat(),
            "cabin": "economy",
            "seats": list(sold[start : start + PARTY]),
            "fare": {"amount": "129.00", "currency": "USD"},
            "flight_ver": 1,
        }
        yield {
            "id": new_id(),
            "client_id": "booking",
            "request_digest": "0" * 64,
            "segments": [segment],
            "status": "confirmed",
            "expires_at": now,
            "created_at": now,
            "resolved_at": now,
            "ver": 2,
        }


def _table(row: type[Base]) -> Table:
    table = row.__table__
    assert isinstance(table, Table)
    return table
