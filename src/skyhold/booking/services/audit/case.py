"""A booking with everything that the flight service has about it: what the rules look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from skyhold.booking.models.facts import BookingFacts, PaymentFacts, SeatSet
from skyhold.booking.services.patience import ALERT_AFTER_ATTEMPTS, BACKOFF_MAX_S
from skyhold.contracts.holds import HoldFacts, HoldStatus, Seats

LIVE = frozenset({HoldStatus.HELD, HoldStatus.CONFIRMED})


@dataclass(frozen=True, slots=True)
class Case:
    """One booking with its payments and its hold, or a hold without a booking, at one moment."""

    id: str
    booking: BookingFacts | None
    payments: Sequence[PaymentFacts]
    hold: HoldFacts | None

    @property
    def active(self) -> PaymentFacts | None:
        """The payment that the booking is being paid with."""
        if self.booking is None:
            return None
        wanted = self.booking.active_payment_id
        return next((payment for payment in self.payments if payment.id == wanted), None)

    @property
    def hold_status(self) -> HoldStatus | None:
        """How the hold stands; None when there is none."""
        return None if self.hold is None else self.hold.status

    @property
    def is_live(self) -> bool:
        """Whether the hold has its seats."""
        return self.hold_status in LIVE


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on something late is called a disagreement."""

    now: datetime
    patience_s: float
    give_up_after_s: int

    def is_late(
        self, due_at: datetime | None, attempts: int, *, not_before: datetime | None = None
    ) -> bool:
        """Whether a row that is not at rest has waited too long, or will never be looked at.

        `not_before` is when there is something to do for it at all, if that is still ahead.
        """
        if due_at is None or attempts >= ALERT_AFTER_ATTEMPTS:
            return True
        patience = timedelta(seconds=self.patience_s)
        last_look = max(self.now, not_before or self.now) + timedelta(seconds=BACKOFF_MAX_S)
        return due_at < self.now - patience or due_at > last_look + patience

    def is_over(self, deadline: datetime) -> bool:
        """Whether a time is long past."""
        return deadline + timedelta(seconds=self.patience_s) < self.now


def seat_set(segments: Sequence[Seats]) -> SeatSet:
    """The seats of a hold, to be compared with those of a booking."""
    return frozenset((segment.flight_id, seat) for segment in segments for seat in segment.seats)


def names(seats: Sequence[Seats] | SeatSet) -> str:
    """Seats, as a person reads them: their flight and its seats."""
    by_flight: dict[str, list[str]] = {}
    for one in seats:
        if isinstance(one, Seats):
            by_flight.setdefault(one.flight_id, []).extend(one.seats)
        else:
            by_flight.setdefault(one[0], []).append(one[1])
    return ", ".join(
        f"{flight} {' '.join(sorted(numbers))}" for flight, numbers in sorted(by_flight.items())
    )
