"""Somebody says that a payment has changed: look now, and believe nobody but the provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from skyhold.booking import metrics
from skyhold.booking.clients.payments.port import PaymentProvider, ProviderState, charge_for
from skyhold.booking.metrics import PaymentOutcome, RefundOutcome
from skyhold.booking.models.payment import AT_REST, Payment, PaymentStatus
from skyhold.booking.repositories import booking_moves, payments
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, Tx
from skyhold.kernel.logging import get_logger

from .notes import note_money_due
from .patience import about, answered_within

log = get_logger(__name__)

# What a payment at rest becomes when the provider has money after all that is not ours to keep.
REOPENED: Mapping[tuple[PaymentStatus, ProviderState], PaymentStatus] = {
    (PaymentStatus.VOIDED, ProviderState.AUTHORIZED): PaymentStatus.VOID_DUE,
    (PaymentStatus.VOIDED, ProviderState.CAPTURED): PaymentStatus.VOID_DUE,
    (PaymentStatus.REFUNDED, ProviderState.CAPTURED): PaymentStatus.REFUND_DUE,
}


@dataclass(frozen=True, slots=True)
class Waker:
    """What webhooks, the audit and late answers call. Twice or out of order does no harm."""

    db: Database
    provider: PaymentProvider
    clock: Clock
    provider_timeout_s: float

    async def wake(self, payment_id: str) -> bool:
        """Let the driver look at a payment now; False when there is no such payment.

        One at rest is compared with what the provider has. Raises Unknown when that does not
        answer; whoever called had better call again.
        """
        async with self.db.read() as tx:
            payment = await payments.by_id(tx, payment_id)
        if payment is None:
            return False
        if payment.status in AT_REST:
            await self._compare(payment)
        else:
            await self._hasten(payment)
        return True

    async def doubt(self, payment_id: str) -> None:
        """The provider said yes to a payment that has moved on meanwhile; was it too late?"""
        async with self.db.read() as tx:
            payment = await payments.by_id(tx, payment_id)
        if payment is not None and payment.status in AT_REST:
            await self._compare(payment)

    async def _hasten(self, payment: Payment) -> None:
        """Its next look, and that of the booking it pays for, is now. Nothing else changes."""
        now = self.clock.now()

        async def hasten(tx: Tx) -> None:
            await payments.hasten(tx, payment, now=now)
            await booking_moves.hasten(tx, payment.booking_id, payment.id, now=now)

        await self.db.transact(hasten)

    async def _compare(self, payment: Payment) -> None:
        if payment.status not in {status for status, _ in REOPENED}:
            return
        with about(payment.booking_id):
            async with answered_within(self.provider_timeout_s):
                answer = await self.provider.get(charge_for(self.provider, payment))
            new = None if answer is None else REOPENED.get((payment.status, answer.state))
            if new is not None:
                await self._reopen(payment, new)

    async def _reopen(self, payment: Payment, new: PaymentStatus) -> None:
        """The money is on its way back again, by the same steps as the first time."""
        now = self.clock.now()

        async def reopen(tx: Tx) -> bool:
            moved = await payments.move(
                tx, payment.id, payment.status, new, due_at=now, ver=payment.ver
            )
            if moved:
                await note_money_due(tx, payment, new, now)
            return moved

        if await self.db.transact(reopen):
            metrics.payment(PaymentOutcome.REOPENED)
            if new is PaymentStatus.REFUND_DUE:
                metrics.refund(RefundOutcome.DUE)
            log.error("payment.reopened", payment_id=payment.id, was=payment.status, now=new)
