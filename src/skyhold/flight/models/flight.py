"""A flight: its times, its fares, its aircraft."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from skyhold.contracts.holds import Cabin
from skyhold.kernel.money import Money

from .layout import Layout


class FlightStatus(StrEnum):
    """Whether it is going to fly."""

    SCHEDULED = "scheduled"
    CANCELLED = "cancelled"


class TimeDoesNotExist(ValueError):
    """A local time that the clocks jump over."""


@dataclass(frozen=True, slots=True)
class Airport:
    """An airport, by its IATA code; `time_zone` is an IANA name."""

    code: str
    name: str
    city: str
    country: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Flight:
    """One flight on one day.

    Instants are UTC; `origin_zone` and `destination_zone` are IANA names and say how they are
    shown. `fares` has one price per seat for each cabin that is sold, `layout` is the aircraft's.
    `ver` grows with every change.
    """

    id: str
    airline: str
    airline_name: str
    number: int
    origin: str
    destination: str
    origin_zone: str
    destination_zone: str
    departing_at: datetime
    arriving_at: datetime
    aircraft: str
    aircraft_name: str
    layout: Layout
    status: FlightStatus
    fares: Mapping[Cabin, Money]
    ver: int = 1

    def __hash__(self) -> int:
        """By the version of it that this is."""
        return hash((self.id, self.ver))

    @property
    def flight_number(self) -> str:
        """As printed on a ticket: UA1545."""
        return f"{self.airline}{self.number}"

    @property
    def departing_local(self) -> datetime:
        """The departure on the clocks of the airport it leaves."""
        return self.departing_at.astimezone(ZoneInfo(self.origin_zone))

    @property
    def arriving_local(self) -> datetime:
        """The arrival on the clocks of the airport it reaches."""
        return self.arriving_at.astimezone(ZoneInfo(self.destination_zone))

    @property
    def duration(self) -> timedelta:
        """From departure to arrival, whatever the clocks do in between."""
        return self.arriving_at - self.departing_at

    def seats_total(self, cabin: Cabin) -> int:
        """How many seats of this cabin are ever sold."""
        return len(self.layout.by_cabin[cabin].sellable)


def flight_id(airline: str, number: int, departs_on: date, origin: str) -> str:
    """The readable, stable id of a flight: `UA1545-2026-12-01-EWR`."""
    return f"{airline}{number}-{departs_on.isoformat()}-{origin}"


def local_date(at: datetime, zone: str) -> date:
    """The date of an instant on the clocks of an airport."""
    return at.astimezone(ZoneInfo(zone)).date()


def to_instant(at: datetime, zone: str) -> datetime:
    """The instant, in UTC, of a local time; one with an offset says itself which it is.

    A time that occurs twice, when clocks go back, means the first of both; give an offset for the
    second. Raises TimeDoesNotExist for one that clocks jump over.
    """
    if at.tzinfo is not None:
        return at.astimezone(UTC)
    local = ZoneInfo(zone)
    instant = at.replace(tzinfo=local).astimezone(UTC)
    if instant.astimezone(local).replace(tzinfo=None) != at:
        msg = f"{at.isoformat(timespec='minutes')} does not exist in {zone}: clocks jump over it"
        raise TimeDoesNotExist(msg)
    return instant


@dataclass(frozen=True, slots=True)
class Availability:
    """A flight, and how many seats of each cabin that is sold are free."""

    flight: Flight
    seats_available: Mapping[Cabin, int]

    @classmethod
    def of(cls, flight: Flight, taken: Mapping[Cabin, int]) -> Availability:
        """What is left when so many seats are taken; nothing once the flight is cancelled."""
        flies = flight.status is FlightStatus.SCHEDULED
        return cls(
            flight,
            {
                cabin: flight.seats_total(cabin) - taken.get(cabin, 0) if flies else 0
                for cabin in flight.fares
            },
        )

    def seats_for(self, party: int, cabin: Cabin | None) -> bool:
        """Whether so many people find seats in this cabin, or with None in any one cabin."""
        if cabin is not None:
            return self.seats_available.get(cabin, 0) >= party
        return any(seats >= party for seats in self.seats_available.values())


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page of flights ended."""

    departing_at: datetime
    flight_id: str
