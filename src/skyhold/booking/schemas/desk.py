"""Bookings as the desk finds them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from skyhold.booking.models.booking import BookingStatus, Passenger, Position
from skyhold.booking.models.payment import PaymentStatus
from skyhold.booking.models.wanted import Wanted
from skyhold.booking.services.look import View
from skyhold.contracts.holds import Cabin, FlightId, HeldSegment
from skyhold.kernel.errors import FieldError, Unprocessable
from skyhold.kernel.http.pages import Page, to_instant_cursor
from skyhold.kernel.money import WireMoney
from skyhold.kernel.types import Matching

from .bookings import StatusFilter
from .users import Line

ONE_OF = "give exactly one of record_locator, family_name and flight_id"

RecordLocator = Annotated[
    str,
    Query(description="In capital or small letters"),
    Matching(r"[A-Za-z0-9]{6}", says="must be 6 letters and digits, such as K7Q3MX"),
]
FamilyName = Annotated[
    Line,
    Query(
        description="Of any passenger, as it was typed, or all in capitals, all in small letters, "
        "or with a capital for each word, whichever of these the booking has"
    ),
]


def wanted(
    record_locator: RecordLocator | None = None,
    family_name: FamilyName | None = None,
    flight_id: FlightId | None = None,
    status: StatusFilter = None,
) -> Wanted:
    """What the query asks for. Raises Unprocessable when it names none of the three, or several."""
    if sum(one is not None for one in (record_locator, family_name, flight_id)) != 1:
        raise Unprocessable(errors=(FieldError("query", ONE_OF),))
    locator = None if record_locator is None else record_locator.upper()
    return Wanted(locator, family_name, flight_id, status)


Asked = Annotated[Wanted, Depends(wanted)]


class NameOut(BaseModel):
    """Someone who flies."""

    given_name: str
    family_name: str

    @classmethod
    def of(cls, passenger: Passenger) -> NameOut:
        """The name of a passenger."""
        return cls(given_name=passenger.given_name, family_name=passenger.family_name)


class FlownOut(BaseModel):
    """One flight of the journey, in local times."""

    flight_id: str
    origin: str
    destination: str
    departing_at: datetime
    cabin: Cabin
    seats: list[str]

    @classmethod
    def of(cls, segment: HeldSegment) -> FlownOut:
        """A segment in short."""
        return cls.model_validate(segment, from_attributes=True)


class FoundOut(BaseModel):
    """A booking in short. `payment_status` is that of the last attempt, null when there is none."""

    id: str
    record_locator: str = Field(examples=["K7Q3MX"])
    status: BookingStatus
    created_at: datetime
    passengers: list[NameOut]
    segments: list[FlownOut]
    total: WireMoney
    payment_status: PaymentStatus | None

    @classmethod
    def of(cls, view: View) -> FoundOut:
        """The short form of a booking."""
        booking = view.booking
        return cls(
            id=booking.id,
            record_locator=booking.record_locator,
            status=booking.status,
            created_at=booking.created_at.astimezone(UTC),
            passengers=[NameOut.of(passenger) for passenger in booking.passengers],
            segments=[FlownOut.of(segment) for segment in booking.segments],
            total=WireMoney.of(booking.total),
            payment_status=None if view.payment is None else view.payment.status,
        )


def to_found(views: list[View], more: Position | None) -> Page[FoundOut]:
    """One page of what was found."""
    cursor = None if more is None else to_instant_cursor(more.created_at, more.booking_id)
    return Page(data=[FoundOut.of(view) for view in views], next=cursor)
