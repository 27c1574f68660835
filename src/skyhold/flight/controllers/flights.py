"""The schedule: search, one flight, its seat map; for staff adding and changing flights."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Response

from skyhold.contracts.holds import PARTY_MAX, Cabin
from skyhold.flight.errors import (
    FlightCancelled,
    FlightDeparted,
    FlightExists,
    FlightNotFound,
    ImpossibleFlight,
    UnknownAircraft,
    UnknownAirline,
    UnknownAirport,
)
from skyhold.flight.schemas.flights import (
    AirportCode,
    FlightChange,
    FlightOut,
    NewFlight,
    SeatMapOut,
    WrittenOut,
)
from skyhold.flight.schemas.search import search_of, to_change, to_departure, to_page
from skyhold.kernel.auth import InvalidToken
from skyhold.kernel.errors import Unauthorized, Unprocessable
from skyhold.kernel.http.identity import DOCUMENTED, Staff, StaffOnly
from skyhold.kernel.http.pages import PAGE_DEFAULT, After, InvalidCursor, Limit, Page
from skyhold.kernel.http.problems import documented

from .airports import Flights

router = APIRouter(prefix="/api/v1/flights", tags=["flights"])

_STAFF = (Unauthorized, InvalidToken, StaffOnly)


@router.get(
    "",
    summary="Flights on a route and date, with free seats and fares",
    responses=documented(Unprocessable, UnknownAirport, InvalidCursor),
)
async def search_flights(
    flights: Flights,
    origin: AirportCode,
    destination: AirportCode,
    on: Annotated[date, Query(alias="date", description="Local date of the departure"), WrittenOut],
    passengers: Annotated[int, Query(ge=1, le=PARTY_MAX)] = 1,
    cabin: Cabin | None = None,
    limit: Limit = PAGE_DEFAULT,
    after: After = None,
) -> Page[FlightOut]:
    """By departure. Only flights with room for the whole party in one cabin."""
    search = search_of(origin, destination, on, passengers, cabin, limit, after)
    return to_page(*await flights.search(search))


@router.get("/{flight_id}", summary="One flight", responses=documented(FlightNotFound))
async def get_flight(flights: Flights, flight_id: str) -> FlightOut:
    """Also one that has left or is cancelled."""
    return FlightOut.of(await flights.flight(flight_id))


@router.get("/{flight_id}/seats", summary="Its seat map", responses=documented(FlightNotFound))
async def get_seat_map(flights: Flights, flight_id: str) -> SeatMapOut:
    """Each seat's status at this moment; only a hold makes it yours."""
    return SeatMapOut.of(*await flights.seat_map(flight_id))


@router.post(
    "",
    status_code=201,
    summary="Add a flight (staff)",
    dependencies=DOCUMENTED,
    responses=documented(
        *_STAFF, FlightExists, UnknownAirport, UnknownAirline, UnknownAircraft, ImpossibleFlight
    ),
)
async def add_flight(flights: Flights, _: Staff, body: NewFlight, response: Response) -> FlightOut:
    """Its id follows from airline, number, local date and origin."""
    added = await flights.add(to_departure(body))
    response.headers["Location"] = f"/api/v1/flights/{added.flight.id}"
    return FlightOut.of(added)


@router.patch(
    "/{flight_id}",
    summary="Cancel, retime or reprice a flight (staff)",
    dependencies=DOCUMENTED,
    responses=documented(
        *_STAFF, FlightNotFound, FlightCancelled, FlightDeparted, ImpossibleFlight
    ),
)
async def change_flight(
    flights: Flights, _: Staff, flight_id: str, body: FlightChange
) -> FlightOut:
    """Holds and bookings keep the price they were promised."""
    return FlightOut.of(await flights.change(flight_id, to_change(body)))
