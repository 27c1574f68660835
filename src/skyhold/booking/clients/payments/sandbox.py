"""The sandbox provider: no money, but everything else a provider does, in a ledger of its own.

The token decides what happens:

    tok_visa             authorised, then captured
    tok_declined         declined
    tok_capture_refused  authorised, then the capture is refused
    tok_slow             as tok_visa, but the answer to the authorisation takes some seconds
    tok_never            the authorisation never answers

Any other token is declined. The ledger is a SQLite file, so it survives a restart and can be
shared by several processes, as a real provider is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import BigInteger, insert, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from skyhold.kernel.client import Unknown
from skyhold.kernel.clock import Clock
from skyhold.kernel.columns import Instant, Key, metadata
from skyhold.kernel.db import Database, Duplicate, LostRace, Tx
from skyhold.kernel.money import Money

from .port import ProviderState

FOREVER_S = 86_400.0
TOKENS: Mapping[str, ProviderState] = {
    "tok_visa": ProviderState.AUTHORIZED,
    "tok_slow": ProviderState.AUTHORIZED,
    "tok_capture_refused": ProviderState.AUTHORIZED,
    "tok_never": ProviderState.PENDING,
}


class _Base(DeclarativeBase):
    metadata = metadata()


class SandboxPaymentRow(_Base):
    """What the provider knows of a payment."""

    __tablename__ = "sandbox_payments"

    id: Mapped[str] = mapped_column(Key(36), primary_key=True)
    token: Mapped[str] = mapped_column(Key(255))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Key(3))
    state: Mapped[str] = mapped_column(Key(16))
    changed_at: Mapped[datetime] = mapped_column(Instant)


class SandboxProvider:
    """Implements the provider port over a ledger of its own."""

    def __init__(self, db: Database, clock: Clock, *, slow_s: float) -> None:
        self._db = db
        self._clock = clock
        self._slow_s = slow_s
        self._ready = False

    async def authorise(self, payment_id: str, amount: Money, token: str) -> ProviderState:
        """Reserve the amount, as the token says."""
        wanted = TOKENS.get(token, ProviderState.DECLINED)
        state = await self._open(payment_id, amount, token, wanted)
        if state is ProviderState.PENDING:
            await asyncio.sleep(FOREVER_S)
        if token == "tok_slow":  # noqa: S105 - a test token
            await asyncio.sleep(self._slow_s)
        return state

    async def capture(self, payment_id: str) -> ProviderState:
        """Collect the reserved amount, unless the token says that this is refused."""
        return await self._advance(
            payment_id,
            {ProviderState.AUTHORIZED: ProviderState.CAPTURED},
            refused_for="tok_capture_refused",
        )

    async def cancel(self, payment_id: str) -> ProviderState:
        """Drop the reservation; of an unknown payment, remember that it must never be made."""
        unknown = await self.get(payment_id) is None
        if unknown:
            # An authorisation that is still on its way finds this row, and is refused by it.
            nothing = Money(0, "USD")
            await self._open(payment_id, nothing, "", ProviderState.CANCELLED)
        return await self._advance(
            payment_id,
            dict.fromkeys(
                (
                    ProviderState.PENDING,
                    ProviderState.AUTHORIZED,
                    ProviderState.DECLINED,
                    ProviderState.CAPTURE_REFUSED,
                ),
                ProviderState.CANCELLED,
            ),
        )

    async def refund(self, payment_id: str) -> ProviderState:
        """Give the captured amount back."""
        return await self._advance(payment_id, {ProviderState.CAPTURED: ProviderState.REFUNDED})

    async def get(self, payment_id: str) -> ProviderState | None:
        """Where the payment stands."""
        await self._create_ledger()
        async with self._db.read() as tx:
            state = await tx.scalar(
                select(SandboxPaymentRow.state).where(SandboxPaymentRow.id == payment_id)
            )
        return None if state is None else ProviderState(state)

    async def close(self) -> None:
        """Close the ledger."""
        await self._db.close()

    async def _open(
        self, payment_id: str, amount: Money, token: str, state: ProviderState
    ) -> ProviderState:
        """Write a new payment; the state of the one that is there already, if there is one."""
        await self._create_ledger()
        row = {
            "id": payment_id,
            "token": token,
            "amount_minor": amount.minor,
            "currency": amount.currency,
            "state": state,
            "changed_at": self._clock.now(),
        }
        try:
            await self._db.transact(lambda tx: tx.run(insert(SandboxPaymentRow), [row]))
        except Duplicate:
            known = await self.get(payment_id)
            assert known is not None, "the ledger forgets nothing"
            return known
        return state

    async def _advance(
        self,
        payment_id: str,
        moves: Mapping[ProviderState, ProviderState],
        refused_for: str | None = None,
    ) -> ProviderState:
        """Move the payment if it is where a move begins; the state it has then."""
        await self._create_ledger()

        async def advance(tx: Tx) -> ProviderState:
            row = await tx.row(
                select(SandboxPaymentRow.__table__).where(SandboxPaymentRow.id == payment_id)
            )
            if row is None:
                msg = "no such payment in this ledger; do all processes share DATA_DIR?"
                raise Unknown(msg)
            old = ProviderState(row.state)
            new = moves.get(old)
            if new is None:
                return old
            if refused_for is not None and row.token == refused_for:
                new = ProviderState.CAPTURE_REFUSED
            moved = await tx.run(
                update(SandboxPaymentRow)
                .where(SandboxPaymentRow.id == payment_id, SandboxPaymentRow.state == old)
                .values(state=new, changed_at=self._clock.now())
            )
            if moved != 1:
                raise LostRace
            return new

        return await self._db.transact(advance)

    async def _create_ledger(self) -> None:
        if not self._ready:
            await self._db.run_sync(_Base.metadata.create_all)
            self._ready = True
