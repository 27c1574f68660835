"""What is written into a booking's log, in the transaction of what it tells of."""

from __future__ import annotations

from datetime import datetime

from structlog.contextvars import get_contextvars

from skyhold.booking.models.booking import Booking, BookingStatus
from skyhold.booking.models.log import SYSTEM, Action, Actor, Detail, Entry
from skyhold.booking.models.payment import Payment, PaymentStatus
from skyhold.booking.repositories import booking_log, bookings
from skyhold.kernel.db import Tx
from skyhold.kernel.ids import new_id

_MONEY_DUE = {
    PaymentStatus.VOID_DUE: Action.VOID_DUE,
    PaymentStatus.REFUND_DUE: Action.REFUND_DUE,
}


def entry(
    booking_id: str,
    action: Action,
    by: Actor,
    at: datetime,
    *,
    before: BookingStatus | None,
    after: BookingStatus,
    detail: Detail | None = None,
    request_id: str | None = None,
) -> Entry:
    """An entry of its own, in the course of this request, or of that of the running task."""
    return Entry(
        id=new_id(),
        booking_id=booking_id,
        at=at,
        action=action,
        actor=by,
        status_before=before,
        status_after=after,
        detail=detail,
        request_id=request_id or get_contextvars().get("request_id"),
    )


def paying_started(booking_id: str, payment: Payment, at: datetime) -> Entry:
    """Its owner has begun to pay for it."""
    return entry(
        booking_id,
        Action.PAYMENT_STARTED,
        Actor.customer(payment.user_id),
        at,
        before=BookingStatus.HELD,
        after=BookingStatus.PAYING,
        detail=Detail(payment_id=payment.id, amount=payment.amount),
    )


def viewed(booking: Booking, by: Actor, at: datetime) -> Entry:
    """Somebody who is not its owner looks at it."""
    return entry(booking.id, Action.VIEWED, by, at, before=booking.status, after=booking.status)


async def note_money_due(tx: Tx, payment: Payment, new: PaymentStatus, at: datetime) -> None:
    """A payment is to be given back, for a reason that moves its booking nowhere."""
    booking = await bookings.by_id(tx, payment.booking_id)
    assert booking is not None, "bookings are never deleted"
    due = money_due(booking.id, booking.status, payment.id, new, at)
    await booking_log.add(tx, due)


def money_due(
    booking_id: str, status: BookingStatus, payment_id: str, new: PaymentStatus, at: datetime
) -> Entry:
    """The same, of a booking that is known to stand there until the transaction's end."""
    return entry(
        booking_id,
        _MONEY_DUE[new],
        SYSTEM,
        at,
        before=status,
        after=status,
        detail=Detail(payment_id=payment_id),
    )
