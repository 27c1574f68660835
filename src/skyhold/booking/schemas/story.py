"""Everything that is known of one booking, for staff."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

from pydantic import BaseModel, Field

from skyhold.booking.models.booking import Booking, BookingStatus
from skyhold.booking.models.payment import Failure, Payment, PaymentStatus
from skyhold.booking.services.story import Story
from skyhold.contracts.holds import Cabin, Hold, HoldStatus
from skyhold.kernel.messaging import Event
from skyhold.kernel.money import WireMoney

from .bookings import ChangeOut, PassengerOut, SegmentOut
from .payment_out import RefundOut
from .timeline import EntryOut

Out = TypeVar("Out", bound=BaseModel)


def _from(kind: type[Out], what: object) -> Out:
    return kind.model_validate(what, from_attributes=True)


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.astimezone(UTC)


class WholeBookingOut(BaseModel):
    """The booking as it is kept, with whose it is and what the driver is about to do."""

    id: str
    record_locator: str
    status: BookingStatus
    user_id: str
    idempotency_key: str | None
    segments: list[SegmentOut]
    passengers: list[PassengerOut]
    total: WireMoney
    created_at: datetime
    payment_required_by: datetime
    due_at: datetime | None = Field(description="When the driver looks at it, null for never")
    attempts: int = Field(description="How often it has failed since")
    hold_open: bool = Field(description="Whether its seats are still to be given back or used")
    changes: list[ChangeOut]

    @classmethod
    def of(cls, booking: Booking) -> WholeBookingOut:
        """All of a booking."""
        return cls(
            id=booking.id,
            record_locator=booking.record_locator,
            status=booking.status,
            user_id=booking.user_id,
            idempotency_key=booking.idempotency_key,
            segments=[_from(SegmentOut, segment) for segment in booking.segments],
            passengers=[_from(PassengerOut, passenger) for passenger in booking.passengers],
            total=WireMoney.of(booking.total),
            created_at=booking.created_at.astimezone(UTC),
            payment_required_by=booking.payment_required_by.astimezone(UTC),
            due_at=_utc(booking.due_at),
            attempts=booking.attempts,
            hold_open=booking.hold_open,
            changes=[ChangeOut.of(change) for change in booking.changes],
        )


class AttemptOut(BaseModel):
    """One attempt to pay. What its payer would need to go on with it is theirs, and not here."""

    id: str
    status: PaymentStatus
    failure: Failure | None
    amount: WireMoney
    refund: RefundOut | None
    created_at: datetime
    due_at: datetime | None = Field(description="When the driver looks at it, null for never")
    attempts: int = Field(description="How often the driver has failed with it since")
    provider: str = Field(examples=["sandbox"])
    reference: str | None = Field(description="The provider's own id for it, once heard")
    waits_for_payer: bool

    @classmethod
    def of(cls, payment: Payment) -> AttemptOut:
        """An attempt as it is kept, without its token."""
        amount = WireMoney.of(payment.amount)
        return cls(
            id=payment.id,
            status=payment.status,
            failure=payment.failure,
            amount=amount,
            refund=RefundOut(status=payment.refund, amount=amount) if payment.refund else None,  # type: ignore[arg-type]
            created_at=payment.created_at.astimezone(UTC),
            due_at=_utc(payment.due_at),
            attempts=payment.attempts,
            provider=payment.provider or "sandbox",
            reference=payment.reference,
            waits_for_payer=payment.next_action is not None,
        )


class SeatsOut(BaseModel):
    """Seats that a hold has on one flight."""

    flight_id: str
    cabin: Cabin
    seats: list[str]


class HoldOut(BaseModel):
    """The hold as the flight service has it now."""

    hold_id: str
    status: HoldStatus
    expires_in_s: int | None
    segments: list[SeatsOut]

    @classmethod
    def of(cls, hold: Hold) -> HoldOut:
        """A hold without what the booking tells as well."""
        return cls(
            hold_id=hold.hold_id,
            status=hold.status,
            expires_in_s=hold.expires_in_s,
            segments=[_from(SeatsOut, segment) for segment in hold.segments],
        )


class EventOut(BaseModel):
    """Something that others were told of the booking, or are about to be."""

    id: str
    at: datetime
    sequence: int
    type: str = Field(examples=["booking.confirmed"])
    status: str | None = Field(description="Where the booking stood then")
    request_id: str | None

    @classmethod
    def of(cls, event: Event) -> EventOut:
        """An event without its data, which is for those who are told."""
        status = event.data.get("status")
        return cls(
            id=event.id,
            at=event.occurred_at.astimezone(UTC),
            sequence=event.sequence,
            type=event.type,
            status=None if status is None else str(status),
            request_id=event.request_id,
        )


class StoryOut(BaseModel):
    """A booking, its payments, its hold, what was done to it and what was told of it."""

    booking: WholeBookingOut
    payments: list[AttemptOut] = Field(description="Every attempt to pay, the first one first")
    hold: HoldOut | None = Field(description="Null when there is none, or when nobody can say")
    hold_unknown: str | None = Field(description="Why nobody can say how the hold is")
    entries: list[EntryOut] = Field(description="Its log, the oldest first")
    events: list[EventOut] = Field(description="What was told of it, the oldest first")

    @classmethod
    def of(cls, story: Story) -> StoryOut:
        """The public form of a story."""
        hold = story.hold
        return cls(
            booking=WholeBookingOut.of(story.booking),
            payments=[AttemptOut.of(payment) for payment in story.payments],
            hold=HoldOut.of(hold) if isinstance(hold, Hold) else None,
            hold_unknown=hold if isinstance(hold, str) else None,
            entries=[EntryOut.of(entry, for_owner=False) for entry in story.entries],
            events=[EventOut.of(event) for event in story.events],
        )
