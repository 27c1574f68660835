"""Bookings as the public sees them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Literal

from fastapi import Header, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PastDate, model_validator

from skyhold.booking.models.booking import BookingStatus, Passenger, PassengerType, Position
from skyhold.booking.models.change import Change, ChangeKind, Times
from skyhold.booking.services.book import Order
from skyhold.booking.services.bookings import View
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
from skyhold.kernel.ids import digest
from skyhold.kernel.money import WireMoney
from skyhold.kernel.types import Matching

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


def _written_out(value: object) -> object:
    """Not the seconds since 1970, which would be taken for a date too."""
    if value is not None and (not isinstance(value, str) or "-" not in value[1:]):
        msg = "must be a date, such as 1990-12-10"
        raise ValueError(msg)
    return value


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
    born_on: Annotated[PastDate | None, BeforeValidator(_written_out)] = Field(
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

    def order(self) -> Order:
        """What the customer wants."""
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
            digest=digest(self.model_dump(mode="json")),
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

    @classmethod
    def of(cls, segment: HeldSegment) -> SegmentOut:
        """The public form of a segment."""
        return cls.model_construct(**dict(segment))


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
        booking = view.booking
        return cls(
            id=booking.id,
            record_locator=booking.record_locator,
            status=booking.status,
            segments=[SegmentOut.of(segment) for segment in booking.segments],
            passengers=[
                PassengerOut(
                    given_name=who.given_name,
                    family_name=who.family_name,
                    type=who.type,
                    born_on=who.born_on,
                )
                for who in booking.passengers
            ],
            total=WireMoney.of(booking.total),
            payment_required_by=booking.payment_required_by.astimezone(UTC),
            available_actions=booking.available_actions(view.at),  # type: ignore[arg-type]
            created_at=booking.created_at.astimezone(UTC),
            payment=None if view.payment is None else PaymentOut.of(view.payment),
            changes=[ChangeOut.of(change) for change in booking.changes],
        )


def position_of(cursor: str | None) -> Position | None:
    """Where the page before ended. Raises InvalidCursor."""
    return None if cursor is None else Position(*from_instant_cursor(cursor))


def to_page(views: list[View], more: Position | None) -> Page[BookingOut]:
    """One page of bookings."""
    cursor = None if more is None else to_instant_cursor(more.created_at, more.booking_id)
    return Page(data=[BookingOut.of(view) for view in views], next=cursor)
