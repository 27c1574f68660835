"""A booking: its states, its legal moves, and what may be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from skyhold.contracts.holds import HeldSegment
from skyhold.kernel.money import Money

from .change import Change, ChangeKind, FlightChange, Times
from .payment import Payment, PaymentStatus


class BookingStatus(StrEnum):
    """Where a booking stands."""

    HELD = "held"
    PAYING = "paying"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class PassengerType(StrEnum):
    """Who takes a seat. Infants on a lap do not, and are not booked here."""

    ADULT = "adult"
    CHILD = "child"


NEXT: Mapping[BookingStatus, frozenset[BookingStatus]] = {
    BookingStatus.HELD: frozenset(
        {BookingStatus.PAYING, BookingStatus.CANCELLED, BookingStatus.EXPIRED}
    ),
    BookingStatus.PAYING: frozenset(
        {
            BookingStatus.HELD,
            BookingStatus.CONFIRMED,
            BookingStatus.EXPIRED,
            BookingStatus.CANCELLED,
        }
    ),
    BookingStatus.CONFIRMED: frozenset({BookingStatus.CANCELLED}),
    BookingStatus.EXPIRED: frozenset(),
    BookingStatus.CANCELLED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Passenger:
    """Someone who flies. Seats are in the order of the passengers."""

    given_name: str
    family_name: str
    type: PassengerType
    born_on: date | None


@dataclass(frozen=True, slots=True)
class Booking:
    """A booking as it is kept.

    `segments` are frozen as they were promised, but for times that the airline has changed since:
    `changes` tells of those. `due_at` is when the driver looks at it next, and
    `hold_open` says that its seats are still to be given back. `ver` grows with every change and
    numbers its events.
    """

    id: str
    user_id: str
    record_locator: str
    idempotency_key: str | None
    request_digest: str | None
    status: BookingStatus
    segments: tuple[HeldSegment, ...]
    passengers: tuple[Passenger, ...]
    total: Money
    payment_required_by: datetime
    active_payment_id: str | None
    hold_open: bool
    due_at: datetime | None
    attempts: int
    ver: int
    created_at: datetime
    changes: tuple[Change, ...] = ()

    @property
    def departing_at(self) -> datetime:
        """When the journey begins."""
        return self.segments[0].departing_at

    @property
    def arriving_at(self) -> datetime:
        """When the journey is over."""
        return self.segments[-1].arriving_at

    @property
    def seats(self) -> int:
        """How many seats it has, on all its flights together."""
        return sum(len(segment.seats) for segment in self.segments)

    def is_payable(self, now: datetime) -> bool:
        """Whether a payment may begin: the seats are held and the deadline is ahead."""
        return self.status is BookingStatus.HELD and now < self.payment_required_by

    def is_cancellable(self, now: datetime) -> bool:
        """Whether its owner may cancel it: not while it is paid, not once the journey began."""
        if self.status is BookingStatus.CONFIRMED:
            return now < self.departing_at
        return self.status is BookingStatus.HELD

    def told_of(self, news: FlightChange, at: datetime) -> Change | None:
        """What a change of a flight means to this booking; None when it knew these times."""
        was = next(
            Times(segment.departing_at, segment.arriving_at)
            for segment in self.segments
            if segment.flight_id == news.flight_id
        )
        if news.kind is ChangeKind.CANCELLED:
            return Change(news.flight_id, news.kind, was, None, at)
        if was == news.times:
            return None
        return Change(news.flight_id, news.kind, was, news.times, at)

    def with_change(self, change: Change) -> Booking:
        """The booking with a change noted, and with the new times where there are any.

        Nobody pays for a flight that has left, so an earlier departure may move the deadline.
        """
        segments = tuple(
            segment
            if segment.flight_id != change.flight_id or change.now is None
            else segment.model_copy(
                update={
                    "departing_at": change.now.departing_at,
                    "arriving_at": change.now.arriving_at,
                }
            )
            for segment in self.segments
        )
        deadline = min(self.payment_required_by, segments[0].departing_at)
        return replace(
            self,
            segments=segments,
            changes=(*self.changes, change),
            payment_required_by=deadline,
            due_at=deadline if self.status is BookingStatus.HELD else self.due_at,
        )

    def available_actions(self, now: datetime) -> list[str]:
        """What its owner may do now."""
        actions = {"pay": self.is_payable(now), "cancel": self.is_cancellable(now)}
        return [action for action, possible in actions.items() if possible]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page of bookings ended."""

    created_at: datetime
    booking_id: str


class Step(StrEnum):
    """The next thing to do for a booking, each one call outside and one guarded update."""

    EXPIRE = "expire"
    AUTHORISE = "authorise"
    GIVE_UP = "give_up"
    CONFIRM_SEATS = "confirm_seats"
    CAPTURE = "capture"
    RELEASE = "release"


def next_step(
    booking: Booking, payment: Payment | None, now: datetime, *, give_up_after_s: int
) -> Step | None:
    """What is to be done for a booking, judged by nothing but what is kept of it.

    `payment` is the booking's active one. None means: nothing now.
    """
    match booking.status:
        case BookingStatus.HELD:
            return Step.EXPIRE if booking.payment_required_by <= now else None
        case BookingStatus.PAYING:
            assert payment is not None, f"{booking.id} is paying, but with what?"
            return _paying(booking, payment, now, give_up_after_s)
        case BookingStatus.EXPIRED | BookingStatus.CANCELLED:
            return Step.RELEASE if booking.hold_open else None
        case BookingStatus.CONFIRMED:
            return None


def _paying(booking: Booking, payment: Payment, now: datetime, give_up_after_s: int) -> Step | None:
    match payment.status:
        case PaymentStatus.CREATED:
            too_late = booking.payment_required_by + timedelta(seconds=give_up_after_s) <= now
            return Step.GIVE_UP if too_late else Step.AUTHORISE
        case PaymentStatus.AUTHORIZED:
            return Step.CONFIRM_SEATS
        case PaymentStatus.CAPTURE_DUE:
            return Step.CAPTURE
        case _:
            return None
