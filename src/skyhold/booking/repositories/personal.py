"""What is personal besides the account itself, for erasing it."""

from __future__ import annotations

from sqlalchemy import select, update

from skyhold.booking.models.tables import BookingRow, PassengerRow, PaymentRow, SessionRow
from skyhold.kernel.db import Tx

ERASED = "(erased)"


async def erase(tx: Tx, user_id: str) -> None:
    """Take passengers, devices and what was made of them out of everything a user leaves behind.

    Bookings, payments and the log stay, with their amounts, flights and times: the books must add
    up. A request's digest goes too, since names can be guessed from it; so does its key, which the
    user's program chose.
    """
    theirs = select(BookingRow.id).where(BookingRow.user_id == user_id)
    await tx.run(
        update(PassengerRow)
        .where(PassengerRow.booking_id.in_(theirs))
        .values(given_name=ERASED, family_name=ERASED, born_on=None)
    )
    nothing = {"idempotency_key": None, "request_digest": None}
    await tx.run(
        update(BookingRow)
        .where(BookingRow.user_id == user_id)
        .values(**nothing, ver=BookingRow.ver + 1)
    )
    await tx.run(
        update(PaymentRow)
        .where(PaymentRow.user_id == user_id)
        .values(**nothing, ver=PaymentRow.ver + 1)
    )
    await tx.run(
        update(SessionRow)
        .where(SessionRow.user_id == user_id)
        .values(user_agent=None, ver=SessionRow.ver + 1)
    )
