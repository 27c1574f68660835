"""What a traveller is to be told of: an event, and the booking it is about as it is now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from skyhold.booking.models.booking import Booking, BookingStatus
from skyhold.booking.models.change import ChangeKind
from skyhold.booking.models.payment import Payment
from skyhold.booking.models.user import User
from skyhold.contracts.events import FlightChanged, FlightTimes
from skyhold.contracts.holds import HeldSegment
from skyhold.kernel.messaging import Event

from .events import Happened

_UNPAID = frozenset({BookingStatus.HELD, BookingStatus.PAYING})
# Events may come late. Nobody is asked to pay for what is paid by now, or is told of a
# confirmation that has been cancelled since: another letter says how it stands.
TOLD_WHILE: Mapping[str, frozenset[BookingStatus]] = {
    Happened.HELD: _UNPAID,
    Happened.PAYMENT_DECLINED: frozenset({BookingStatus.HELD}),
    Happened.CONFIRMED: frozenset({BookingStatus.CONFIRMED}),
    Happened.EXPIRED: frozenset({BookingStatus.EXPIRED}),
    Happened.CANCELLED: frozenset({BookingStatus.CANCELLED}),
    Happened.FLIGHT_CHANGED: _UNPAID | {BookingStatus.CONFIRMED},
    Happened.PAYMENT_REFUNDED: frozenset(BookingStatus),
}


@dataclass(frozen=True, slots=True)
class Leg:
    """One flight of the journey with the times it has by this news."""

    segment: HeldSegment
    change: FlightChanged | None

    @property
    def is_cancelled(self) -> bool:
        """Whether this flight will not fly."""
        return self.change is not None and self.change.kind == ChangeKind.CANCELLED


@dataclass(frozen=True, slots=True)
class News:
    """An event with the booking, its owner and its last payment, all read at one moment."""

    event: Event
    booking: Booking
    user: User
    payment: Payment | None

    @property
    def is_current(self) -> bool:
        """Whether the event is one that travellers are told of, and still says how things stand."""
        return self.booking.status in TOLD_WHILE.get(self.event.type, frozenset())

    @property
    def was_confirmed(self) -> bool:
        """Whether the traveller may have the flights in a calendar."""
        return was_confirmed(self.booking, self.payment)

    def legs(self) -> tuple[Leg, ...]:
        """The journey, flight by flight."""
        changes = {
            change.flight_id: change for change in _changes(self.event.data.get("changes", []))
        }
        return tuple(
            _leg(segment, changes.get(segment.flight_id)) for segment in self.booking.segments
        )


def was_confirmed(booking: Booking, paid: Payment | None) -> bool:
    """Whether a booking with this last payment is confirmed, or was until it was cancelled."""
    if booking.status is not BookingStatus.CANCELLED:
        return booking.status is BookingStatus.CONFIRMED
    return paid is not None and paid.refund is not None and paid.failure is None


def _leg(segment: HeldSegment, change: FlightChanged | None) -> Leg:
    """The booking may still have the times from before, and may have newer ones than this news."""
    if change is not None and change.now is not None and _is(segment, change.was):
        segment = segment.model_copy(update=dict(change.now))
    return Leg(segment, change)


def _is(segment: HeldSegment, times: FlightTimes) -> bool:
    return (segment.departing_at, segment.arriving_at) == (times.departing_at, times.arriving_at)


def _changes(told: Any) -> list[FlightChanged]:  # noqa: ANN401 - JSON from another place
    """The changes that can be understood; for the others the journey's times say enough."""
    changes = []
    for one in told if isinstance(told, list) else []:
        try:
            changes.append(FlightChanged.model_validate(one))
        except ValidationError:
            continue
    return changes
