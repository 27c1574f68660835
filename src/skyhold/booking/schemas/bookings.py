"""Bookings as the public sees them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from fastapi import Header, Query
from pydantic import BaseModel, ConfigDict, Field, PastDate, model_validator
from pydantic_core import to_json

from skyhold.booking.models.booking import BookingStatus, Passenger, PassengerType, Position
from skyhold.booking.models.change import Change, ChangeKind, Times
from skyhold.booking.services.book import Order
from skyhold.booking.services.look import View
from skyhold.contracts.holds import (
    PARTY_MAX,
    SEGMENTS_MAX,
    Cabin,
    FlightId,
    HeldSegment,
    SeatNumber,
    SegmentWanted,
)
from skyhold.kernel.http.pages import Page, from_instant_cursor, to_instant_cursor
from skyhold.kernel.http.written import Written
from skyhold.kernel.ids import digest
from skyhold.kernel.money import WireMoney
from skyhold.kernel.types import CALENDAR_DAY, Matching

from .payment_out import PaymentOut
from .users import Line

_Key = Annotated[
    str,
    Matching(
        r"[\x21-\x7e]{1,255}",
        says="must be 1 to 255 visible ASCII characters, without spaces",
    ),
]
IdempotencyKey = Annotated[
    _Key | None,
    Header(
        description="Repeating a request under the same key repeats its answer, not its effect",
    ),
]


StatusFilter = Annotated[BookingStatus | None, Query(description="Only bookings in this state")]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SegmentIn(_In):
    """One flight of the journey. Without `seats` the party is seated together where possible."""

    flight_id: FlightId
    cabin: Cabin = Cabin.ECONOMY
    seats: list[SeatNumber] | None = Field(
        None, min_length=1, max_length=PARTY_MAX, description="One per passenger, in their order"
    )


class PassengerIn(_In):
    """Someone who flies."""

    given_name: Line = Field(examples=["Ada"])
    family_name: Line = Field(examples=["Lovelace"])
    born_on: Annotated[PastDate | None, CALENDAR_DAY] = Field(
        None, ge=date(1900, 1, 1), examples=["1990-12-10"]
    )
    type: PassengerType = PassengerType.ADULT


class NewBooking(_In):
    """A journey for a party. `expected_total` refuses it when it costs anything else."""

    segments: list[SegmentIn] = Field(min_length=1, max_length=SEGMENTS_MAX)
    passengers: list[PassengerIn] = Field(min_length=1, max_length=PARTY_MAX)
    expected_total: WireMoney | None = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "segments": [{"flight_id": "UA1545-2026-12-01-EWR", "cabin": "economy"}],
                    "passengers": [
                        {"given_name": "Ada", "family_name": "Lovelace"},
                        {"given_name": "Charles", "family_name": "Babbage"},
                    ],
                }
            ]
        }
    )

    @model_validator(mode="after")
    def _a_seat_for_everyone(self) -> NewBooking:
        for segment in self.segments:
            if segment.seats is not None and len(segment.seats) != len(self.passengers):
                msg = "each segment needs exactly one seat per passenger"
                raise ValueError(msg)
        return self

    def order(self, *, under_key: bool = True) -> Order:
        """What the customer wants; its digest only for who has to compare it, later, by a key."""
        party = len(self.passengers)
        return Order(
            segments=tuple(
                SegmentWanted(
                    flight_id=segment.flight_id,
                    cabin=segment.cabin,
                    seats=segment.seats,
                    count=None if segment.seats else party,
                )
                for segment in self.segments
            ),
            passengers=tuple(
                Passenger(who.given_name, who.family_name, who.type, who.born_on)
                for who in self.passengers
            ),
            expected_total=self.expected_total,
            digest=digest(self.model_dump(mode="json")) if under_key else None,
        )


class BookingChange(_In):
    """The one change that owners make: cancel."""

    status: Literal["cancelled"]


class PassengerOut(BaseModel):
    """Someone who flies."""

    given_name: str
    family_name: str
    type: PassengerType
    born_on: date | None


class SegmentOut(BaseModel):
    """One flight of the journey as it was booked, in local times; seats in passengers' order."""

    flight_id: str
    flight_number: str
    origin: str
    destination: str
    departing_at: datetime
    arriving_at: datetime
    cabin: Cabin
    seats: list[str]
    fare: WireMoney = Field(description="The price of one seat")


