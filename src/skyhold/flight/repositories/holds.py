"""Holds and seat claims."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Row, bindparam, delete, insert, select, update

from skyhold.contracts.holds import HeldSegment, HoldStatus
from skyhold.flight.models.allocation import Ledger
from skyhold.flight.models.holds import LIVE, Claim, HoldRecord, Move
from skyhold.flight.models.tables import HoldRow, SeatClaimRow
from skyhold.kernel.columns import Instant
from skyhold.kernel.db import LostRace, ReadTx, Tx

# Built once: of a statement that is made anew each time, the making costs more than its run.
_IDS: BindParameter[Sequence[str]] = bindparam("ids", expanding=True)
_NOW: BindParameter[datetime] = bindparam("now", type_=Instant)
_BY_IDS = select(HoldRow.__table__).where(HoldRow.id.in_(_IDS))
_OVERDUE_ON = (
    select(
        SeatClaimRow.flight_id,
        SeatClaimRow.seat,
        SeatClaimRow.hold_id,
        HoldRow.status,
        HoldRow.expires_at,
    )
    .join(HoldRow, HoldRow.id == SeatClaimRow.hold_id)
    .where(
        SeatClaimRow.flight_id.in_(_IDS),
        HoldRow.status == HoldStatus.HELD,
        HoldRow.expires_at <= _NOW,
    )
)
_MOVE = (
    update(HoldRow)
    .where(HoldRow.id.in_(_IDS), HoldRow.status == bindparam("old"))
    .values(status=bindparam("new"), resolved_at=_NOW, ver=HoldRow.ver + 1)
)
_NEW_HOLDS, _NEW_CLAIMS = insert(HoldRow), insert(SeatClaimRow)


async def by_ids(tx: ReadTx, ids: Collection[str]) -> dict[str, HoldRecord]:
    """The holds that exist among these."""
    if not ids:
        return {}
    return {row.id: _record(row) for row in await tx.rows(_BY_IDS, {"ids": list(ids)})}


async def overdue_on(
    tx: ReadTx, flight_ids: Collection[str], now: datetime
) -> list[tuple[str, str, Claim]]:
    """The claims on these flights of holds whose time is up, each with its flight and its seat."""
    if not flight_ids:
        return []
    rows = await tx.rows(_OVERDUE_ON, {"ids": list(flight_ids), "now": now})
    return [(row.flight_id, row.seat, _claim(row)) for row in rows]


async def due(tx: ReadTx, now: datetime, limit: int) -> list[str]:
    """The ids of holds whose time is up, the longest overdue first."""
    rows = await tx.rows(
        select(HoldRow.id)
        .where(HoldRow.status == HoldStatus.HELD, HoldRow.expires_at <= now)
        .order_by(HoldRow.expires_at)
        .limit(limit)
    )
    return [row.id for row in rows]


async def carry_out(tx: Tx, ledger: Ledger) -> None:
    """Write what a ledger decided: all of it, or LostRace when any hold has moved meanwhile.

    Seats are freed before they are claimed, so one batch may pass a seat on. A seat or hold that
    another process wrote first raises Duplicate from the transaction.
    """
    await _move(tx, ledger.moves.values(), ledger.now)
    if ledger.freed:
        # Fenced by the hold's id: it can never free a seat that has been sold again since.
        await tx.run(delete(SeatClaimRow).where(SeatClaimRow.hold_id.in_(ledger.freed)))
    holds = list(ledger.inserts.values())
    await tx.run(_NEW_HOLDS, [_values(hold, ledger.now) for hold in holds])
    await tx.run(_NEW_CLAIMS, sorted(_claims(holds), key=_seat_key))


async def _move(tx: Tx, moves: Iterable[Move], now: datetime) -> None:
    by_kind: defaultdict[tuple[HoldStatus, HoldStatus], list[str]] = defaultdict(list)
    for move in moves:
        by_kind[move.old, move.new].append(move.hold_id)
    for (old, new), ids in by_kind.items():
        moved = await tx.run(_MOVE, values={"ids": ids, "old": old, "new": new, "now": now})
        if moved != len(ids):
            raise LostRace


def _claims(holds: Iterable[HoldRecord]) -> Iterable[dict[str, Any]]:
    for hold in holds:
        if hold.status in LIVE:
            for segment in hold.segments:
                for seat in segment.seats:
                    yield {
                        "flight_id": segment.flight_id,
                        "seat": seat,
                        "cabin": segment.cabin,
                        "hold_id": hold.id,
                    }


def _seat_key(claim: Mapping[str, Any]) -> tuple[str, str]:
    # One order for everybody: two transactions after the same seats do not dead-lock.
    return claim["flight_id"], claim["seat"]


def _claim(row: Row[Any]) -> Claim:
    return Claim(row.hold_id, HoldStatus(row.status), row.expires_at)


def _record(row: Row[Any]) -> HoldRecord:
    return HoldRecord(
        id=row.id,
        client_id=row.client_id,
        request_digest=row.request_digest,
        segments=tuple(HeldSegment.model_validate(segment) for segment in row.segments),
        status=HoldStatus(row.status),
        expires_at=row.expires_at,
        created_at=row.created_at,
    )


def _values(hold: HoldRecord, now: datetime) -> dict[str, Any]:
    return {
        "id": hold.id,
        "client_id": hold.client_id,
        "request_digest": hold.request_digest,
        "segments": [segment.model_dump(mode="json") for segment in hold.segments],
        "status": hold.status,
        "expires_at": hold.expires_at,
        "created_at": hold.created_at,
        "resolved_at": None if hold.status is HoldStatus.HELD else now,
        "ver": 1,
    }
