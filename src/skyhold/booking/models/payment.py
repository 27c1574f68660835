"""A payment: one attempt to pay for a booking, and its refund."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from skyhold.kernel.money import Money


class PaymentStatus(StrEnum):
    """Where an attempt stands. `*_due` means decided, and still to be done at the provider."""

    CREATED = "created"
    AUTHORIZED = "authorized"
    CAPTURE_DUE = "capture_due"
    CAPTURED = "captured"
    VOID_DUE = "void_due"
    VOIDED = "voided"
    REFUND_DUE = "refund_due"
    REFUNDED = "refunded"


class Failure(StrEnum):
    """Why an attempt did not end in a confirmed booking."""

    DECLINED = "declined"
    SEATS_GONE = "seats_gone"
    CAPTURE_REFUSED = "capture_refused"
    NO_ANSWER = "no_answer"


NEXT: Mapping[PaymentStatus, frozenset[PaymentStatus]] = {
    PaymentStatus.CREATED: frozenset({PaymentStatus.AUTHORIZED, PaymentStatus.VOID_DUE}),
    PaymentStatus.AUTHORIZED: frozenset({PaymentStatus.CAPTURE_DUE, PaymentStatus.VOID_DUE}),
    PaymentStatus.CAPTURE_DUE: frozenset({PaymentStatus.CAPTURED, PaymentStatus.VOID_DUE}),
    PaymentStatus.CAPTURED: frozenset({PaymentStatus.REFUND_DUE}),
    PaymentStatus.VOID_DUE: frozenset({PaymentStatus.VOIDED, PaymentStatus.REFUND_DUE}),
    # Both rest, unless the provider has had another word since: an authorisation that succeeded
    # after all, a refund that came back. Then the money is given back again.
    PaymentStatus.VOIDED: frozenset({PaymentStatus.VOID_DUE}),
    PaymentStatus.REFUND_DUE: frozenset({PaymentStatus.REFUNDED}),
    PaymentStatus.REFUNDED: frozenset({PaymentStatus.REFUND_DUE}),
}
# The way of one that succeeds.
ONWARD: Mapping[PaymentStatus, PaymentStatus] = {
    PaymentStatus.CREATED: PaymentStatus.AUTHORIZED,
    PaymentStatus.AUTHORIZED: PaymentStatus.CAPTURE_DUE,
    PaymentStatus.CAPTURE_DUE: PaymentStatus.CAPTURED,
}
# What can be in a row without a next look by the driver.
AT_REST = frozenset({PaymentStatus.CAPTURED, PaymentStatus.VOIDED, PaymentStatus.REFUNDED})


@dataclass(frozen=True, slots=True)
class NextAction:
    """What the payer must do before the provider goes on.

    `redirect`: open `url`. `use_sdk`: hand `client_secret` to the provider's library for browsers.
    """

    kind: str
    url: str | None
    client_secret: str | None


@dataclass(frozen=True, slots=True)
class Payment:
    """One attempt, under an id that the provider knows too.

    `token` is the provider's, kept until the attempt is at rest so that a crash can be recovered;
    `reference` is the provider's own id for the attempt, once heard; `next_action` is there while
    the payer has something to do. `provider` is whom it was begun with; None means the sandbox, as
    with every payment from before there was another.
    """

    id: str
    booking_id: str
    user_id: str
    idempotency_key: str | None
    request_digest: str | None
    status: PaymentStatus
    failure: Failure | None
    amount: Money
    token: str
    due_at: datetime | None
    attempts: int
    created_at: datetime
    reference: str | None = None
    next_action: NextAction | None = None
    ver: int = 1
    provider: str | None = None

    @property
    def refund(self) -> str | None:
        """`due` or `succeeded`; None when nothing is given back."""
        match self.status:
            case PaymentStatus.REFUND_DUE:
                return "due"
            case PaymentStatus.REFUNDED:
                return "succeeded"
            case _:
                return None
