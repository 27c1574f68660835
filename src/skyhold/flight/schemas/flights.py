"""Airports, flights and seat maps as the public sees them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from skyhold.contracts.holds import Cabin
from skyhold.flight.models.flight import Airport, Availability, FlightStatus
from skyhold.flight.models.layout import CabinLayout, Layout, Seat
from skyhold.kernel.money import WireMoney
from skyhold.kernel.types import WRITTEN_OUT, Matching

AirportCode = Annotated[
    str,
    BeforeValidator(
        lambda code: code.upper() if isinstance(code, str) and code.isascii() else code
    ),
    Field(examples=["JFK"]),
    Matching(r"[A-Z]{3}", says="must be the IATA code of an airport, such as JFK"),
]
AirlineCode = Annotated[
    str,
    Field(examples=["UA"]),
    Matching(r"[A-Z0-9]{2}", says="must be the IATA code of an airline, such as UA"),
]
AircraftCode = Annotated[
    str,
    Field(examples=["738"]),
    Matching(r"[A-Z0-9]{3}", says="must be the IATA code of an aircraft type, such as 738"),
]
AircraftName = Annotated[
    str,
    Field(min_length=1, max_length=100, examples=["Boeing 737-824"]),
    Matching(r"[A-Za-z0-9 .,()/+'-]+", says="must be letters, digits and plain punctuation"),
]
NUMBER_MAX = 9_999


YEARS = range(2000, 2100)


class AirportOut(BaseModel):
    """An airport with its IATA code; `time_zone` is an IANA name."""

    code: str
    name: str
    city: str
    country: str
    time_zone: str

    @classmethod
    def of(cls, airport: Airport) -> AirportOut:
        """The public form of an airport."""
        return cls(
            code=airport.code,
            name=airport.name,
            city=airport.city,
            country=airport.country,
            time_zone=airport.time_zone,
        )


class AirlineOut(BaseModel):
    """An airline with its IATA code."""

    code: str
    name: str


class CabinOut(BaseModel):
    """A cabin that is sold on a flight: the price of one seat, and how many are left."""

    cabin: Cabin
    fare: WireMoney
    seats_total: int
    seats_available: int


class FlightOut(BaseModel):
    """A flight. Local times carry the airport's offset on that day; `duration` is ISO 8601."""

    id: str
    flight_number: str
    airline: AirlineOut
    origin: str
    destination: str
    departing_at: datetime
    arriving_at: datetime
    departing_at_utc: datetime
    arriving_at_utc: datetime
    duration: str = Field(examples=["PT4H4M"])
    aircraft: str
    status: FlightStatus
    cabins: list[CabinOut]

    @classmethod
    def of(cls, found: Availability) -> FlightOut:
        """The public form of a flight and what is left on it."""
        flight = found.flight
        return cls(
            id=flight.id,
            flight_number=flight.flight_number,
            airline=AirlineOut(code=flight.airline, name=flight.airline_name),
            origin=flight.origin,
            destination=flight.destination,
            departing_at=flight.departing_local,
            arriving_at=flight.arriving_local,
            departing_at_utc=flight.departing_at.astimezone(UTC),
            arriving_at_utc=flight.arriving_at.astimezone(UTC),
            duration=iso_duration(flight.duration),
            aircraft=flight.aircraft_name,
            status=flight.status,
            cabins=[
                CabinOut(
                    cabin=cabin,
                    fare=WireMoney.of(fare),
                    seats_total=flight.seats_total(cabin),
                    seats_available=found.seats_available[cabin],
                )
                for cabin, fare in flight.fares.items()
            ],
        )


class SeatStatus(StrEnum):
    """Whether a seat can be had. `held` may come back, `occupied` is paid, `blocked` never sold."""

    AVAILABLE = "available"
    HELD = "held"
    OCCUPIED = "occupied"
    BLOCKED = "blocked"


class SeatOut(BaseModel):
    """A seat on the map."""

    seat: str = Field(examples=["12A"])
    status: SeatStatus
    characteristics: list[Literal["window", "aisle", "exit"]]


class SeatRowOut(BaseModel):
    """One row; a position of `columns` where no seat is, is left out."""

    row: int
    exit: bool
    seats: list[SeatOut]


class SeatMapCabinOut(BaseModel):
    """One cabin; `columns` are the seat letters from left to right, null is an aisle."""

    cabin: Cabin
    columns: list[str | None]
    rows: list[SeatRowOut]


class SeatMapOut(BaseModel):
    """Every seat of a flight and whether it can be had just now."""

    flight_id: str
    cabins: list[SeatMapCabinOut]

    @classmethod
    def all_free(cls, flight_id: str, layout: Layout, sold: Collection[Cabin]) -> SeatMapOut:
        """The public form of a layout of which these cabins are sold, and nothing yet."""

        def seat_out(seat: Seat) -> SeatOut:
            free = seat.cabin in sold and not seat.blocked
            return SeatOut(
                seat=seat.number,
                status=SeatStatus.AVAILABLE if free else SeatStatus.BLOCKED,
                characteristics=seat.characteristics,  # type: ignore[arg-type]
            )

        def cabin_out(cabin: CabinLayout) -> SeatMapCabinOut:
            return SeatMapCabinOut(
                cabin=cabin.cabin,
                columns=list(cabin.columns),
                rows=[
                    SeatRowOut(
                        row=row.number, exit=row.exit, seats=[seat_out(seat) for seat in row.seats]
                    )
                    for row in cabin.rows
                ],
            )

        return cls(flight_id=flight_id, cabins=[cabin_out(cabin) for cabin in layout.cabins])


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _in_range(at: datetime) -> datetime:
    if at.year not in YEARS:
        msg = f"the year must lie between {YEARS.start} and {YEARS.stop - 1}"
        raise ValueError(msg)
    return at


class NewFlight(_In):
    """A flight to add. Times are local to their airport, or carry an offset of their own."""

    airline: AirlineCode
    number: int = Field(ge=1, le=NUMBER_MAX, strict=True)
    origin: AirportCode
    destination: AirportCode
    departing_at: Annotated[datetime, WRITTEN_OUT] = Field(examples=["2026-12-01T05:15"])
    arriving_at: Annotated[datetime, WRITTEN_OUT] = Field(examples=["2026-12-01T08:19"])
    aircraft: AircraftCode
    aircraft_name: AircraftName | None = None
    fares: dict[Cabin, WireMoney] = Field(min_length=1)

    check_years = field_validator("departing_at", "arriving_at")(_in_range)


class FlightChange(_In):
    """What may change of a flight: its times, its fares, or that it is cancelled."""

    status: Literal["cancelled"] | None = None
    departing_at: Annotated[datetime | None, WRITTEN_OUT] = None
    arriving_at: Annotated[datetime | None, WRITTEN_OUT] = None
    fares: dict[Cabin, WireMoney] | None = Field(None, min_length=1)

    @field_validator("departing_at", "arriving_at")
    @classmethod
    def _years(cls, at: datetime | None) -> datetime | None:
        return None if at is None else _in_range(at)


def iso_duration(duration: timedelta) -> str:
    """ISO 8601: four hours and four minutes are PT4H4M."""
    hours, minutes = divmod(int(duration.total_seconds()) // 60, 60)
    return "PT" + (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes or not hours else "")
