"""A payment as the public sees it, beside its booking."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, Field

from skyhold.booking.models.payment import Failure, NextAction, Payment, PaymentStatus
from skyhold.kernel.money import WireMoney


class RefundOut(BaseModel):
    """Money that is given back: `due` until the provider has done it."""

    status: Literal["due", "succeeded"]
    amount: WireMoney


class PublicPaymentStatus(StrEnum):
    """Where a payment stands, as a customer needs to know it."""

    CREATED = "created"
    AUTHORIZED = "authorized"
    CAPTURE_DUE = "capture_due"
    CAPTURED = "captured"
    VOID_DUE = "void_due"
    VOIDED = "voided"


class NextActionOut(BaseModel):
    """What the payer has to do before the payment goes on.

    `redirect`: open `url`. `use_sdk`: hand `client_secret` to the provider's library for browsers.
    """

    type: Literal["redirect", "use_sdk"]
    url: str | None
    client_secret: str | None

    @classmethod
    def of(cls, action: NextAction) -> NextActionOut:
        """The public form of what is to be done."""
        return cls(type=action.kind, url=action.url, client_secret=action.client_secret)  # type: ignore[arg-type]


class PaymentOut(BaseModel):
    """The last attempt to pay, and its refund."""

    id: str
    status: PublicPaymentStatus
    amount: WireMoney
    failure: Failure | None = Field(description="Why it did not pay for the booking")
    refund: RefundOut | None
    next_action: NextActionOut | None = Field(
        description="What its payer has to do now; null when the payment waits for nobody"
    )

    @classmethod
    def of(cls, payment: Payment) -> PaymentOut:
        """The public form of a payment: a refund is told beside it, not instead of it."""
        amount = WireMoney.of(payment.amount)
        action = payment.next_action
        refunded = payment.status in {PaymentStatus.REFUND_DUE, PaymentStatus.REFUNDED}
        status = PaymentStatus.CAPTURED if refunded else payment.status
        refund = RefundOut(status=payment.refund, amount=amount) if payment.refund else None  # type: ignore[arg-type]
        return cls(
            id=payment.id,
            status=PublicPaymentStatus(status),
            amount=amount,
            failure=payment.failure,
            refund=refund,
            next_action=None if action is None else NextActionOut.of(action),
        )