class TimesOut(BaseModel):
    """When a flight leaves and lands, on the clocks of its airports."""

    departing_at: datetime
    arriving_at: datetime

    @classmethod
    def of(cls, times: Times) -> TimesOut:
        """The public form of a flight's times."""
        return cls(departing_at=times.departing_at, arriving_at=times.arriving_at)


class ChangeOut(BaseModel):
    """What the airline has changed since; `now` is null when the flight does not go."""

    flight_id: str
    kind: ChangeKind
    was: TimesOut
    now: TimesOut | None
    at: datetime

    @classmethod
    def of(cls, change: Change) -> ChangeOut:
        """The public form of a change."""
        return cls(
            flight_id=change.flight_id,
            kind=change.kind,
            was=TimesOut.of(change.was),
            now=None if change.now is None else TimesOut.of(change.now),
            at=change.at,
        )


class BookingOut(BaseModel):
    """A booking. Pay before `payment_required_by`, or the seats are given to others."""

    id: str
    record_locator: str = Field(examples=["K7Q3MX"])
    status: BookingStatus
    segments: list[SegmentOut]
    passengers: list[PassengerOut]
    total: WireMoney
    payment_required_by: datetime
    available_actions: list[Literal["pay", "cancel"]]
    created_at: datetime
    payment: PaymentOut | None
    changes: list[ChangeOut]

    @classmethod
    def of(cls, view: View) -> BookingOut:
        """The public form of a booking, with what may be done with it at this moment."""
        return cls.model_validate(_plain(view))


def to_answer(view: View, status: int = 200, headers: Mapping[str, str] | None = None) -> Written:
    """A `BookingOut`, written without one: nobody has to check what is ours."""
    return Written(to_json(_plain(view)), status, headers)


def _plain(view: View) -> dict[str, Any]:
    """What a `BookingOut` says, in its order."""
    booking = view.booking
    return {
        "id": booking.id,
        "record_locator": booking.record_locator,
        "status": booking.status,
        "segments": [_segment(segment) for segment in booking.segments],
        "passengers": [_passenger(passenger) for passenger in booking.passengers],
        "total": WireMoney.of(booking.total),
        "payment_required_by": booking.payment_required_by.astimezone(UTC),
        "available_actions": booking.available_actions(view.at),
        "created_at": booking.created_at.astimezone(UTC),
        "payment": None if view.payment is None else PaymentOut.of(view.payment),
        "changes": [ChangeOut.of(change) for change in booking.changes],
    }


def _segment(segment: HeldSegment) -> dict[str, Any]:
    return {
        "flight_id": segment.flight_id,
        "flight_number": segment.flight_number,
        "origin": segment.origin,
        "destination": segment.destination,
        "departing_at": segment.departing_at,
        "arriving_at": segment.arriving_at,
        "cabin": segment.cabin,
        "seats": segment.seats,
        "fare": segment.fare,
    }


def _passenger(passenger: Passenger) -> dict[str, Any]:
    return {
        "given_name": passenger.given_name,
        "family_name": passenger.family_name,
        "type": passenger.type,
        "born_on": passenger.born_on,
    }


def position_of(cursor: str | None) -> Position | None:
    """Where the page before ended. Raises InvalidCursor."""
    return None if cursor is None else Position(*from_instant_cursor(cursor))


def to_page(views: list[View], more: Position | None) -> Page[BookingOut]:
    """One page of bookings."""
    cursor = None if more is None else to_instant_cursor(more.created_at, more.booking_id)
    return Page(data=[BookingOut.of(view) for view in views], next=cursor)
