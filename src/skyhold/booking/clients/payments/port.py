"""What the booking service needs of a payment provider.

Every call names our own payment id, so it may be repeated; whatever happened before, the answer is
the state the provider has now. No answer, a late one or an unclear one is Unknown, and changes
nothing on our side.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from skyhold.kernel.money import Money


class ProviderState(StrEnum):
    """Where a payment stands at the provider."""

    PENDING = "pending"
    AUTHORIZED = "authorized"
    DECLINED = "declined"
    CAPTURED = "captured"
    CAPTURE_REFUSED = "capture_refused"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


class PaymentProvider(Protocol):
    """Authorises, captures, cancels and refunds. Each call raises Unknown without an answer."""

    async def authorise(self, payment_id: str, amount: Money, token: str) -> ProviderState:
        """Reserve the amount. AUTHORIZED, DECLINED, or CANCELLED when a cancel came first."""
        ...

    async def capture(self, payment_id: str) -> ProviderState:
        """Collect the reserved amount. CAPTURED or CAPTURE_REFUSED."""
        ...

    async def cancel(self, payment_id: str) -> ProviderState:
        """Drop the reservation, also one that has not arrived yet.

        CANCELLED, or CAPTURED when it is too late for that and a refund is needed.
        """
        ...

    async def refund(self, payment_id: str) -> ProviderState:
        """Give the whole captured amount back. REFUNDED."""
        ...

    async def get(self, payment_id: str) -> ProviderState | None:
        """Where it stands; None when the provider has never heard of it."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
