"""Bookings as the desk looks for them: by what a traveller at the counter can tell."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, literal, select, tuple_

from skyhold.booking.models.booking import Booking, Position
from skyhold.booking.models.tables import BookingFlightRow, BookingRow, PassengerRow
from skyhold.booking.models.wanted import Wanted, spellings
from skyhold.kernel.columns import Instant, Key
from skyhold.kernel.db import ReadTx

from . import bookings


async def found(tx: ReadTx, wanted: Wanted, *, after: Position | None, limit: int) -> list[Booking]:
    """Whoever owns them, the newest first.

    It costs as much as there are bookings of that name or on that flight, and no more: each of the
    three ways to ask has an index. Of a surname these are compared: any passenger's, as it was
    typed, with each of its `spellings`.
    """
    asked = select(BookingRow.id).where(_are(wanted))
    if wanted.status is not None:
        asked = asked.where(BookingRow.status == wanted.status)
    rows = await tx.rows(_newest_first(asked, after).limit(limit))
    known = await bookings.by_ids(tx, [row.id for row in rows])
    return [known[row.id] for row in rows]


def _are(wanted: Wanted) -> ColumnElement[bool]:
    if wanted.record_locator is not None:
        return BookingRow.record_locator == wanted.record_locator
    if wanted.flight_id is not None:
        theirs = select(BookingFlightRow.booking_id)
        return BookingRow.id.in_(theirs.where(BookingFlightRow.flight_id == wanted.flight_id))
    assert wanted.family_name is not None, wanted
    named = PassengerRow.family_name.in_(sorted(spellings(wanted.family_name)))
    return BookingRow.id.in_(select(PassengerRow.booking_id).where(named))


def _newest_first(asked: Select[Any], after: Position | None) -> Select[Any]:
    if after is not None:
        asked = asked.where(
            tuple_(BookingRow.created_at, BookingRow.id)
            < tuple_(literal(after.created_at, Instant), literal(after.booking_id, Key))
        )
    return asked.order_by(BookingRow.created_at.desc(), BookingRow.id.desc())
