"""From query strings and bodies to what the schedule is asked."""

from __future__ import annotations

from datetime import date

from skyhold.contracts.holds import Cabin
from skyhold.flight.models.flight import Position
from skyhold.flight.services.departures import Change, Departure
from skyhold.flight.services.searching import Search
from skyhold.kernel.errors import FieldError, Unprocessable
from skyhold.kernel.http.pages import from_instant_cursor

from .flights import YEARS, FlightChange, NewFlight


def search_of(
    origin: str,
    destination: str,
    on: date,
    passengers: int,
    cabin: Cabin | None,
    limit: int,
    after: str | None,
) -> Search:
    """What the query asks for. Raises Unprocessable for a date far off, InvalidCursor."""
    if on.year not in YEARS:
        raise Unprocessable(errors=(FieldError("date", "is too far away"),))
    position = Position(*from_instant_cursor(after)) if after is not None else None
    return Search(origin, destination, on, passengers, cabin, limit, position)


def to_departure(body: NewFlight) -> Departure:
    """The flight that staff want to add."""
    return Departure(
        airline=body.airline,
        number=body.number,
        origin=body.origin,
        destination=body.destination,
        departing_at=body.departing_at,
        arriving_at=body.arriving_at,
        aircraft=body.aircraft,
        aircraft_name=body.aircraft_name,
        fares={cabin: fare.money() for cabin, fare in body.fares.items()},
    )


def to_change(body: FlightChange) -> Change:
    """What staff want to change."""
    return Change(
        cancel=body.status is not None,
        departing_at=body.departing_at,
        arriving_at=body.arriving_at,
        fares={cabin: fare.money() for cabin, fare in (body.fares or {}).items()},
    )
