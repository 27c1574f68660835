"""The schedule: search, one flight, its seat map; for staff adding and changing flights."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import Query, Request, Response

from skyhold.contracts.holds import PARTY_MAX, Cabin, FlightId
from skyhold.flight.errors import (
    FlightCancelled,
    FlightDeparted,
    FlightExists,
    FlightNotFound,
    ImpossibleFlight,
    SessionsUnknown,
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
)
from skyhold.flight.schemas.search import search_of, to_change, to_departure
from skyhold.flight.schemas.written import page_of_flights, seat_map
from skyhold.kernel.http.identity import STAFF_DOCUMENTED, Staff, StaffOnly
from skyhold.kernel.http.openapi import answers
from skyhold.kernel.http.pages import PAGE_DEFAULT, After, InvalidCursor, Limit, Page
from skyhold.kernel.http.problems import documented
from skyhold.kernel.http.routes import Routes
from skyhold.kernel.http.written import Written
from skyhold.kernel.types import CALENDAR_DAY, PLAIN_NUMBER

from .airports import schedule_of

router = Routes(prefix="/api/v1/flights", tags=["flights"])

_THIS = {"flight_id": "$response.body#/id"}
_FIRST = {"flight_id": "$response.body#/data/0/id"}


@router.get(
    "",
    response_model=Page[FlightOut],
    summary="Flights on a route and date, with free seats and fares",
    responses=documented(UnknownAirport, InvalidCursor)
    | answers(200, leads_to={"get_flight": _FIRST, "get_seat_map": _FIRST}),
)
async def search_flights(
    request: Request,
    origin: AirportCode,
    destination: AirportCode,
    on: Annotated[
        date, Query(alias="date", description="Local date of the departure"), CALENDAR_DAY
    ],
    passengers: Annotated[int, Query(ge=1, le=PARTY_MAX), PLAIN_NUMBER] = 1,
    cabin: Cabin | None = None,
    limit: Limit = PAGE_DEFAULT,
    after: After = None,
) -> Written:
    """By departure. Only flights with room for the whole party in one cabin."""
    search = search_of(origin, destination, on, passengers, cabin, limit, after)
    return page_of_flights(*await schedule_of(request).search(search))


@router.get(
    "/{flight_id}",
    summary="One flight",
    responses=documented(FlightNotFound) | answers(200, leads_to={"get_seat_map": _THIS}),
)
async def get_flight(request: Request, flight_id: FlightId) -> FlightOut:
    """Also one that has left or is cancelled."""
    return FlightOut.of(await schedule_of(request).flight(flight_id))


@router.get(
    "/{flight_id}/seats",
    response_model=SeatMapOut,
    summary="Its seat map",
    responses=documented(FlightNotFound),
)
async def get_seat_map(request: Request, flight_id: FlightId) -> Written:
    """Each seat's status at this moment; only a hold makes it yours."""
    return seat_map(*await schedule_of(request).seat_map(flight_id))


@router.post(
    "",
    status_code=201,
    summary="Add a flight (staff)",
    dependencies=STAFF_DOCUMENTED,
    responses=documented(
        StaffOnly,
        SessionsUnknown,
        FlightExists,
        UnknownAirport,
        UnknownAirline,
        UnknownAircraft,
        ImpossibleFlight,
    )
    | answers(
        201,
        headers=("Location",),
        leads_to={"get_flight": _THIS, "get_seat_map": _THIS, "change_flight": _THIS},
    ),
)
async def add_flight(request: Request, _: Staff, body: NewFlight, response: Response) -> FlightOut:
    """Its id follows from airline, number, local date and origin."""
    added = await schedule_of(request).add(to_departure(body))
    response.headers["Location"] = f"/api/v1/flights/{added.flight.id}"
    return FlightOut.of(added)


@router.patch(
    "/{flight_id}",
    summary="Cancel, retime or reprice a flight (staff)",
    dependencies=STAFF_DOCUMENTED,
    responses=documented(
        StaffOnly,
        SessionsUnknown,
        FlightNotFound,
        FlightCancelled,
        FlightDeparted,
        ImpossibleFlight,
    ),
)
async def change_flight(
    request: Request, _: Staff, flight_id: FlightId, body: FlightChange
) -> FlightOut:
    """Holds and bookings keep the price they were promised."""
    return FlightOut.of(await schedule_of(request).change(flight_id, to_change(body)))
