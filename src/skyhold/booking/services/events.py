"""What others are told about a booking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from structlog.contextvars import get_contextvars

from skyhold.booking.models.booking import Booking
from skyhold.booking.models.change import Change, Times
from skyhold.booking.repositories import bookings
from skyhold.kernel import tracing
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Tx
from skyhold.kernel.ids import new_id
from skyhold.kernel.messaging import Event
from skyhold.kernel.outbox import Outbox


class Happened(StrEnum):
    """The kinds of event."""

    HELD = "booking.held"
    CONFIRMED = "booking.confirmed"
    EXPIRED = "booking.expired"
    CANCELLED = "booking.cancelled"
    FLIGHT_CHANGED = "booking.flight_changed"
    PAYMENT_DECLINED = "payment.declined"
    PAYMENT_REFUNDED = "payment.refunded"


@dataclass(frozen=True, slots=True)
class Course:
    """In the course of which request, and as which step of a trace, something happens."""

    request_id: str | None
    traceparent: str | None

    @classmethod
    def present(cls) -> Course:
        """That of the running task."""
        return cls(get_contextvars().get("request_id"), tracing.current_traceparent())


@dataclass(frozen=True, slots=True)
class Chronicle:
    """Writes events into the outbox, in the transaction of what they tell of."""

    outbox: Outbox
    clock: Clock

    async def tell(self, tx: Tx, booking_id: str, what: Happened, *changes: Change) -> None:
        """Tell what has just happened to a booking, with its state as this transaction sees it.

        `changes` of its flights are the reason, where they are.
        """
        booking = await bookings.by_id(tx, booking_id)
        assert booking is not None, f"{booking_id} was changed a moment ago"
        await self.outbox.add(tx, self._event(booking, what, changes))

    async def tell_of(
        self, tx: Tx, about: Sequence[tuple[Booking, Course]], what: Happened
    ) -> None:
        """Tell the same of several bookings, each in the course of a request of its own."""
        events = [
            replace(
                self._event(booking, what),
                request_id=course.request_id,
                traceparent=course.traceparent,
            )
            for booking, course in about
        ]
        await self.outbox.add(tx, *events)

    def _event(self, booking: Booking, what: Happened, changes: tuple[Change, ...] = ()) -> Event:
        return Event(
            id=new_id(),
            type=what,
            subject=booking.id,
            sequence=booking.ver,
            data={
                "booking_id": booking.id,
                "record_locator": booking.record_locator,
                "user_id": booking.user_id,
                "status": booking.status,
                "total": {"amount": booking.total.amount, "currency": booking.total.currency},
                "segments": [
                    {"flight_id": segment.flight_id, "cabin": segment.cabin, "seats": segment.seats}
                    for segment in booking.segments
                ],
                "changes": [_told(change) for change in changes],
            },
            occurred_at=self.clock.now(),
        )


def _told(change: Change) -> dict[str, Any]:
    return {
        "flight_id": change.flight_id,
        "kind": change.kind,
        "was": _times(change.was),
        "now": None if change.now is None else _times(change.now),
    }


def _times(times: Times) -> dict[str, str]:
    return {
        "departing_at": times.departing_at.isoformat(),
        "arriving_at": times.arriving_at.isoformat(),
    }
