"""What was done to a booking, as the public sees it."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from pydantic import BaseModel, Field

from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.log import Action, ActorKind, Detail, Entry, Mark
from skyhold.booking.models.payment import Failure
from skyhold.booking.services.timeline import Timeline
from skyhold.kernel.http.pages import Page, from_instant_cursor, to_instant_cursor
from skyhold.kernel.money import Money, WireMoney

from .bookings import ChangeOut


class By(StrEnum):
    """Who did it: the owner is `you` to themselves and `customer` to staff."""

    YOU = "you"
    CUSTOMER = "customer"
    STAFF = "staff"
    AIRLINE = "airline"
    SKYHOLD = "skyhold"


_BY = {
    ActorKind.CUSTOMER: By.CUSTOMER,
    ActorKind.STAFF: By.STAFF,
    ActorKind.AIRLINE: By.AIRLINE,
    ActorKind.SYSTEM: By.SKYHOLD,
}


class DetailOut(BaseModel):
    """What helps to understand it; null where it is about something else."""

    payment_id: str | None
    failure: Failure | None = Field(description="Why a payment did not pay for the booking")
    amount: WireMoney | None = Field(description="What is paid, or was")
    refund: WireMoney | None = Field(description="What is given back, or was")
    changes: list[ChangeOut] = Field(description="What the airline changed")

    @classmethod
    def of(cls, detail: Detail) -> DetailOut:
        """The public form of a detail."""
        return cls(
            payment_id=detail.payment_id,
            failure=detail.failure,
            amount=_money(detail.amount),
            refund=_money(detail.refund),
            changes=[ChangeOut.of(change) for change in detail.changes],
        )


class EntryOut(BaseModel):
    """One thing that was done. `status_before` is null for a booking that was made by it."""

    at: datetime
    action: Action
    by: By
    status_before: BookingStatus | None
    status_after: BookingStatus
    detail: DetailOut | None
    actor_id: str | None = Field(description="Whose account it was; only staff are told")
    request_id: str | None = Field(description="For the logs; only staff are told")

    @classmethod
    def of(cls, entry: Entry, *, for_owner: bool) -> EntryOut:
        """The public form of an entry, for its booking's owner or else for staff."""
        by = _BY[entry.actor.kind]
        return cls(
            at=entry.at.astimezone(UTC),
            action=entry.action,
            by=By.YOU if by is By.CUSTOMER and for_owner else by,
            status_before=entry.status_before,
            status_after=entry.status_after,
            detail=None if entry.detail is None else DetailOut.of(entry.detail),
            actor_id=None if for_owner else entry.actor.id,
            request_id=None if for_owner else entry.request_id,
        )


def mark_of(cursor: str | None) -> Mark | None:
    """Where the page before ended. Raises InvalidCursor."""
    return None if cursor is None else Mark(*from_instant_cursor(cursor))


def to_timeline(timeline: Timeline) -> Page[EntryOut]:
    """One page of a timeline."""
    more = timeline.more
    return Page(
        data=[EntryOut.of(entry, for_owner=timeline.for_owner) for entry in timeline.entries],
        next=None if more is None else to_instant_cursor(more.at, more.entry_id),
    )


def _money(money: Money | None) -> WireMoney | None:
    return None if money is None else WireMoney.of(money)
