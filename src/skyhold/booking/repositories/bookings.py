"""Bookings and their passengers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, case, insert, literal, select, tuple_, update

from skyhold.booking.models.booking import (
    NEXT,
    Booking,
    BookingStatus,
    Passenger,
    PassengerType,
    Position,
)
from skyhold.booking.models.tables import BookingFlightRow, BookingRow, PassengerRow
from skyhold.kernel.columns import Instant, Key
from skyhold.kernel.db import ReadTx, Tx

from .booking_rows import change_to_json, to_booking, to_values


async def add(tx: Tx, bookings: Sequence[Booking]) -> None:
    """Write new bookings with their passengers.

    Raises Duplicate when an id, a record locator or a user's idempotency key is there already.
    """
    await tx.run(insert(BookingRow), [to_values(booking) for booking in bookings])
    await tx.run(
        insert(BookingFlightRow),
        [
            {
                "flight_id": segment.flight_id,
                "booking_id": booking.id,
                "change_seen": segment.flight_ver,
            }
            for booking in bookings
            for segment in booking.segments
        ],
    )
    await tx.run(
        insert(PassengerRow),
        [
            {
                "booking_id": booking.id,
                "position": position,
                "given_name": passenger.given_name,
                "family_name": passenger.family_name,
                "type": passenger.type,
                "born_on": passenger.born_on,
            }
            for booking in bookings
            for position, passenger in enumerate(booking.passengers)
        ],
    )


async def owned(tx: ReadTx, booking_id: str, user_id: str) -> Booking | None:
    """This user's booking; None also when it is somebody else's."""
    return await _one(
        tx, select(BookingRow.__table__).where(_id(booking_id), BookingRow.user_id == user_id)
    )


async def by_id(tx: ReadTx, booking_id: str) -> Booking | None:
    """A booking, whoever owns it: for the driver."""
    return await _one(tx, select(BookingRow.__table__).where(_id(booking_id)))


async def by_locator(tx: ReadTx, record_locator: str) -> Booking | None:
    """The booking with this record locator."""
    return await _one(
        tx, select(BookingRow.__table__).where(BookingRow.record_locator == record_locator)
    )


async def by_key(tx: ReadTx, user_id: str, key: str) -> Booking | None:
    """The booking that this user made under this idempotency key."""
    return await _one(
        tx,
        select(BookingRow.__table__).where(
            BookingRow.user_id == user_id, BookingRow.idempotency_key == key
        ),
    )


async def of_user(
    tx: ReadTx,
    user_id: str,
    *,
    status: BookingStatus | None,
    after: Position | None,
    limit: int,
) -> list[Booking]:
    """A user's bookings, the newest first."""
    found = select(BookingRow.__table__).where(BookingRow.user_id == user_id)
    if status is not None:
        found = found.where(BookingRow.status == status)
    if after is not None:
        found = found.where(
            tuple_(BookingRow.created_at, BookingRow.id)
            < tuple_(literal(after.created_at, Instant), literal(after.booking_id, Key))
        )
    newest_first = found.order_by(BookingRow.created_at.desc(), BookingRow.id.desc())
    return await _many(tx, await tx.rows(newest_first.limit(limit)))


async def due(
    tx: ReadTx, statuses: Collection[BookingStatus], now: datetime, limit: int
) -> list[str]:
    """The ids of bookings in these states the driver must look at, the longest overdue first."""
    rows = await tx.rows(
        select(BookingRow.id)
        .where(BookingRow.due_at <= now, BookingRow.status.in_(statuses))
        .order_by(BookingRow.due_at)
        .limit(limit)
    )
    return [row.id for row in rows]


async def start_paying(
    tx: Tx, booking_id: str, payment_id: str, *, now: datetime, due_at: datetime
) -> bool:
    """Held → paying, only before the deadline. Of all concurrent callers exactly one gets True."""
    moved = await tx.run(
        update(BookingRow)
        .where(
            _id(booking_id),
            BookingRow.status == BookingStatus.HELD,
            BookingRow.payment_required_by > now,
        )
        .values(
            status=BookingStatus.PAYING,
            active_payment_id=payment_id,
            due_at=due_at,
            attempts=0,
            ver=BookingRow.ver + 1,
        )
    )
    return moved == 1


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


async def forget_attempts(tx: Tx, booking_id: str) -> None:
    """Something has moved for it, so the pauses between attempts begin small again."""
    await tx.run(
        update(BookingRow).where(_id(booking_id)).values(attempts=0, ver=BookingRow.ver + 1)
    )


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


async def _one(tx: ReadTx, found: Select[Any]) -> Booking | None:
    row = await tx.row(found)
    return None if row is None else (await _many(tx, [row]))[0]


async def _many(tx: ReadTx, rows: Sequence[Row[Any]]) -> list[Booking]:
    passengers = await _passengers(tx, [row.id for row in rows])
    return [to_booking(row, tuple(passengers[row.id])) for row in rows]


async def _passengers(tx: ReadTx, ids: Collection[str]) -> dict[str, list[Passenger]]:
    found: defaultdict[str, list[Passenger]] = defaultdict(list)
    if ids:
        rows = await tx.rows(
            select(PassengerRow.__table__)
            .where(PassengerRow.booking_id.in_(ids))
            .order_by(PassengerRow.booking_id, PassengerRow.position)
        )
        for row in rows:
            found[row.booking_id].append(
                Passenger(row.given_name, row.family_name, PassengerType(row.type), row.born_on)
            )
    return found
