"""How much of the booking service's work is waiting. Cheap, whatever the answer is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from skyhold.booking.models.tables import OUTBOX, BookingRow, FlightChangeRow, PaymentRow
from skyhold.kernel import backlog
from skyhold.kernel.backlog import Due, Untold
from skyhold.kernel.db import ReadTx


async def bookings(tx: ReadTx, now: datetime) -> Mapping[str, Due]:
    """Bookings that the driver has to look at, by their status."""
    table = BookingRow.__table__
    return await backlog.due_by_status(
        tx, now, status=table.c.status, due_at=table.c.due_at, attempts=table.c.attempts
    )


async def payments(tx: ReadTx, now: datetime) -> Mapping[str, Due]:
    """Payments that are to be carried on, voided or refunded, by their status."""
    table = PaymentRow.__table__
    return await backlog.due_by_status(
        tx, now, status=table.c.status, due_at=table.c.due_at, attempts=table.c.attempts
    )


async def flight_changes(tx: ReadTx, now: datetime) -> Mapping[str, Due]:
    """Changed flights that some of the bookings on them have not heard of."""
    table = FlightChangeRow.__table__
    return await backlog.due_by_status(
        tx, now, status=table.c.kind, due_at=table.c.due_at, attempts=table.c.attempts
    )


async def events(tx: ReadTx) -> Untold:
    """Events that are still to be published."""
    return await backlog.untold(tx, OUTBOX)
