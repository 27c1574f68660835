"""What an audit needs to know of bookings and payments: little of each, of very many."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from skyhold.kernel.money import Money

from .booking import BookingStatus
from .payment import PaymentStatus

# Seats by their flight and number.
SeatSet = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class BookingFacts:
    """A booking without its people. Two that are equal were read from one and the same row."""

    id: str
    record_locator: str
    status: BookingStatus
    seats: SeatSet
    total: Money
    payment_required_by: datetime
    active_payment_id: str | None
    hold_open: bool
    due_at: datetime | None
    attempts: int
    ver: int

    @property
    def has_ended(self) -> bool:
        """Whether it will never be anything else again."""
        return self.status in {BookingStatus.EXPIRED, BookingStatus.CANCELLED}


@dataclass(frozen=True, slots=True)
class PaymentFacts:
    """An attempt to pay, without its token. Equal ones, as above."""

    id: str
    booking_id: str
    status: PaymentStatus
    amount: Money
    due_at: datetime | None
    attempts: int
    ver: int
    created_at: datetime
    reference: str | None


# A payment that its booking is being paid with goes on in one of these.
UNDER_WAY = frozenset({PaymentStatus.CREATED, PaymentStatus.AUTHORIZED, PaymentStatus.CAPTURE_DUE})
# Money is to be given back, or not to be taken after all.
OWING = frozenset({PaymentStatus.VOID_DUE, PaymentStatus.REFUND_DUE})
