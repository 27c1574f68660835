"""Bookings and payments by their ids, page after page, for comparing them with others' books.

Ids are compared by the database alone, so a page never loses one, however it sorts them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select, update

from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.facts import BookingFacts, PaymentFacts
from skyhold.booking.models.payment import PaymentStatus
from skyhold.booking.models.tables import BookingRow, PaymentRow
from skyhold.kernel.db import ReadTx, Tx
from skyhold.kernel.money import Money

_BOOKING = (
    BookingRow.id,
    BookingRow.record_locator,
    BookingRow.status,
    BookingRow.segments,
    BookingRow.total_minor,
    BookingRow.currency,
    BookingRow.payment_required_by,
    BookingRow.active_payment_id,
    BookingRow.hold_open,
    BookingRow.due_at,
    BookingRow.attempts,
    BookingRow.ver,
)
_PAYMENT = (
    PaymentRow.id,
    PaymentRow.booking_id,
    PaymentRow.status,
    PaymentRow.amount_minor,
    PaymentRow.currency,
    PaymentRow.due_at,
    PaymentRow.attempts,
    PaymentRow.ver,
    PaymentRow.created_at,
    PaymentRow.provider_ref,
)


async def bookings(tx: ReadTx, after: str | None, limit: int) -> list[BookingFacts]:
    """The next bookings in the order of their ids."""
    found = select(*_BOOKING)
    if after is not None:
        found = found.where(BookingRow.id > after)
    return [_booking(row) for row in await tx.rows(found.order_by(BookingRow.id).limit(limit))]


async def bookings_by_ids(tx: ReadTx, ids: Collection[str]) -> Mapping[str, BookingFacts]:
    """Those of these bookings that there are."""
    rows = await tx.rows(select(*_BOOKING).where(BookingRow.id.in_(ids)))
    return {row.id: _booking(row) for row in rows}


async def payments_of(
    tx: ReadTx, booking_ids: Collection[str]
) -> Mapping[str, Sequence[PaymentFacts]]:
    """Every attempt to pay for each of these bookings, the first one first."""
    rows = await tx.rows(
        select(*_PAYMENT)
        .where(PaymentRow.booking_id.in_(booking_ids))
        .order_by(PaymentRow.booking_id, PaymentRow.created_at, PaymentRow.id)
    )
    found: defaultdict[str, list[PaymentFacts]] = defaultdict(list)
    for row in rows:
        found[row.booking_id].append(_payment(row))
    return found


async def payments(
    tx: ReadTx, *, since: datetime | None, after: str | None, limit: int
) -> list[PaymentFacts]:
    """The next payments in the order of their ids, of those begun since then."""
    found = select(*_PAYMENT)
    if since is not None:
        found = found.where(PaymentRow.created_at >= since)
    if after is not None:
        found = found.where(PaymentRow.id > after)
    return [_payment(row) for row in await tx.rows(found.order_by(PaymentRow.id).limit(limit))]


async def payments_by_ids(tx: ReadTx, ids: Collection[str]) -> Mapping[str, PaymentFacts]:
    """Those of these payments that there are."""
    rows = await tx.rows(select(*_PAYMENT).where(PaymentRow.id.in_(ids)))
    return {row.id: _payment(row) for row in rows}


async def how_many(tx: ReadTx) -> tuple[int, int]:
    """How many bookings and payments there are in all. It counts them: not for every request."""
    bookings = await tx.scalar(select(func.count()).select_from(BookingRow))
    return bookings, await tx.scalar(select(func.count()).select_from(PaymentRow))


async def reopen_hold(tx: Tx, booking: BookingFacts, now: datetime) -> bool:
    """The seats of an ended booking are to be given back once more. Compare and set."""
    moved = await tx.run(
        update(BookingRow)
        .where(
            BookingRow.id == booking.id,
            BookingRow.ver == booking.ver,
            BookingRow.status.in_([BookingStatus.EXPIRED, BookingStatus.CANCELLED]),
            BookingRow.hold_open.is_(False),
        )
        .values(hold_open=True, due_at=now, attempts=0, ver=BookingRow.ver + 1)
    )
    return moved == 1


async def make_due(tx: Tx, booking: BookingFacts, due_at: datetime) -> bool:
    """Let the driver look at a booking then, unless it has changed. Nothing else moves."""
    moved = await tx.run(
        update(BookingRow)
        .where(
            BookingRow.id == booking.id,
            BookingRow.ver == booking.ver,
            BookingRow.status != BookingStatus.CONFIRMED,
            BookingRow.hold_open.is_(True),
        )
        .values(due_at=due_at, attempts=0, ver=BookingRow.ver + 1)
    )
    return moved == 1


async def touch(tx: Tx, booking: BookingFacts) -> bool:
    """See that a booking stays as it was seen until the end of the transaction."""
    moved = await tx.run(
        update(BookingRow)
        .where(BookingRow.id == booking.id, BookingRow.ver == booking.ver)
        .values(ver=BookingRow.ver + 1)
    )
    return moved == 1


def _booking(row: Row[Any]) -> BookingFacts:
    return BookingFacts(
        id=row.id,
        record_locator=row.record_locator,
        status=BookingStatus(row.status),
        seats=frozenset(
            (segment["flight_id"], seat) for segment in row.segments for seat in segment["seats"]
        ),
        total=Money(row.total_minor, row.currency),
        payment_required_by=row.payment_required_by,
        active_payment_id=row.active_payment_id,
        hold_open=row.hold_open,
        due_at=row.due_at,
        attempts=row.attempts,
        ver=row.ver,
    )


def _payment(row: Row[Any]) -> PaymentFacts:
    return PaymentFacts(
        id=row.id,
        booking_id=row.booking_id,
        status=PaymentStatus(row.status),
        amount=Money(row.amount_minor, row.currency),
        due_at=row.due_at,
        attempts=row.attempts,
        ver=row.ver,
        created_at=row.created_at,
        reference=row.provider_ref,
    )
