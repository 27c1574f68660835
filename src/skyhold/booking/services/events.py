"""What others are told about a booking."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from skyhold.booking.models.booking import Booking
from skyhold.booking.repositories import bookings
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
    PAYMENT_DECLINED = "payment.declined"
    PAYMENT_REFUNDED = "payment.refunded"


@dataclass(frozen=True, slots=True)
class Chronicle:
    """Writes events into the outbox, in the transaction of what they tell of."""

    outbox: Outbox
    clock: Clock

    async def tell(self, tx: Tx, booking_id: str, what: Happened) -> None:
        """Tell what has just happened to a booking, with its state as this transaction sees it."""
        booking = await bookings.by_id(tx, booking_id)
        assert booking is not None, f"{booking_id} was changed a moment ago"
        await self.tell_of(tx, [booking], what)

    async def tell_of(self, tx: Tx, about: list[Booking], what: Happened) -> None:
        """Tell the same of several bookings."""
        await self.outbox.add(tx, *(self._event(booking, what) for booking in about))

    def _event(self, booking: Booking, what: Happened) -> Event:
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
            },
            occurred_at=self.clock.now(),
        )
