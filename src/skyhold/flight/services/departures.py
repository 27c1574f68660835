"""From what staff, or a file, say of a flight to its row: does it all fit together?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from skyhold.contracts.holds import PARTY_MAX, SEGMENTS_MAX, Cabin
from skyhold.flight.errors import ImpossibleFlight
from skyhold.flight.models.flight import (
    Flight,
    FlightStatus,
    TimeDoesNotExist,
    flight_id,
    local_date,
    to_instant,
)
from skyhold.flight.models.tables import fare_column
from skyhold.kernel.money import MINOR_MAX, Money

FLIGHT_MAX = timedelta(hours=24)
# The dearest journey still fits: every seat of the largest party on the most segments.
FARE_MINOR_MAX = MINOR_MAX // (PARTY_MAX * SEGMENTS_MAX)


@dataclass(frozen=True, slots=True)
class Departure:
    """A flight to be added. Times without an offset are local to their airport."""

    airline: str
    number: int
    origin: str
    destination: str
    departing_at: datetime
    arriving_at: datetime
    aircraft: str
    aircraft_name: str | None
    fares: Mapping[Cabin, Money]


@dataclass(frozen=True, slots=True)
class Change:
    """What is to change of a flight; None and a cabin without a fare stay as they are."""

    cancel: bool
    departing_at: datetime | None
    arriving_at: datetime | None
    fares: Mapping[Cabin, Money]


def new_row(
    departure: Departure,
    *,
    zones: Mapping[str, str],
    aircraft_name: str,
    cabins: frozenset[Cabin] | Any,  # noqa: ANN401 - any collection of cabins
) -> dict[str, Any]:
    """The column values of a new flight. Raises ImpossibleFlight when its parts do not fit."""
    if departure.origin == departure.destination:
        raise ImpossibleFlight("The flight lands where it started.")
    departing_at = _instant(departure.departing_at, zones[departure.origin])
    arriving_at = _instant(departure.arriving_at, zones[departure.destination])
    _check_times(departing_at, arriving_at)
    strange = departure.fares.keys() - cabins
    if strange:
        raise ImpossibleFlight(f"This aircraft has no {min(strange)} cabin.")
    _check_fares(departure.fares)
    currencies = {fare.currency for fare in departure.fares.values()}
    if len(currencies) != 1:
        raise ImpossibleFlight("Give at least one fare, all of them in one currency.")
    departs_on = local_date(departing_at, zones[departure.origin])
    return {
        "id": flight_id(departure.airline, departure.number, departs_on, departure.origin),
        "airline": departure.airline,
        "number": departure.number,
        "origin": departure.origin,
        "destination": departure.destination,
        "departs_on": departs_on,
        "departing_at": departing_at,
        "arriving_at": arriving_at,
        "aircraft": departure.aircraft,
        "aircraft_name": departure.aircraft_name or aircraft_name,
        "status": FlightStatus.SCHEDULED.value,
        "currency": currencies.pop(),
        **{
            fare_column(cabin): departure.fares[cabin].minor if cabin in departure.fares else None
            for cabin in Cabin
        },
    }


def _check_times(departing_at: datetime, arriving_at: datetime) -> None:
    if arriving_at <= departing_at:
        raise ImpossibleFlight("The flight lands before it departs.")
    if arriving_at - departing_at > FLIGHT_MAX:
        raise ImpossibleFlight("The flight takes longer than a day; is a date wrong?")


def _check_fares(fares: Mapping[Cabin, Money]) -> None:
    if any(fare.minor > FARE_MINOR_MAX for fare in fares.values()):
        raise ImpossibleFlight("A fare is higher than this system can sell.")


def changed_values(flight: Flight, change: Change) -> dict[str, Any]:
    """The columns that really change. Raises ImpossibleFlight when the result would not fit."""
    values: dict[str, Any] = {}
    if change.cancel:
        values["status"] = FlightStatus.CANCELLED.value
    if change.departing_at or change.arriving_at:
        departing_at = _instant(change.departing_at or flight.departing_at, flight.origin_zone)
        arriving_at = _instant(change.arriving_at or flight.arriving_at, flight.destination_zone)
        _check_times(departing_at, arriving_at)
        values |= {
            "departing_at": departing_at,
            "arriving_at": arriving_at,
            "departs_on": local_date(departing_at, flight.origin_zone),
        }
    _check_fares(change.fares)
    for cabin, fare in change.fares.items():
        if cabin not in flight.layout.by_cabin:
            raise ImpossibleFlight(f"This aircraft has no {cabin} cabin.")
        if fare.currency not in {known.currency for known in flight.fares.values()}:
            raise ImpossibleFlight("A flight keeps its currency.")
        values[fare_column(cabin)] = fare.minor
    return {name: value for name, value in values.items() if value != _present(flight, name)}


def _present(flight: Flight, column: str) -> Any:  # noqa: ANN401 - a column of any type
    """What a column of the flight holds now."""
    present: dict[str, Any] = {
        "status": flight.status.value,
        "departing_at": flight.departing_at,
        "arriving_at": flight.arriving_at,
        "departs_on": local_date(flight.departing_at, flight.origin_zone),
        **{fare_column(cabin): fare.minor for cabin, fare in flight.fares.items()},
    }
    return present.get(column)


def _instant(at: datetime, zone: str) -> datetime:
    try:
        return to_instant(at, zone)
    except TimeDoesNotExist as error:
        raise ImpossibleFlight(str(error)) from error
