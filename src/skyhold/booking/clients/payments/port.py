"""What the booking service needs of a payment provider.

Every call names our own payment id, so it may be repeated; whatever happened before, the answer is
the state the provider has now. No answer, a late one or an unclear one is Unknown, and changes
nothing on our side.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from skyhold.booking.models.payment import NextAction, Payment
from skyhold.kernel.client import Unknown
from skyhold.kernel.money import Money

__all__ = [
    "Answer",
    "Charge",
    "Entry",
    "NextAction",
    "PaymentProvider",
    "ProviderState",
    "charge_for",
]


class ProviderState(StrEnum):
    """Where a payment stands at the provider.

    A refund that has failed, or is still under way, is CAPTURED: the money is not back yet.
    """

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    AUTHORIZED = "authorized"
    DECLINED = "declined"
    CAPTURED = "captured"
    CAPTURE_REFUSED = "capture_refused"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True)
class Charge:
    """One attempt to pay, as a provider is asked about it: our id for it, and what finds it again.

    `token` is empty once the attempt is at rest; `reference` is the provider's own id for it, once
    we have heard it.
    """

    id: str
    amount: Money
    token: str
    reference: str | None
    created_at: datetime

    @classmethod
    def of(cls, payment: Payment) -> Charge:
        """What the provider needs to know of this attempt."""
        return cls(payment.id, payment.amount, payment.token, payment.reference, payment.created_at)


def charge_for(provider: PaymentProvider, payment: Payment) -> Charge:
    """What this provider is asked about a payment; Unknown when it was begun with another one."""
    if (payment.provider or "sandbox") != provider.name:
        msg = f"begun with {payment.provider or 'sandbox'}, and here is {provider.name}"
        raise Unknown(msg)
    return Charge.of(payment)


@dataclass(frozen=True, slots=True)
class Answer:
    """The state a payment has now; with REQUIRES_ACTION, what its payer has to do."""

    state: ProviderState
    reference: str | None = None
    next_action: NextAction | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A payment as the provider's own books have it."""

    payment_id: str
    state: ProviderState
    amount: Money
    created_at: datetime
    reference: str | None


class PaymentProvider(Protocol):
    """Authorises, captures, cancels and refunds. Each call raises Unknown without an answer."""

    @property
    def name(self) -> str:
        """What the settings call it: `sandbox` or `stripe`."""
        ...

    async def authorise(self, charge: Charge) -> Answer:
        """Reserve the amount, or say how far an earlier request to do so has come.

        AUTHORIZED, DECLINED, REQUIRES_ACTION, or CANCELLED when a cancel came first; CAPTURED when
        it was collected long ago.
        """
        ...

    async def capture(self, charge: Charge) -> Answer:
        """Collect the reserved amount. CAPTURED, CAPTURE_REFUSED, or CANCELLED when it lapsed."""
        ...

    async def cancel(self, charge: Charge) -> Answer:
        """Drop the reservation, also one that has not arrived yet.

        CANCELLED, which is final; CAPTURED when it is too late for that and a refund is needed;
        REFUNDED when that has been done.
        """
        ...

    async def refund(self, charge: Charge) -> Answer:
        """Give the whole captured amount back.

        REFUNDED; CAPTURED when it has failed or is still under way, so it is to be asked for again.
        """
        ...

    async def get(self, charge: Charge) -> Answer | None:
        """Where it stands; None when the provider has never heard of it."""
        ...

    def ledger(self, since: datetime | None) -> AsyncIterator[Entry]:
        """Every payment the provider knows, or those made since; never all in memory at once."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
