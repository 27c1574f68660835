"""What the flight service tells, as this service keeps it."""

from __future__ import annotations

from datetime import datetime

from skyhold.booking.models.change import ChangeKind, FlightChange, Times
from skyhold.contracts.events import FlightEvent
from skyhold.kernel.messaging import Event


def news_of(event: Event, now: datetime) -> FlightChange:
    """The change that an event tells of. Raises ValidationError for one that makes no sense."""
    payload = FlightEvent.model_validate(event.data)
    cancelled = event.type == "flight.cancelled"
    return FlightChange(
        flight_id=payload.flight_id,
        sequence=event.sequence,
        kind=ChangeKind.CANCELLED if cancelled else ChangeKind.RESCHEDULED,
        times=Times(payload.departing_at, payload.arriving_at),
        due_at=now,
        attempts=0,
        ver=1,
        received_at=now,
    )
