"""What others are told about a booking, and what is written into its log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from structlog.contextvars import get_contextvars

from skyhold.booking.models.booking import NEXT, Booking, BookingStatus
from skyhold.booking.models.change import Change, Times
from skyhold.booking.models.log import SYSTEM, Action, Actor, Detail, Entry
from skyhold.booking.models.payment import Payment
from skyhold.booking.repositories import booking_log, bookings
from skyhold.kernel import tracing
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Tx
from skyhold.kernel.ids import new_id
from skyhold.kernel.messaging import Event
from skyhold.kernel.outbox import Outbox

from .notes import entry


class Happened(StrEnum):
    """The kinds of event."""

    HELD = "booking.held"
    CONFIRMED = "booking.confirmed"
    EXPIRED = "booking.expired"
    CANCELLED = "booking.cancelled"
    FLIGHT_CHANGED = "booking.flight_changed"
    PAYMENT_DECLINED = "payment.declined"
    PAYMENT_REFUNDED = "payment.refunded"


LOGGED_AS: Mapping[Happened, Action] = {
    Happened.HELD: Action.HELD,
    Happened.CONFIRMED: Action.CONFIRMED,
    Happened.EXPIRED: Action.EXPIRED,
    Happened.CANCELLED: Action.CANCELLED,
    Happened.FLIGHT_CHANGED: Action.FLIGHT_CHANGED,
    Happened.PAYMENT_DECLINED: Action.PAYMENT_DECLINED,
    Happened.PAYMENT_REFUNDED: Action.REFUNDED,
}
# What can happen to a booking that stays where it is.
UNMOVED = frozenset({Happened.FLIGHT_CHANGED, Happened.PAYMENT_REFUNDED})


@dataclass(frozen=True, slots=True)
class Course:
    """In the course of which request, and as which step of a trace, something happens."""

    request_id: str | None
    traceparent: str | None

    @classmethod
    def present(cls) -> Course:
        """That of the running task."""
        return cls(get_contextvars().get("request_id"), tracing.current_traceparent())


NO_COURSE = Course(None, None)


@dataclass(frozen=True, slots=True)
class Chronicle:
    """Writes events into the outbox and entries into the log, with what they tell of.

    All in one transaction, so a run of it that finds nothing to do any more writes neither again.
    """

    outbox: Outbox
    clock: Clock

    async def tell(
        self,
        tx: Tx,
        booking_id: str,
        what: Happened,
        *changes: Change,
        by: Actor,
        before: BookingStatus | None = None,
        detail: Detail | None = None,
    ) -> None:
        """Tell what has just happened to a booking, with its state as this transaction sees it.

        `before` is where it stood, of whatever has moved. `changes` of its flights are the reason,
        where they are.
        """
        booking = await bookings.by_id(tx, booking_id)
        assert booking is not None, f"{booking_id} was changed a moment ago"
        assert (before is None) == (what in UNMOVED), f"{what} from {before}"
        before = before or booking.status
        assert before is booking.status or booking.status in NEXT[before], f"{what} from {before}"
        event = self._event(booking, what, changes)
        await self.outbox.add(tx, event)
        if changes:
            detail = replace(detail or Detail(), changes=changes)
        done = entry(
            booking_id,
            LOGGED_AS[what],
            by,
            event.occurred_at,
            before=before,
            after=booking.status,
            detail=detail,
        )
        await booking_log.add(tx, done)

    async def tell_of_new(self, tx: Tx, about: Sequence[tuple[Booking, Course]]) -> None:
        """Tell of bookings that were made, each in the course of a request of its own."""
        events = [self._event(booking, Happened.HELD, course=course) for booking, course in about]
        await self.outbox.add(tx, *events)
        await booking_log.add(
            tx, *(_made(*one, event.occurred_at) for one, event in zip(about, events, strict=True))
        )

    async def tell_of_confirmed(
        self, tx: Tx, about: Iterable[tuple[Booking, Payment, Course]]
    ) -> list[Entry]:
        """Tell of bookings that are paid now, each in the course of a request of its own.

        Answers their entries for the log: to be written in this transaction, with those of others.
        """
        paid = list(about)
        events = [self._event(one, Happened.CONFIRMED, course=course) for one, _, course in paid]
        await self.outbox.add(tx, *events)
        return [_paid(*one, event.occurred_at) for one, event in zip(paid, events, strict=True)]

    def _event(
        self,
        booking: Booking,
        what: Happened,
        changes: tuple[Change, ...] = (),
        course: Course = NO_COURSE,
    ) -> Event:
        return Event(
            id=new_id(),
            type=what,
            subject=booking.id,
            sequence=booking.ver,
            data={
                "booking_id": booking.id,
                "record_locator": booking.record_locator,
                "user_id": booking.user_id,
                "status": booking.status,
                "total": {"amount": booking.total.amount, "currency": booking.total.currency},
                "segments": [
                    {"flight_id": segment.flight_id, "cabin": segment.cabin, "seats": segment.seats}
                    for segment in booking.segments
                ],
                "changes": [_told(change) for change in changes],
            },
            occurred_at=self.clock.now(),
            request_id=course.request_id,
            traceparent=course.traceparent,
        )


def _made(booking: Booking, course: Course, at: datetime) -> Entry:
    owner = Actor.customer(booking.user_id)
    return entry(
        booking.id,
        Action.HELD,
        owner,
        at,
        before=None,
        after=booking.status,
        request_id=course.request_id,
    )


def _paid(booking: Booking, payment: Payment, course: Course, at: datetime) -> Entry:
    return entry(
        booking.id,
        Action.CONFIRMED,
        SYSTEM,
        at,
        before=BookingStatus.PAYING,
        after=booking.status,
        detail=Detail(payment_id=payment.id, amount=payment.amount),
        request_id=course.request_id,
    )


def _told(change: Change) -> dict[str, Any]:
    return {
        "flight_id": change.flight_id,
        "kind": change.kind,
        "was": _times(change.was),
        "now": None if change.now is None else _times(change.now),
    }


def _times(times: Times) -> dict[str, str]:
    return {
        "departing_at": times.departing_at.isoformat(),
        "arriving_at": times.arriving_at.isoformat(),
    }
