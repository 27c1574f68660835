"""How much has happened lately. What it costs depends on that, never on all bookings there are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import func, select

from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.log import Action
from skyhold.booking.models.tables import BookingLogRow, BookingRow
from skyhold.kernel.db import ReadTx


async def done(
    tx: ReadTx, actions: Collection[Action], since: datetime, until: datetime
) -> Mapping[Action, int]:
    """How often each of these was done in this time: a piece of the log's index by what and when.

    The end does not belong to it.
    """
    rows = await tx.rows(
        select(BookingLogRow.action, func.count().label("times"))
        .where(
            BookingLogRow.action.in_(actions),
            BookingLogRow.at >= since,
            BookingLogRow.at < until,
        )
        .group_by(BookingLogRow.action)
    )
    return {Action(row.action): row.times for row in rows}


async def by_status(tx: ReadTx, since: datetime, limit: int) -> Mapping[BookingStatus, int]:
    """Where the bookings stand now that were made since then, of the newest at most so many."""
    newest = (
        select(BookingLogRow.booking_id)
        .where(BookingLogRow.action == Action.HELD, BookingLogRow.at >= since)
        .order_by(BookingLogRow.at.desc())
        .limit(limit)
        .subquery()
    )
    rows = await tx.rows(
        select(BookingRow.status, func.count().label("bookings"))
        .join(newest, newest.c.booking_id == BookingRow.id)
        .group_by(BookingRow.status)
    )
    return {BookingStatus(row.status): row.bookings for row in rows}
