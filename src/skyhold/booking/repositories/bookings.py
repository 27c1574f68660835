"""Bookings and their passengers: new ones, and questions about them. Moves: `booking_moves`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    Row,
    Select,
    bindparam,
    insert,
    literal,
    select,
    tuple_,
)

from skyhold.booking.models.booking import (
    Booking,
    BookingStatus,
    Passenger,
    PassengerType,
    Position,
)
from skyhold.booking.models.tables import BookingFlightRow, BookingRow, PassengerRow
from skyhold.kernel.columns import Instant, Key
from skyhold.kernel.db import ReadTx, Tx

from .booking_rows import to_booking, to_values

# Built once: of a statement that is made anew each time, the making costs more than its run.
_IDS: BindParameter[Sequence[str]] = bindparam("ids", expanding=True)
_BY_KEY = select(BookingRow.__table__).where(
    BookingRow.user_id == bindparam("user_id"), BookingRow.idempotency_key == bindparam("key")
)
_UNPAID = select(BookingRow.id, BookingRow.user_id, BookingRow.segments).where(
    BookingRow.user_id.in_(_IDS),
    BookingRow.created_at > bindparam("since"),
    BookingRow.status.in_([BookingStatus.HELD, BookingStatus.PAYING]),
)
_NEW = insert(BookingRow)
_NEW_FLIGHTS = insert(BookingFlightRow)
_NEW_PASSENGERS = insert(PassengerRow)
_THESE = BookingRow.id.in_(_IDS)
_BY_IDS = select(BookingRow.__table__).where(_THESE)
_PASSENGERS = (
    select(PassengerRow.__table__)
    .where(PassengerRow.booking_id.in_(_IDS))
    .order_by(PassengerRow.booking_id, PassengerRow.position)
)


async def add(tx: Tx, bookings: Sequence[Booking]) -> None:
    """Write new bookings with their passengers.

    Raises Duplicate when an id, a record locator or a user's idempotency key is there already.
    """
    await tx.run(_NEW, [to_values(booking) for booking in bookings])
    await tx.run(
        _NEW_FLIGHTS,
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
        _NEW_PASSENGERS,
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


async def by_id(tx: ReadTx, booking_id: str) -> Booking | None:
    """A booking, whoever owns it: for the driver, and for staff, of whom that is written down."""
    return (await by_ids(tx, [booking_id])).get(booking_id)


async def by_ids(tx: ReadTx, booking_ids: Collection[str]) -> dict[str, Booking]:
    """Those of these bookings that exist."""
    found = await _many(tx, await tx.rows(_BY_IDS, {"ids": list(booking_ids)}))
    return {booking.id: booking for booking in found}


async def by_locator(tx: ReadTx, record_locator: str) -> Booking | None:
    """The booking with this record locator."""
    return await _one(
        tx, select(BookingRow.__table__).where(BookingRow.record_locator == record_locator)
    )


async def by_key(tx: ReadTx, user_id: str, key: str) -> Booking | None:
    """The booking that this user made under this idempotency key."""
    return await _one(tx, _BY_KEY, {"user_id": user_id, "key": key})


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


async def unfinished(tx: ReadTx, user_id: str) -> list[Booking]:
    """A user's bookings that hold seats, also those whose journey is over."""
    live = [BookingStatus.HELD, BookingStatus.PAYING, BookingStatus.CONFIRMED]
    return await _many(
        tx,
        await tx.rows(
            select(BookingRow.__table__).where(
                BookingRow.user_id == user_id, BookingRow.status.in_(live)
            )
        ),
    )


async def unpaid(
    tx: ReadTx, user_ids: Collection[str], *, since: datetime
) -> defaultdict[str, dict[str, int]]:
    """How many seats each unpaid booking of these users has, of those made since then."""
    rows = await tx.rows(_UNPAID, {"ids": list(user_ids), "since": since})
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for row in rows:
        found[row.user_id][row.id] = sum(len(segment["seats"]) for segment in row.segments)
    return found


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


async def _one(
    tx: ReadTx, found: Select[Any], values: Mapping[str, Any] | None = None
) -> Booking | None:
    row = await tx.row(found, values)
    return None if row is None else (await _many(tx, [row]))[0]


async def _many(tx: ReadTx, rows: Sequence[Row[Any]]) -> list[Booking]:
    passengers = await _passengers(tx, [row.id for row in rows])
    return [to_booking(row, tuple(passengers[row.id])) for row in rows]


async def _passengers(tx: ReadTx, ids: Sequence[str]) -> dict[str, list[Passenger]]:
    found: defaultdict[str, list[Passenger]] = defaultdict(list)
    if ids:
        for row in await tx.rows(_PASSENGERS, {"ids": list(ids)}):
            found[row.booking_id].append(
                Passenger(row.given_name, row.family_name, PassengerType(row.type), row.born_on)
            )
    return found
