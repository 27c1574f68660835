"""Calling a booking off: its own row, what was paid, and the word of it, in one transaction."""

from __future__ import annotations

from datetime import datetime

from skyhold.booking import metrics
from skyhold.booking.metrics import RefundOutcome
from skyhold.booking.models.booking import Booking, BookingStatus
from skyhold.booking.models.change import Change
from skyhold.booking.models.log import Actor, Detail
from skyhold.booking.models.payment import PaymentStatus
from skyhold.booking.repositories import booking_moves, payments
from skyhold.kernel.db import LostRace, Tx

from .events import Chronicle, Happened


async def call_off(
    tx: Tx, booking: Booking, chronicle: Chronicle, now: datetime, *changes: Change, by: Actor
) -> bool:
    """Cancel a held or confirmed booking; False when it has moved on meanwhile.

    Its seats and what was paid are then given back by the driver. `changes` are why, when it was
    not its owner's wish.
    """
    if not await booking_moves.cancel(tx, booking.id, booking.status, now=now):
        return False
    owed = None
    if booking.status is BookingStatus.CONFIRMED:
        owed = await _owe_refund(tx, booking, now)
    await chronicle.tell(
        tx, booking.id, Happened.CANCELLED, *changes, by=by, before=booking.status, detail=owed
    )
    return True


def count_called_off(booking: Booking) -> None:
    """A booking, as it was before, has been called off, and that is committed."""
    metrics.moved(booking.status, BookingStatus.CANCELLED)
    if booking.status is BookingStatus.CONFIRMED:
        metrics.refund(RefundOutcome.DUE)


async def _owe_refund(tx: Tx, booking: Booking, now: datetime) -> Detail:
    payment = await payments.captured(tx, booking.id)
    assert payment is not None, f"{booking.id} is confirmed, but who paid?"
    owed = await payments.move(
        tx, payment.id, PaymentStatus.CAPTURED, PaymentStatus.REFUND_DUE, due_at=now
    )
    if not owed:
        raise LostRace
    return Detail(payment_id=payment.id, refund=payment.amount)
