"""Holds beside the seats that are claimed for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, delete, insert, or_, select, update

from skyhold.contracts.holds import HoldStatus
from skyhold.flight.models.tables import HoldRow, SeatClaimRow
from skyhold.kernel.db import ReadTx, Tx

# A seat by its flight and number.
Seat = tuple[str, str]

_HOLD = (
    HoldRow.id,
    HoldRow.client_id,
    HoldRow.segments,
    HoldRow.status,
    HoldRow.expires_at,
    HoldRow.created_at,
)


@dataclass(frozen=True, slots=True)
class Held:
    """A hold, with its seats and the cabin of each."""

    id: str
    client_id: str
    status: HoldStatus
    seats: dict[Seat, str]
    expires_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Claimed:
    """A seat that is claimed for a hold; `known` says that there is such a hold."""

    hold_id: str
    seat: Seat
    known: bool


async def page(tx: ReadTx, client_id: str, after: str | None, limit: int) -> list[Held]:
    """A client's holds in the order of their ids."""
    found = select(*_HOLD).where(HoldRow.client_id == client_id)
    if after is not None:
        found = found.where(HoldRow.id > after)
    return [_held(row) for row in await tx.rows(found.order_by(HoldRow.id).limit(limit))]


async def by_ids(tx: ReadTx, client_id: str, ids: Collection[str]) -> list[Held]:
    """Those of a client's holds that exist among these."""
    found = select(*_HOLD).where(HoldRow.client_id == client_id, HoldRow.id.in_(ids))
    return [_held(row) for row in await tx.rows(found)]


async def claims(
    tx: ReadTx, client_id: str, *, after: str | None, last: str | None, limit: int
) -> Sequence[Claimed]:
    """Seats claimed for a client's holds, or for holds that nobody has, in the order of their ids.

    Of the holds after one id up to another, each None for no bound.
    """
    found = _claims(client_id)
    if after is not None:
        found = found.where(SeatClaimRow.hold_id > after)
    if last is not None:
        found = found.where(SeatClaimRow.hold_id <= last)
    return [
        _claimed(row) for row in await tx.rows(found.order_by(SeatClaimRow.hold_id).limit(limit))
    ]


async def claims_of(tx: ReadTx, client_id: str, ids: Collection[str]) -> list[Claimed]:
    """Seats claimed for these holds, as far as they are the client's or nobody's."""
    return [
        _claimed(row)
        for row in await tx.rows(_claims(client_id).where(SeatClaimRow.hold_id.in_(ids)))
    ]


async def keep(tx: Tx, held: Held, now: datetime) -> bool:
    """See that a live hold stays as it is until the end of the transaction.

    Nobody can end it, or sell its seats because its time is up, before this is committed. False
    when that has happened already.
    """
    in_time = or_(HoldRow.status == HoldStatus.CONFIRMED, HoldRow.expires_at > now)
    kept = await tx.run(
        update(HoldRow)
        .where(HoldRow.id == held.id, HoldRow.status == held.status, in_time)
        .values(ver=HoldRow.ver + 1)
    )
    return kept == 1


async def bury(tx: Tx, hold_id: str, client_id: str, now: datetime) -> None:
    """A tombstone: nobody can make this hold any more. Raises Duplicate when there is one."""
    values: dict[str, Any] = {
        "id": hold_id,
        "client_id": client_id,
        "request_digest": None,
        "segments": [],
        "status": HoldStatus.RELEASED,
        "expires_at": now,
        "created_at": now,
        "resolved_at": now,
        "ver": 1,
    }
    await tx.run(insert(HoldRow), [values])


async def claim(tx: Tx, held: Held, seats: Collection[Seat]) -> None:
    """Claim seats for a hold that has them. Raises Duplicate when another hold claims one."""
    rows = [
        {"flight_id": flight_id, "seat": number, "cabin": cabin, "hold_id": held.id}
        for (flight_id, number), cabin in sorted(held.seats.items())
        if (flight_id, number) in seats
    ]
    await tx.run(insert(SeatClaimRow), rows)


async def free(tx: Tx, hold_id: str, seats: Iterable[Seat]) -> None:
    """Give up these claims of a hold, fenced by its id."""
    by_flight: defaultdict[str, list[str]] = defaultdict(list)
    for flight_id, number in sorted(seats):
        by_flight[flight_id].append(number)
    for flight_id, numbers in by_flight.items():
        await tx.run(
            delete(SeatClaimRow).where(
                SeatClaimRow.hold_id == hold_id,
                SeatClaimRow.flight_id == flight_id,
                SeatClaimRow.seat.in_(numbers),
            )
        )


def _claims(client_id: str) -> Select[str, str, str, str]:
    return (
        select(
            SeatClaimRow.hold_id,
            SeatClaimRow.flight_id,
            SeatClaimRow.seat,
            HoldRow.client_id,
        )
        .join(HoldRow, HoldRow.id == SeatClaimRow.hold_id, isouter=True)
        .where(or_(HoldRow.client_id == client_id, HoldRow.id.is_(None)))
    )


def _held(row: Row[Any]) -> Held:
    # Only what is compared is read; the facts about the flights are as long again.
    seats = {
        (segment["flight_id"], number): segment["cabin"]
        for segment in row.segments
        for number in segment["seats"]
    }
    return Held(
        id=row.id,
        client_id=row.client_id,
        status=HoldStatus(row.status),
        seats=seats,
        expires_at=row.expires_at,
        created_at=row.created_at,
    )


def _claimed(row: Row[Any]) -> Claimed:
    return Claimed(row.hold_id, (row.flight_id, row.seat), known=row.client_id is not None)
