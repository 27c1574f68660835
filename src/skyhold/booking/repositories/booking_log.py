"""The log of what was done to bookings. There is no way to change or remove an entry."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, literal, select, tuple_

from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.log import Action, Actor, ActorKind, Detail, Entry, Mark
from skyhold.booking.models.payment import Failure
from skyhold.booking.models.tables import BookingLogRow
from skyhold.kernel.columns import Instant, Key
from skyhold.kernel.db import ReadTx, Tx
from skyhold.kernel.money import Money

from .booking_rows import change_from_json, change_to_json

_ADD = insert(BookingLogRow)


async def add(tx: Tx, *entries: Entry) -> None:
    """Write entries; they are there if and only if this transaction commits.

    Raises Duplicate when one of them is there already.
    """
    await tx.run(_ADD, [_values(entry) for entry in entries])


async def of_booking(tx: ReadTx, booking_id: str, *, after: Mark | None, limit: int) -> list[Entry]:
    """What was done to a booking, the oldest first."""
    found = select(BookingLogRow.__table__).where(BookingLogRow.booking_id == booking_id)
    if after is not None:
        found = found.where(
            tuple_(BookingLogRow.at, BookingLogRow.id)
            > tuple_(literal(after.at, Instant), literal(after.entry_id, Key))
        )
    oldest_first = found.order_by(BookingLogRow.at, BookingLogRow.id)
    return [_entry(row) for row in await tx.rows(oldest_first.limit(limit))]


async def viewed_by(
    tx: ReadTx, booking_ids: Collection[str], actor_id: str, *, since: datetime
) -> set[str]:
    """At which of these bookings it is written down that this person has looked since then."""
    rows = await tx.rows(
        select(BookingLogRow.booking_id)
        .where(
            BookingLogRow.booking_id.in_(booking_ids),
            BookingLogRow.at >= since,
            BookingLogRow.action == Action.VIEWED,
            BookingLogRow.actor_id == actor_id,
        )
        .distinct()
    )
    return {row.booking_id for row in rows}


def _values(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "booking_id": entry.booking_id,
        "at": entry.at,
        "action": entry.action,
        "actor": entry.actor.kind,
        "actor_id": entry.actor.id,
        "status_before": entry.status_before,
        "status_after": entry.status_after,
        "detail": None if entry.detail is None else _detail_to_json(entry.detail),
        "request_id": entry.request_id,
    }


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        id=row.id,
        booking_id=row.booking_id,
        at=row.at,
        action=Action(row.action),
        actor=Actor(ActorKind(row.actor), row.actor_id),
        status_before=None if row.status_before is None else BookingStatus(row.status_before),
        status_after=BookingStatus(row.status_after),
        detail=None if row.detail is None else _detail_from_json(row.detail),
        request_id=row.request_id,
    )


def _detail_to_json(detail: Detail) -> dict[str, Any]:
    kept: dict[str, Any] = {
        "payment_id": detail.payment_id,
        "failure": detail.failure,
        "amount": _money_to_json(detail.amount),
        "refund": _money_to_json(detail.refund),
        "changes": [change_to_json(change) for change in detail.changes],
    }
    return {name: value for name, value in kept.items() if value}


def _detail_from_json(kept: Mapping[str, Any]) -> Detail:
    failure = kept.get("failure")
    return Detail(
        payment_id=kept.get("payment_id"),
        failure=None if failure is None else Failure(failure),
        amount=_money_from_json(kept.get("amount")),
        refund=_money_from_json(kept.get("refund")),
        changes=tuple(change_from_json(told) for told in kept.get("changes", ())),
    )


def _money_to_json(money: Money | None) -> dict[str, Any] | None:
    return None if money is None else {"minor": money.minor, "currency": money.currency}


def _money_from_json(kept: Mapping[str, Any] | None) -> Money | None:
    return None if kept is None else Money(kept["minor"], kept["currency"])
