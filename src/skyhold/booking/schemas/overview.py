"""How the service is doing, for staff."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from pydantic import BaseModel, Field

from skyhold.booking.models.audited import Audited, AuditOutcome
from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.log import Action
from skyhold.booking.services.backlog import SERVICE
from skyhold.booking.services.overview import Hour, Seen
from skyhold.kernel.backlog import DUE_ROWS, OLDEST_AGE, OVERDUE_ROWS, ROWS_MAX, UNPUBLISHED


class QueueOut(BaseModel):
    """What of one kind and state waits for the driver."""

    kind: str = Field(examples=["booking"])
    status: str = Field(examples=["held"])
    due: int = Field(description=f"To be taken up now, counted up to {ROWS_MAX}")
    overdue: int = Field(description="Not taken up, or without success, for a minute")


class EventsOut(BaseModel):
    """Events that are still to be published."""

    unpublished: int = Field(description=f"Counted up to {ROWS_MAX}")
    oldest_age_s: float = Field(description="How long the oldest has waited, 0 if none is")


class DeadQueueOut(BaseModel):
    """Messages that a consumer gave up on."""

    queue: str
    messages: int


class AuditOut(BaseModel):
    """The periodic audit that ended last."""

    ended_at: datetime
    outcome: AuditOutcome
    took_s: float
    bookings: int
    holds: int
    payments: int
    found: dict[str, int] = Field(description="How many disagreements, by their kind")
    not_compared: list[str] = Field(description="What could not be compared, and why")

    @classmethod
    def of(cls, audited: Audited) -> AuditOut:
        """The public form of an audit."""
        return cls(
            ended_at=audited.ended_at.astimezone(UTC),
            outcome=audited.outcome,
            took_s=audited.took_ms / 1_000,
            bookings=audited.bookings,
            holds=audited.holds,
            payments=audited.payments,
            found=dict(audited.found or {}),
            not_compared=list(audited.not_compared),
        )


class StateOut(BaseModel):
    """How many bookings stand there now."""

    status: BookingStatus
    bookings: int


class HourOut(BaseModel):
    """What was done in the hour that began then; the last one is not over."""

    begins_at: datetime
    created: int
    confirmed: int
    expired: int
    cancelled: int

    @classmethod
    def of(cls, hour: Hour) -> HourOut:
        """The public form of an hour."""
        done = hour.done
        return cls(
            begins_at=hour.begins_at,
            created=done.get(Action.HELD, 0),
            confirmed=done.get(Action.CONFIRMED, 0),
            expired=done.get(Action.EXPIRED, 0),
            cancelled=done.get(Action.CANCELLED, 0),
        )


class OverviewOut(BaseModel):
    """What waits, how the last audit ended, and what happened in the last 48 hours."""

    at: datetime
    queues: list[QueueOut]
    events: EventsOut
    dead_letters: list[DeadQueueOut] | None
    dead_letters_unknown: str | None = Field(description="Why nobody can say")
    last_audit: AuditOut | None = Field(description="Null when none has ended yet")
    states: list[StateOut] = Field(
        description=f"Of the bookings made in these hours, the newest {ROWS_MAX} at most"
    )
    hours: list[HourOut] = Field(description="The oldest first, in UTC")

    @classmethod
    def of(cls, seen: Seen) -> OverviewOut:
        """The public form of what was seen."""
        dead = seen.dead_letters
        untold = (SERVICE,)
        return cls(
            at=seen.at,
            queues=list(_queues(seen)),
            events=EventsOut(
                unpublished=int(seen.waiting[UNPUBLISHED][untold]),
                oldest_age_s=seen.waiting[OLDEST_AGE][untold],
            ),
            dead_letters=None if isinstance(dead, str) else _dead(dead),
            dead_letters_unknown=dead if isinstance(dead, str) else None,
            last_audit=None if seen.audited is None else AuditOut.of(seen.audited),
            states=[
                StateOut(status=status, bookings=seen.statuses.get(status, 0))
                for status in BookingStatus
            ],
            hours=[HourOut.of(hour) for hour in seen.hours],
        )


def _queues(seen: Seen) -> Iterator[QueueOut]:
    overdue = seen.waiting[OVERDUE_ROWS]
    for labels, due in seen.waiting[DUE_ROWS].items():
        kind, status = labels
        yield QueueOut(kind=kind, status=status, due=int(due), overdue=int(overdue[labels]))


def _dead(found: Mapping[str, int]) -> list[DeadQueueOut]:
    return [DeadQueueOut(queue=queue, messages=count) for queue, count in sorted(found.items())]
