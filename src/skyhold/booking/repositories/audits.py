"""The audits that are over. Rows are added, and never changed."""

from __future__ import annotations

from sqlalchemy import insert, select

from skyhold.booking.models.audited import Audited, AuditOutcome
from skyhold.booking.models.tables import AuditRow
from skyhold.kernel.db import ReadTx, Tx


async def add(tx: Tx, audited: Audited) -> None:
    """Remember an audit. Raises Duplicate when it is there already."""
    await tx.run(
        insert(AuditRow),
        [
            {
                "id": audited.id,
                "ended_at": audited.ended_at,
                "outcome": audited.outcome,
                "took_ms": audited.took_ms,
                "bookings": audited.bookings,
                "holds": audited.holds,
                "payments": audited.payments,
                "found": dict(audited.found or {}),
                "not_compared": list(audited.not_compared),
            }
        ],
    )


async def last(tx: ReadTx) -> Audited | None:
    """The audit that ended last."""
    newest = select(AuditRow.__table__).order_by(AuditRow.ended_at.desc(), AuditRow.id.desc())
    row = await tx.row(newest.limit(1))
    if row is None:
        return None
    return Audited(
        id=row.id,
        ended_at=row.ended_at,
        outcome=AuditOutcome(row.outcome),
        took_ms=row.took_ms,
        bookings=row.bookings,
        holds=row.holds,
        payments=row.payments,
        found=row.found,
        not_compared=tuple(row.not_compared),
    )
