"""What becomes of a flight after it was booked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ChangeKind(StrEnum):
    """What happened to the flight."""

    CANCELLED = "cancelled"
    RESCHEDULED = "rescheduled"


@dataclass(frozen=True, slots=True)
class Times:
    """When a flight leaves and lands, on the clocks of its airports."""

    departing_at: datetime
    arriving_at: datetime


@dataclass(frozen=True, slots=True)
class FlightChange:
    """The last that the flight service told of a flight; `sequence` is the number it gave it.

    `due_at` is when the driver looks for bookings that have not heard of it yet, and None when all
    have.
    """

    flight_id: str
    sequence: int
    kind: ChangeKind
    times: Times
    due_at: datetime | None
    attempts: int
    ver: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """What a change meant to a booking: its old times, and the new ones unless it does not go."""

    flight_id: str
    kind: ChangeKind
    was: Times
    now: Times | None
    at: datetime
