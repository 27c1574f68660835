"""Bookings as rows, and rows as bookings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from skyhold.booking.models.booking import Booking, BookingStatus, Passenger
from skyhold.booking.models.change import Change, ChangeKind, Times
from skyhold.contracts.holds import HeldSegment
from skyhold.kernel.money import Money


def to_booking(row: Row[Any], passengers: tuple[Passenger, ...]) -> Booking:
    """The booking in a row."""
    return Booking(
        id=row.id,
        user_id=row.user_id,
        record_locator=row.record_locator,
        idempotency_key=row.idempotency_key,
        request_digest=row.request_digest,
        status=BookingStatus(row.status),
        segments=tuple(HeldSegment.model_validate(segment) for segment in row.segments),
        passengers=passengers,
        total=Money(row.total_minor, row.currency),
        payment_required_by=row.payment_required_by,
        active_payment_id=row.active_payment_id,
        hold_open=row.hold_open,
        due_at=row.due_at,
        attempts=row.attempts,
        ver=row.ver,
        created_at=row.created_at,
        changes=tuple(change_from_json(told) for told in row.changes or ()),
    )


def change_to_json(change: Change) -> dict[str, Any]:
    """What became of a flight, as it is kept on the booking."""
    return {
        "flight_id": change.flight_id,
        "kind": change.kind,
        "was": times_to_json(change.was),
        "now": None if change.now is None else times_to_json(change.now),
        "at": change.at.isoformat(),
    }


def change_from_json(told: Mapping[str, Any]) -> Change:
    """What became of a flight, from what `change_to_json` made."""
    return Change(
        flight_id=told["flight_id"],
        kind=ChangeKind(told["kind"]),
        was=times_from_json(told["was"]),
        now=None if told["now"] is None else times_from_json(told["now"]),
        at=datetime.fromisoformat(told["at"]),
    )


def times_to_json(times: Times) -> dict[str, str]:
    """A flight's times as they are kept, each with the offset of its airport."""
    return {
        "departing_at": times.departing_at.isoformat(),
        "arriving_at": times.arriving_at.isoformat(),
    }


def times_from_json(kept: Mapping[str, str]) -> Times:
    """A flight's times from what `times_to_json` made."""
    return Times(
        datetime.fromisoformat(kept["departing_at"]), datetime.fromisoformat(kept["arriving_at"])
    )


def to_values(booking: Booking) -> dict[str, Any]:
    """The column values of a new booking."""
    return {
        "id": booking.id,
        "user_id": booking.user_id,
        "record_locator": booking.record_locator,
        "idempotency_key": booking.idempotency_key,
        "request_digest": booking.request_digest,
        "status": booking.status,
        "segments": [segment.model_dump(mode="json") for segment in booking.segments],
        "total_minor": booking.total.minor,
        "currency": booking.total.currency,
        "payment_required_by": booking.payment_required_by,
        "active_payment_id": booking.active_payment_id,
        "hold_open": booking.hold_open,
        "due_at": booking.due_at,
        "attempts": booking.attempts,
        "ver": booking.ver,
        "created_at": booking.created_at,
    }
