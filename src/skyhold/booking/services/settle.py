"""Giving money back: voids and refunds, decided before, done at the provider until they succeed."""

from __future__ import annotations

from dataclasses import dataclass

from skyhold.booking import metrics
from skyhold.booking.clients.payments.port import PaymentProvider, ProviderState, charge_for
from skyhold.booking.metrics import PaymentOutcome, RefundOutcome
from skyhold.booking.models.log import SYSTEM, Detail
from skyhold.booking.models.payment import Payment, PaymentStatus
from skyhold.booking.repositories import booking_moves, payments
from skyhold.kernel.client import Unknown
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database, Tx
from skyhold.kernel.errors import Unavailable
from skyhold.kernel.failpoints import reach
from skyhold.kernel.logging import get_logger

from .events import Chronicle, Happened
from .notes import note_money_due
from .patience import SET_ASIDE, about, answered_within, later, report

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Settler:
    """Carries voids and refunds out; safe to run in any number of places at once."""

    db: Database
    provider: PaymentProvider
    chronicle: Chronicle
    clock: Clock
    provider_timeout_s: float

    async def advance(self, payment_id: str) -> bool:
        """Void or refund a payment that is due for it; False when that is not possible yet."""
        now = self.clock.now()
        try:
            async with self.db.read() as tx:
                payment = await payments.by_id(tx, payment_id)
        except Unavailable:  # the database's trouble, not the row's: it is still due
            return False
        except Exception:
            log.exception("payment.unreadable", payment_id=payment_id)
            await self.db.transact(
                lambda tx: payments.set_aside(tx, payment_id, now=now, due_at=later(now, SET_ASIDE))
            )
            return False
        if payment is None:
            return False
        with about(payment.booking_id):
            return await self._settle(payment)

    async def _settle(self, payment: Payment) -> bool:
        try:
            match payment.status:
                case PaymentStatus.VOID_DUE:
                    await self._void(payment)
                case PaymentStatus.REFUND_DUE:
                    await self._refund(payment)
                case _:
                    return False
        except Exception as error:  # noqa: BLE001 - whatever it was, the row must not come first again
            await self._postpone(payment, error)
            return False
        return True

    async def _postpone(self, payment: Payment, error: Exception) -> None:
        report("payment", payment.id, payment.attempts, payment.status, error)
        due_at = later(self.clock.now(), payment.attempts)

        async def postpone(tx: Tx) -> None:
            await payments.postpone(tx, payment, due_at=due_at)
            reach("settle.in_postpone")

        await self.db.transact(postpone)
        reach("settle.postponed")

    async def _void(self, payment: Payment) -> None:
        async with answered_within(self.provider_timeout_s):
            reach("void.before_cancel")
            answer = await self.provider.cancel(charge_for(self.provider, payment))
            reach("void.cancel_answered")
        now = self.clock.now()
        if answer.state is ProviderState.CAPTURED:
            log.warning("payment.captured_late", payment_id=payment.id)
            new = PaymentStatus.REFUND_DUE
        elif answer.state in {ProviderState.CANCELLED, ProviderState.REFUNDED}:
            new = PaymentStatus.VOIDED
        else:
            msg = f"the provider says {answer.state} to a cancellation"
            raise Unknown(msg)
        old, heard = PaymentStatus.VOID_DUE, answer.reference

        async def void(tx: Tx) -> bool:
            moved = await payments.move(
                tx, payment.id, old, new, due_at=now, reference=heard, ver=payment.ver
            )
            if moved and new is PaymentStatus.REFUND_DUE:
                await note_money_due(tx, payment, new, now)
            reach("void.in_void")
            return moved

        if await self.db.transact(void):
            reach("void.voided")
            late = new is PaymentStatus.REFUND_DUE
            metrics.payment(PaymentOutcome.CAPTURED_LATE if late else PaymentOutcome.VOIDED)
            if late:
                metrics.refund(RefundOutcome.DUE)

    async def _refund(self, payment: Payment) -> None:
        async with answered_within(self.provider_timeout_s):
            reach("refund.before_refund")
            answer = await self.provider.refund(charge_for(self.provider, payment))
            reach("refund.refund_answered")
        if answer.state is not ProviderState.REFUNDED:
            # CAPTURED is a refund that has failed or is under way: owed still, so asked for again.
            msg = f"the provider says {answer.state} to a refund"
            raise Unknown(msg)
        now = self.clock.now()

        async def refunded(tx: Tx) -> bool:
            old, new = PaymentStatus.REFUND_DUE, PaymentStatus.REFUNDED
            moved = await payments.move(tx, payment.id, old, new, due_at=now, ver=payment.ver)
            if moved:
                await booking_moves.touch(tx, payment.booking_id)
                given_back = Detail(payment_id=payment.id, refund=payment.amount)
                await self.chronicle.tell(
                    tx, payment.booking_id, Happened.PAYMENT_REFUNDED, by=SYSTEM, detail=given_back
                )
            reach("refund.in_refund")
            return moved

        if await self.db.transact(refunded):
            reach("refund.refunded")
            metrics.refund(RefundOutcome.REFUNDED)
            log.info("payment.refunded", payment_id=payment.id)
