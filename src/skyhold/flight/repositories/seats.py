"""Which seats are taken, for those who look.

Seats that a hold keeps although its time is up can be had, and count as free. There are few such
holds, the sweeper sees to that, so it is they that are looked for, by their own index: joining
every seat with its hold to find that it is not one of them costs more than all the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import BindParameter, bindparam, func, select

from skyhold.contracts.holds import Cabin, HoldStatus
from skyhold.flight.models.tables import HoldRow, SeatClaimRow
from skyhold.kernel.columns import Instant
from skyhold.kernel.db import ReadTx

Taken = Mapping[str, HoldStatus]

_IDS: BindParameter[Sequence[str]] = bindparam("ids", expanding=True)
_NOW: BindParameter[datetime] = bindparam("now", type_=Instant)
_ON_THESE = SeatClaimRow.flight_id.in_(_IDS)
_SEATS = (
    select(SeatClaimRow.flight_id, func.aggregate_strings(SeatClaimRow.seat, " ").label("numbers"))
    .where(_ON_THESE)
    .group_by(SeatClaimRow.flight_id)
)
_HELD = (
    select(SeatClaimRow.flight_id, SeatClaimRow.seat, HoldRow.expires_at)
    .join(HoldRow, HoldRow.id == SeatClaimRow.hold_id)
    .where(_ON_THESE, HoldRow.status == HoldStatus.HELD)
)
_PER_CABIN = select(
    SeatClaimRow.flight_id, SeatClaimRow.cabin, func.count().label("seats")
).group_by(SeatClaimRow.flight_id, SeatClaimRow.cabin)
_COUNTED = _PER_CABIN.where(_ON_THESE)
_OVERDUE = _PER_CABIN.join(HoldRow, HoldRow.id == SeatClaimRow.hold_id).where(
    _ON_THESE, HoldRow.status == HoldStatus.HELD, HoldRow.expires_at <= _NOW
)


async def numbers(tx: ReadTx, flight_ids: Collection[str]) -> dict[str, list[str]]:
    """The claimed seats of these flights, as one row for each, however many they are."""
    rows = await tx.rows(_SEATS, {"ids": list(flight_ids)})
    return {row.flight_id: row.numbers.split() for row in rows}


async def taken(tx: ReadTx, flight_ids: Collection[str], now: datetime) -> dict[str, Taken]:
    """The taken seats of these flights, each `held` or `confirmed`; an entry for each flight."""
    seats: dict[str, dict[str, HoldStatus]] = {flight_id: {} for flight_id in flight_ids}
    these = {"ids": list(flight_ids)}
    for flight_id, claimed in (await numbers(tx, flight_ids)).items():
        seats[flight_id] = dict.fromkeys(claimed, HoldStatus.CONFIRMED)
    for row in await tx.rows(_HELD, these):
        if row.expires_at > now:
            seats[row.flight_id][row.seat] = HoldStatus.HELD
        else:
            seats[row.flight_id].pop(row.seat, None)
    return dict(seats)


async def count_taken(
    tx: ReadTx, flight_ids: Collection[str], now: datetime
) -> Mapping[str, Mapping[Cabin, int]]:
    """How many seats are taken on these flights, by cabin; an entry for each flight."""
    counts: dict[str, Counter[Cabin]] = {flight_id: Counter() for flight_id in flight_ids}
    if not flight_ids:
        return counts
    these = {"ids": list(flight_ids)}
    for row in await tx.rows(_COUNTED, these):
        counts[row.flight_id][Cabin(row.cabin)] += row.seats
    for row in await tx.rows(_OVERDUE, these | {"now": now}):
        counts[row.flight_id][Cabin(row.cabin)] -= row.seats
    return counts
