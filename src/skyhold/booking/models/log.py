"""What is written down of a booking: who did what, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from skyhold.kernel.money import Money

from .booking import BookingStatus
from .change import Change
from .payment import Failure


class ActorKind(StrEnum):
    """Who acts. `system` is Skyhold itself: payments carried on, deadlines, refunds."""

    CUSTOMER = "customer"
    STAFF = "staff"
    AIRLINE = "airline"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something to a booking; `id` is their account where it is a person."""

    kind: ActorKind
    id: str | None = None

    @classmethod
    def customer(cls, user_id: str) -> Actor:
        """The booking's owner, whatever else they are."""
        return cls(ActorKind.CUSTOMER, user_id)

    @classmethod
    def staff(cls, user_id: str) -> Actor:
        """Somebody who works here, with a booking that is not theirs."""
        return cls(ActorKind.STAFF, user_id)


SYSTEM = Actor(ActorKind.SYSTEM)
AIRLINE = Actor(ActorKind.AIRLINE)


class Action(StrEnum):
    """What was done. `*_due` is money that is on its way back, decided and not yet done."""

    HELD = "held"
    PAYMENT_STARTED = "payment_started"
    PAYMENT_DECLINED = "payment_declined"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FLIGHT_CHANGED = "flight_changed"
    VOID_DUE = "void_due"
    REFUND_DUE = "refund_due"
    REFUNDED = "refunded"
    VIEWED = "viewed"


@dataclass(frozen=True, slots=True)
class Detail:
    """What helps to understand an entry: the payment and its failure, money, new times."""

    payment_id: str | None = None
    failure: Failure | None = None
    amount: Money | None = None
    refund: Money | None = None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a booking's log. Nothing changes it any more."""

    id: str
    booking_id: str
    at: datetime
    action: Action
    actor: Actor
    status_before: BookingStatus | None
    status_after: BookingStatus
    detail: Detail | None
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a page of a log ended."""

    at: datetime
    entry_id: str
