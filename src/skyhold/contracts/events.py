"""Events: what the services tell of what has happened.

This only grows. A field that is here stays, with its meaning; new ones may be left out by whoever
sends, and are passed over by whoever reads. Statuses and kinds may get new values, so they are
plain texts here.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from skyhold.kernel.money import WireMoney

from .holds import Cabin, FlightId, SeatNumber

BOOKING = "/skyhold/booking"
FLIGHT = "/skyhold/flight"

Payload = type[BaseModel]


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class FlightTimes(_Told):
    """When a flight leaves and lands, with the offset of the clocks of its airports."""

    departing_at: AwareDatetime = Field(examples=["2026-12-01T09:15:00-05:00"])
    arriving_at: AwareDatetime = Field(examples=["2026-12-01T11:30:00-06:00"])


class FlightEvent(FlightTimes):
    """A flight as it is now, and its times before."""

    flight_id: FlightId
    flight_number: str = Field(examples=["UA1545"])
    status: str = Field(examples=["scheduled", "cancelled"])
    was: FlightTimes


class BookedSegment(_Told):
    """Seats on one flight."""

    flight_id: FlightId
    cabin: Cabin
    seats: list[SeatNumber]


class FlightChanged(_Told):
    """What became of one of the booking's flights; `now` is null when it does not go."""

    flight_id: FlightId
    kind: str = Field(examples=["cancelled", "rescheduled"])
    was: FlightTimes
    now: FlightTimes | None = None


class BookingEvent(_Told):
    """A booking as it was after what happened; `changes` of its flights are the reason, if any."""

    booking_id: str = Field(examples=["0193f3a1-6c1e-7b6a-9d0e-4a4f9c7e2b11"])
    record_locator: str = Field(examples=["K7QX3M"])
    user_id: str
    status: str = Field(examples=["held", "paying", "confirmed", "expired", "cancelled"])
    total: WireMoney
    segments: list[BookedSegment]
    changes: list[FlightChanged] = []


@dataclass(frozen=True, slots=True)
class EventKind:
    """A type of event: who tells it, what it says, and what is in its data."""

    type: str
    source: str
    says: str
    payload: Payload


EVENT_KINDS = (
    EventKind("booking.held", BOOKING, "Seats are held until they are paid.", BookingEvent),
    EventKind("booking.confirmed", BOOKING, "It is paid, and the seats are theirs.", BookingEvent),
    EventKind("booking.expired", BOOKING, "It was not paid in time.", BookingEvent),
    EventKind("booking.cancelled", BOOKING, "It was cancelled, or its flight was.", BookingEvent),
    EventKind("booking.flight_changed", BOOKING, "One of its flights has new times.", BookingEvent),
    EventKind("payment.declined", BOOKING, "A payment was declined.", BookingEvent),
    EventKind("payment.refunded", BOOKING, "The money is on its way back.", BookingEvent),
    EventKind("flight.cancelled", FLIGHT, "The flight does not go.", FlightEvent),
    EventKind("flight.rescheduled", FLIGHT, "The flight has new times.", FlightEvent),
)
