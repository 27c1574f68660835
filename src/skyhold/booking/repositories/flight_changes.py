"""What the flight service told of flights, and which bookings have not heard of it yet."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, bindparam, insert, select, update

from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.change import ChangeKind, FlightChange
from skyhold.booking.models.tables import BookingFlightRow, BookingRow, FlightChangeRow
from skyhold.kernel.db import Duplicate, LostRace, ReadTx, Tx

from .booking_rows import times_from_json, times_to_json

_WAKE = (
    update(FlightChangeRow)
    .where(FlightChangeRow.flight_id.in_(bindparam("ids", expanding=True)))
    .values(due_at=bindparam("now"), ver=FlightChangeRow.ver + 1)
)


async def note(tx: Tx, change: FlightChange) -> bool:
    """Write down the last change of a flight; False when a later one has been noted already."""
    values = {
        "sequence": change.sequence,
        "kind": change.kind,
        "times": times_to_json(change.times),
        "due_at": change.due_at,
        "attempts": change.attempts,
        "received_at": change.received_at,
    }
    known = _of(change.flight_id)
    noted = await tx.run(
        update(FlightChangeRow)
        .where(known, FlightChangeRow.sequence < change.sequence)
        .values(**values, ver=FlightChangeRow.ver + 1)
    )
    if noted == 1:
        return True
    there = await tx.scalar(select(FlightChangeRow.sequence).where(known))
    if there is not None:
        if there < change.sequence:  # written since the update looked for it
            raise LostRace
        return False
    try:
        await tx.run(
            insert(FlightChangeRow),
            [{"flight_id": change.flight_id, **values, "ver": change.ver}],
        )
    except Duplicate as error:
        raise LostRace from error
    return True


async def by_flight(tx: ReadTx, flight_id: str) -> FlightChange | None:
    """The last change of a flight."""
    row = await tx.row(select(FlightChangeRow.__table__).where(_of(flight_id)))
    return None if row is None else _change(row)


async def due(tx: ReadTx, now: datetime, limit: int) -> list[str]:
    """The flights whose change has not reached every booking, the longest overdue first."""
    rows = await tx.rows(
        select(FlightChangeRow.flight_id)
        .where(FlightChangeRow.due_at <= now)
        .order_by(FlightChangeRow.due_at)
        .limit(limit)
    )
    return [row.flight_id for row in rows]


async def unaware(
    tx: ReadTx,
    change: FlightChange,
    statuses: Collection[BookingStatus],
    limit: int,
    *,
    after: str = "",
) -> list[str]:
    """The ids of bookings in these states that have not heard of the change, from `after` on."""
    found = _unaware(change, statuses).where(BookingRow.id > after).order_by(BookingRow.id)
    return [row.id for row in await tx.rows(found.limit(limit))]


async def hear(tx: Tx, change: FlightChange, booking_id: str) -> bool:
    """The booking has heard of the change. Of all concurrent callers exactly one gets True."""
    heard = await tx.run(
        update(BookingFlightRow)
        .where(
            BookingFlightRow.flight_id == change.flight_id,
            BookingFlightRow.booking_id == booking_id,
            BookingFlightRow.change_seen < change.sequence,
        )
        .values(change_seen=change.sequence)
    )
    return heard == 1


async def wake(tx: Tx, flight_ids: Collection[str], now: datetime) -> None:
    """Somebody has booked these flights: if any of them has changed, look once more who knows.

    It touches the row even when it is due already, so that whoever is about to call the change
    done finds that it has moved.
    """
    await tx.run(_WAKE, values={"ids": list(flight_ids), "now": now})


async def look_again(
    tx: Tx, change: FlightChange, due_at: datetime | None, *, attempts: int
) -> bool:
    """Look at the change again at `due_at`, None for never, unless it has moved meanwhile."""
    moved = await tx.run(
        update(FlightChangeRow)
        .where(_of(change.flight_id), FlightChangeRow.ver == change.ver)
        .values(due_at=due_at, attempts=attempts, ver=FlightChangeRow.ver + 1)
    )
    return moved == 1


def _of(flight_id: str) -> Any:  # noqa: ANN401 - a SQL expression
    return FlightChangeRow.flight_id == flight_id


def _unaware(change: FlightChange, statuses: Collection[BookingStatus]) -> Select[Any]:
    return (
        select(BookingRow.id)
        .join(BookingFlightRow, BookingFlightRow.booking_id == BookingRow.id)
        .where(
            BookingFlightRow.flight_id == change.flight_id,
            BookingFlightRow.change_seen < change.sequence,
            BookingRow.status.in_(statuses),
        )
    )


def _change(row: Row[Any]) -> FlightChange:
    return FlightChange(
        flight_id=row.flight_id,
        sequence=row.sequence,
        kind=ChangeKind(row.kind),
        times=times_from_json(row.times),
        due_at=row.due_at,
        attempts=row.attempts,
        ver=row.ver,
        received_at=row.received_at,
    )
