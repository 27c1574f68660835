"""How much of the flight service's work is waiting. Cheap, whatever the answer is."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from skyhold.contracts.holds import HoldStatus
from skyhold.flight.models.tables import OUTBOX, HoldRow
from skyhold.kernel import backlog
from skyhold.kernel.backlog import Due, Untold
from skyhold.kernel.db import ReadTx


async def holds(tx: ReadTx, now: datetime) -> Due:
    """Holds whose time is up, and that still keep their seats."""
    held = select(HoldRow.expires_at).where(HoldRow.status == HoldStatus.HELD)
    return await backlog.due_of(tx, now, held)


async def events(tx: ReadTx) -> Untold:
    """Events that are still to be published."""
    return await backlog.untold(tx, OUTBOX)
