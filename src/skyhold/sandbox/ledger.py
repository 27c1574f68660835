"""The sandbox provider itself. The token decides what happens:

    tok_visa             authorised, then captured
    tok_declined         declined
    tok_capture_refused  authorised, then the capture is refused
    tok_refund_fails     as tok_visa, but the first refund fails; the next one succeeds
    tok_3ds              the payer has to approve it first, on the sandbox's own page
    tok_slow             as tok_visa, but the answer to the authorisation takes some seconds
    tok_never            the authorisation never answers

Any other token is declined. The ledger is a SQLite file, so it survives a restart and can be
shared by several processes, as a real provider is.
"""  # noqa: D415 - the table is the promise

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Executable,
    Row,
    bindparam,
    case,
    exists,
    insert,
    literal,
    select,
    type_coerce,
    update,
)

from skyhold.kernel.batcher import Batcher
from skyhold.kernel.clock import Clock
from skyhold.kernel.columns import Instant, Key
from skyhold.kernel.db import Database, Duplicate, Tx
from skyhold.kernel.money import Money

from .moves import BY_PAYER, MOVES, Op, State
from .tables import CallRow, PaymentRow, prepare

FOREVER_S = 86_400.0


OPENS: Mapping[str, State] = {
    "tok_visa": State.AUTHORIZED,
    "tok_slow": State.AUTHORIZED,
    "tok_capture_refused": State.AUTHORIZED,
    "tok_refund_fails": State.AUTHORIZED,
    "tok_3ds": State.REQUIRES_ACTION,
    "tok_never": State.PENDING,
}


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment; `challenge` is the page for its payer, while that is awaited."""

    id: str
    state: State
    amount: Money
    created_at: datetime
    challenge: str | None = None


_Work: TypeAlias = Callable[[Tx], Awaitable[Payment | None]]


class Ledger:
    """Every operation answers the state that the payment then has, however often it is asked for.

    An operation on a payment that nobody has made answers None, apart from a cancellation: that is
    remembered, and the payment will never be made. `page_url` is where the pages for payers are.
    """

    def __init__(self, db: Database, clock: Clock, *, slow_s: float, page_url: str) -> None:
        self._db = db
        self._clock = clock
        self._slow_s = slow_s
        self._page_url = page_url.rstrip("/")
        self._ready = False
        self._writes: Batcher[_Work, Payment | None] = Batcher(self._write_all, name="sandbox")

    async def authorise(self, id: str, amount: Money, token: str) -> Payment:
        """Reserve the amount, as the token says."""
        state = OPENS.get(token, State.DECLINED)
        payment = await self._make(id, amount, state, token)
        if payment.state is State.PENDING:
            await asyncio.sleep(FOREVER_S)
        if token == "tok_slow":  # noqa: S105 - a test token
            await asyncio.sleep(self._slow_s)
        return payment

    async def capture(self, id: str) -> Payment | None:
        """Collect the reserved amount, unless the token says that this is refused."""
        return await self._do(Op.CAPTURE, id)

    async def cancel(self, id: str) -> Payment:
        """Drop the reservation; one that is still on its way finds this row, and is refused."""
        tombstone = self._new(id, Money(0, "USD"), State.CANCELLED)
        payment = await self._do(Op.CANCEL, id, tombstone)
        assert payment is not None, "the ledger forgets nothing"
        return payment

    async def refund(self, id: str) -> Payment | None:
        """Give the captured amount back."""
        return await self._do(Op.REFUND, id)

    async def approve(self, id: str) -> Payment | None:
        """The payer agrees."""
        return await self._do(Op.APPROVE, id)

    async def refuse(self, id: str) -> Payment | None:
        """The payer does not."""
        return await self._do(Op.REFUSE, id)

    async def get(self, id: str) -> Payment | None:
        """Where the payment stands."""
        await self.open()
        async with self._db.read() as tx:
            rows = await tx.rows(_GET, {"payment": id})
        return self._payment(rows[0]) if rows else None

    async def page(self, *, after: str, since: datetime | None, limit: int) -> Sequence[Payment]:
        """The payments with the next ids after this one, of those made since."""
        await self.open()
        found = select(PaymentRow.__table__).where(PaymentRow.id > after)
        if since is not None:
            found = found.where(PaymentRow.created_at >= since)
        async with self._db.read() as tx:
            rows = await tx.rows(found.order_by(PaymentRow.id).limit(limit))
        return [self._payment(row) for row in rows]

    async def open(self) -> None:
        """Make the ledger if it is not there yet."""
        if not self._ready:
            await self._db.run_sync(prepare, lock="sandbox")
            self._ready = True

    async def close(self) -> None:
        """Let everything that waits be written, and close the file."""
        await self._writes.close()
        await self._db.close()

    async def _write_all(self, batch: Sequence[_Work]) -> Sequence[Payment | None]:
        """What waits, in one transaction: a file is made to last once for all of it."""

        async def write(tx: Tx) -> Sequence[Payment | None]:
            return [await work(tx) for work in batch]

        return await self._db.transact(write)

    async def _make(self, id: str, amount: Money, state: State, token: str) -> Payment:
        """A new payment, or the one that is there already."""
        await self.open()
        new = self._new(id, amount, state)

        async def make(tx: Tx) -> Payment:
            await tx.run(_ADD, [_values(new, token, Op.AUTHORISE)])
            return new

        try:
            made = await self._writes.submit(make)
        except Duplicate:
            made = await self._do(Op.AUTHORISE, id)
        assert made is not None, "the ledger forgets nothing"
        return made

    async def _do(self, op: Op, id: str, tombstone: Payment | None = None) -> Payment | None:
        """One operation, in one statement: what is to be noted beside it, triggers write.

        `tombstone` is what to write when there is no such payment.
        """
        await self.open()
        now = self._clock.now()

        async def do(tx: Tx) -> Payment | None:
            rows = await tx.rows(_CHANGES[op], {"payment": id, "now": now})
            if rows:
                return self._payment(rows[0])
            if tombstone is not None:
                await tx.run(_ADD, [_values(tombstone, "", op)])
            elif op not in BY_PAYER:
                call = {"payment_id": id, "op": op, "answered": "unknown", "at": now}
                await tx.run(insert(CallRow), [call])
            return tombstone

        return await self._writes.submit(do)

    def _new(self, id: str, amount: Money, state: State) -> Payment:
        return Payment(id, state, amount, self._clock.now(), self._challenge(id, state))

    def _payment(self, row: Row[Any]) -> Payment:
        state, amount = State(row.state), Money(row.amount_minor, row.currency)
        return Payment(
            row.id,
            state,
            amount,
            row.created_at or row.changed_at,  # a process of version 0.1 leaves it out
            self._challenge(row.id, state),
        )

    def _challenge(self, id: str, state: State) -> str | None:
        waits = state is State.REQUIRES_ACTION
        return f"{self._page_url}/sandbox/challenges/{id}" if waits else None


def _changes(op: Op) -> dict[str, Any]:
    """What an operation makes of a payment, decided in the statement that writes it."""
    state, now = PaymentRow.state, bindparam("now", type_=Instant())
    moves = [(state == old, literal(new, Key)) for old, new in MOVES[op].items()]
    after = case(*_exceptions(op), *moves, else_=state) if moves else state
    changes: dict[str, Any] = {
        "state": after,
        "changed_at": case((after != state, now), else_=PaymentRow.changed_at),
    }
    if op not in BY_PAYER:
        changes |= {
            "calls": PaymentRow.calls + 1,
            "last_op": literal(op, Key),
            "asked_at": now,
        }
    return changes


def _exceptions(op: Op) -> list[tuple[ColumnElement[bool], ColumnElement[str]]]:
    """What some tokens do instead."""
    state, token = PaymentRow.state, PaymentRow.token
    if op is Op.CAPTURE:
        refused = (state == State.AUTHORIZED) & (token == "tok_capture_refused")  # noqa: S105
        return [(refused, literal(State.CAPTURE_REFUSED, Key))]
    if op is Op.REFUND:
        asked = exists().where(CallRow.payment_id == PaymentRow.id, CallRow.op == Op.REFUND)
        return [((token == "tok_refund_fails") & ~asked, type_coerce(state, Key))]  # noqa: S105
    return []


def _values(payment: Payment, token: str, op: Op) -> dict[str, Any]:
    return {
        "id": payment.id,
        "token": token,
        "amount_minor": payment.amount.minor,
        "currency": payment.amount.currency,
        "state": payment.state,
        "created_at": payment.created_at,
        "changed_at": payment.created_at,
        "calls": 1,
        "last_op": op,
        "asked_at": payment.created_at,
    }


_ADD = insert(PaymentRow)
_GET = select(PaymentRow.__table__).where(PaymentRow.id == bindparam("payment"))
_CHANGES: Mapping[Op, Executable] = {
    op: update(PaymentRow)
    .where(PaymentRow.id == bindparam("payment"))
    .values(_changes(op))
    .returning(*PaymentRow.__table__.c)
    for op in Op
}
