"""Bookings' moves: each a guarded update, whose number of rows says whether it was so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, bindparam, case, literal, select, update

from skyhold.booking.models.booking import NEXT, Booking, BookingStatus
from skyhold.booking.models.tables import BookingRow, PaymentRow
from skyhold.kernel.columns import Instant
from skyhold.kernel.db import Tx

from .booking_rows import change_to_json

_IDS: BindParameter[Sequence[str]] = bindparam("ids", expanding=True)
_THESE = BookingRow.id.in_(_IDS)
_PAYABLE = (
    BookingRow.status == BookingStatus.HELD,
    BookingRow.payment_required_by > bindparam("now"),
)
_PAYING = {
    "status": BookingStatus.PAYING,
    "due_at": bindparam("due"),
    "attempts": 0,
    "ver": BookingRow.ver + 1,
}
_START_PAYING = (
    update(BookingRow)
    .where(BookingRow.id == bindparam("booking"), *_PAYABLE)
    .values(active_payment_id=bindparam("payment"), **_PAYING)
)
_ITS_PAYMENT = (
    select(PaymentRow.id)
    .where(
        PaymentRow.booking_id == BookingRow.id,
        PaymentRow.id.in_(bindparam("payments", expanding=True)),
    )
    .scalar_subquery()
)
_START_ALL_PAYING = (
    update(BookingRow).where(_THESE, *_PAYABLE).values(active_payment_id=_ITS_PAYMENT, **_PAYING)
)
_CONFIRM_ALL = (
    update(BookingRow)
    .where(
        _THESE,
        BookingRow.status == BookingStatus.PAYING,
        BookingRow.active_payment_id.in_(bindparam("payments", expanding=True)),
        BookingRow.ver == bindparam("known"),
    )
    .values(
        status=BookingStatus.CONFIRMED,
        active_payment_id=None,
        due_at=None,
        attempts=0,
        ver=BookingRow.ver + 1,
    )
)
_FORGET_ATTEMPTS = update(BookingRow).where(_THESE).values(attempts=0, ver=BookingRow.ver + 1)


async def start_paying(
    tx: Tx, booking_id: str, payment_id: str, *, now: datetime, due_at: datetime
) -> bool:
    """Held → paying, only before the deadline. Of all concurrent callers exactly one gets True."""
    values = {"booking": booking_id, "payment": payment_id, "now": now, "due": due_at}
    return await tx.run(_START_PAYING, values=values) == 1


async def start_all_paying(
    tx: Tx, pairs: Mapping[str, str], *, now: datetime, due_at: datetime
) -> int:
    """The same for many bookings, each with its payment, which must be written already.

    Answers how many have moved.
    """
    values = {
        "ids": list(pairs),
        "payments": list(pairs.values()),
        "now": now,
        "due": due_at,
    }
    return await tx.run(_START_ALL_PAYING, values=values)


async def stop_paying(
    tx: Tx, booking_id: str, payment_id: str, new: BookingStatus, *, due_at: datetime | None
) -> bool:
    """Paying → `new`, only while this payment is the active one. Compare and set."""
    assert new in NEXT[BookingStatus.PAYING], f"paying -> {new}"
    moved = await tx.run(
        update(BookingRow)
        .where(
            _id(booking_id),
            BookingRow.status == BookingStatus.PAYING,
            BookingRow.active_payment_id == payment_id,
        )
        .values(
            status=new,
            active_payment_id=None,
            due_at=due_at,
            attempts=0,
            ver=BookingRow.ver + 1,
        )
    )
    return moved == 1


async def confirm_all(tx: Tx, pairs: Mapping[str, str], ver: int) -> int:
    """Paying → confirmed, each while its payment is the active one and its version is this.

    Answers how many have moved.
    """
    # A payment is one booking's, so no other pair than the one given can match.
    values = {"ids": list(pairs), "payments": list(pairs.values()), "known": ver}
    return await tx.run(_CONFIRM_ALL, values=values)


async def expire(tx: Tx, booking_id: str, *, now: datetime) -> bool:
    """Held → expired, only once the deadline has passed. Compare and set."""
    moved = await tx.run(
        update(BookingRow)
        .where(
            _id(booking_id),
            BookingRow.status == BookingStatus.HELD,
            BookingRow.payment_required_by <= now,
        )
        .values(status=BookingStatus.EXPIRED, due_at=now, attempts=0, ver=BookingRow.ver + 1)
    )
    return moved == 1


async def cancel(tx: Tx, booking_id: str, old: BookingStatus, *, now: datetime) -> bool:
    """`old` → cancelled, its seats still to be given back. Compare and set."""
    assert BookingStatus.CANCELLED in NEXT[old], f"{old} -> cancelled"
    moved = await tx.run(
        update(BookingRow)
        .where(_id(booking_id), BookingRow.status == old)
        .values(status=BookingStatus.CANCELLED, due_at=now, attempts=0, ver=BookingRow.ver + 1)
    )
    return moved == 1


async def close_hold(tx: Tx, booking_id: str) -> bool:
    """The seats of an ended booking are given back; nothing is left to do for it."""
    moved = await tx.run(
        update(BookingRow)
        .where(
            _id(booking_id),
            BookingRow.status.in_([BookingStatus.EXPIRED, BookingStatus.CANCELLED]),
            BookingRow.hold_open.is_(True),
        )
        .values(hold_open=False, due_at=None, attempts=0, ver=BookingRow.ver + 1)
    )
    return moved == 1


async def change(tx: Tx, before: Booking, after: Booking) -> bool:
    """Write down what a change of a flight made of it, unless it has changed since it was read."""
    moved = await tx.run(
        update(BookingRow)
        .where(_id(before.id), BookingRow.ver == before.ver)
        .values(
            segments=[segment.model_dump(mode="json") for segment in after.segments],
            changes=[change_to_json(change) for change in after.changes],
            payment_required_by=after.payment_required_by,
            due_at=after.due_at,
            ver=BookingRow.ver + 1,
        )
    )
    return moved == 1


async def forget_attempts(tx: Tx, booking_ids: Iterable[str]) -> None:
    """Something has moved for them, so the pauses between attempts begin small again."""
    await tx.run(_FORGET_ATTEMPTS, values={"ids": list(booking_ids)})


async def touch(tx: Tx, booking_id: str) -> None:
    """Count up `ver` for an event that changes nothing else, such as a refund."""
    await tx.run(update(BookingRow).where(_id(booking_id)).values(ver=BookingRow.ver + 1))


async def postpone(
    tx: Tx, booking_id: str, ver: int, *, due_at: datetime, failed: bool = True
) -> bool:
    """Look again at `due_at`, unless the booking has changed since `ver`."""
    moved = await tx.run(
        update(BookingRow)
        .where(_id(booking_id), BookingRow.ver == ver)
        .values(due_at=due_at, attempts=BookingRow.attempts + 1 if failed else 0)
    )
    return moved == 1


async def hasten(tx: Tx, booking_id: str, payment_id: str, *, now: datetime) -> bool:
    """Look now rather than later at a booking that is being paid by this payment.

    By its new version, a step under way that comes to nothing does not put it off again.
    """
    sooner = case((BookingRow.due_at > now, literal(now, Instant)), else_=BookingRow.due_at)
    moved = await tx.run(
        update(BookingRow)
        .where(_id(booking_id), BookingRow.active_payment_id == payment_id)
        .values(due_at=sooner, ver=BookingRow.ver + 1)
    )
    return moved == 1


async def set_aside(tx: Tx, booking_id: str, *, now: datetime, due_at: datetime) -> bool:
    """Look again at `due_at` at a row that cannot even be read, so that it does not come first."""
    moved = await tx.run(
        update(BookingRow)
        .where(_id(booking_id), BookingRow.due_at <= now)
        .values(due_at=due_at, attempts=BookingRow.attempts + 1)
    )
    return moved == 1


def _id(booking_id: str) -> Any:  # noqa: ANN401 - a SQL expression
    return BookingRow.id == booking_id
