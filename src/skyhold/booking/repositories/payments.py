"""Payments: attempts to pay, and refunds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Row,
    and_,
    bindparam,
    case,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)

from skyhold.booking.models.payment import (
    AT_REST,
    NEXT,
    ONWARD,
    Failure,
    NextAction,
    Payment,
    PaymentStatus,
)
from skyhold.booking.models.tables import PaymentRow
from skyhold.kernel.columns import Instant, Key
from skyhold.kernel.db import ReadTx, Tx
from skyhold.kernel.money import Money

_ADD = insert(PaymentRow)
_BY_ID = select(PaymentRow.__table__).where(PaymentRow.id == bindparam("payment"))


def _are(old: PaymentStatus) -> ColumnElement[bool]:
    """Those that are named, under the name of a status, and have this status."""
    these: BindParameter[Sequence[str]] = bindparam(old.value, expanding=True)
    return and_(PaymentRow.id.in_(these), PaymentRow.status == old)


_LAST = PaymentRow.status == PaymentStatus.CAPTURE_DUE
_STEP_ALL = (
    update(PaymentRow)
    .where(or_(*map(_are, ONWARD)))
    .ordered_values(
        # What comes to rest needs its token no more, and nobody has to look at it again.
        (PaymentRow.token, case((_LAST, ""), else_=PaymentRow.token)),
        (PaymentRow.due_at, case((_LAST, null()), else_=bindparam("due", type_=Instant))),
        (PaymentRow.attempts, 0),
        (PaymentRow.next_action, None),
        (PaymentRow.ver, PaymentRow.ver + 1),
        # Last: MySQL does one after the other, and those above ask for the status it was.
        (
            PaymentRow.status,
            case(
                {old: literal(new, Key) for old, new in ONWARD.items()},
                value=PaymentRow.status,
            ),
        ),
    )
)
# No payment has this id. A list without any is, to MySQL, a question of its own for each row.
_NOBODY = [""]


async def add(tx: Tx, *attempts: Payment) -> None:
    """Write new attempts. Raises Duplicate when an id or idempotency key is there already."""
    await tx.run(_ADD, [_values(payment) for payment in attempts])


async def by_id(tx: ReadTx, payment_id: str) -> Payment | None:
    """One attempt."""
    rows = await tx.rows(_BY_ID, {"payment": payment_id})
    return _payment(rows[0]) if rows else None


async def by_key(tx: ReadTx, user_id: str, key: str) -> Payment | None:
    """The attempt that this user made under this idempotency key."""
    row = await tx.row(
        select(PaymentRow.__table__).where(
            PaymentRow.user_id == user_id, PaymentRow.idempotency_key == key
        )
    )
    return None if row is None else _payment(row)


async def latest(tx: ReadTx, booking_ids: Collection[str]) -> dict[str, Payment]:
    """The last attempt of each of these bookings that has one."""
    if not booking_ids:
        return {}
    rows = await tx.rows(
        select(PaymentRow.__table__)
        .where(PaymentRow.booking_id.in_(booking_ids))
        .order_by(PaymentRow.created_at, PaymentRow.id)
    )
    return {row.booking_id: _payment(row) for row in rows}


async def of_booking(tx: ReadTx, booking_id: str) -> list[Payment]:
    """Every attempt to pay for this booking, the first one first."""
    rows = await tx.rows(
        select(PaymentRow.__table__)
        .where(PaymentRow.booking_id == booking_id)
        .order_by(PaymentRow.created_at, PaymentRow.id)
    )
    return [_payment(row) for row in rows]


async def captured(tx: ReadTx, booking_id: str) -> Payment | None:
    """The attempt that paid for this booking."""
    row = await tx.row(
        select(PaymentRow.__table__).where(
            PaymentRow.booking_id == booking_id, PaymentRow.status == PaymentStatus.CAPTURED
        )
    )
    return None if row is None else _payment(row)


async def owing(tx: ReadTx, booking_id: str) -> list[Payment]:
    """Attempts of this booking whose void or refund is still to be done."""
    rows = await tx.rows(
        select(PaymentRow.__table__).where(
            PaymentRow.booking_id == booking_id,
            PaymentRow.status.in_([PaymentStatus.VOID_DUE, PaymentStatus.REFUND_DUE]),
        )
    )
    return [_payment(row) for row in rows]


async def due(tx: ReadTx, now: datetime, limit: int) -> list[str]:
    """The ids of attempts whose void or refund is due, the longest overdue first."""
    rows = await tx.rows(
        select(PaymentRow.id)
        .where(
            PaymentRow.due_at <= now,
            PaymentRow.status.in_([PaymentStatus.VOID_DUE, PaymentStatus.REFUND_DUE]),
        )
        .order_by(PaymentRow.due_at)
        .limit(limit)
    )
    return [row.id for row in rows]


async def move(
    tx: Tx,
    payment_id: str,
    old: PaymentStatus,
    new: PaymentStatus,
    *,
    due_at: datetime,
    failure: Failure | None = None,
    reference: str | None = None,
    ver: int | None = None,
) -> bool:
    """Compare and set. Of all concurrent callers exactly one gets True.

    `reference` is the provider's own id, where its answer has told us. `ver` is for states that may
    come back: it must still be the row that was read, not a later life of the attempt.
    """
    assert new in NEXT[old], f"{old} -> {new}"
    values: dict[str, Any] = {
        "status": new,
        "due_at": None if new in AT_REST else due_at,
        "attempts": 0,
        "next_action": None,
        "ver": PaymentRow.ver + 1,
    }
    if failure is not None:
        values["failure"] = failure
    if reference is not None:
        values["provider_ref"] = reference
    if new in AT_REST:
        values["token"] = ""  # nothing will ever be authorised with it again
    guarded = update(PaymentRow).where(PaymentRow.id == payment_id, PaymentRow.status == old)
    if ver is not None:
        guarded = guarded.where(PaymentRow.ver == ver)
    return await tx.run(guarded.values(values)) == 1


async def step_all(tx: Tx, attempts: Iterable[Payment], *, due_at: datetime) -> int:
    """Many at once, each one step further, none with a new reference.

    Compare and set for each of them; answers how many have moved.
    """
    by_status: dict[str, list[str]] = {old.value: [] for old in ONWARD}
    for payment in attempts:
        by_status[payment.status].append(payment.id)
    named = {status: ids or _NOBODY for status, ids in by_status.items()}
    return await tx.run(_STEP_ALL, values=named | {"due": due_at})


async def hear(tx: Tx, payment: Payment) -> bool:
    """Note the reference and the next action of an attempt, which stays where it is."""
    moved = await tx.run(
        update(PaymentRow)
        .where(PaymentRow.id == payment.id, PaymentRow.status == payment.status)
        .values(
            provider_ref=payment.reference,
            next_action=None if payment.next_action is None else asdict(payment.next_action),
            ver=PaymentRow.ver + 1,
        )
    )
    return moved == 1


async def hasten(tx: Tx, payment: Payment, *, now: datetime) -> bool:
    """Look at it now rather than later, unless it has moved on meanwhile."""
    moved = await tx.run(
        update(PaymentRow)
        .where(PaymentRow.id == payment.id, PaymentRow.status == payment.status)
        .values(due_at=now)
    )
    return moved == 1


async def postpone(tx: Tx, payment: Payment, *, due_at: datetime) -> bool:
    """Look again at `due_at`, unless the attempt has moved on, or was woken, since it was read."""
    moved = await tx.run(
        update(PaymentRow)
        .where(
            PaymentRow.id == payment.id,
            PaymentRow.ver == payment.ver,
            PaymentRow.due_at == payment.due_at,
        )
        .values(due_at=due_at, attempts=PaymentRow.attempts + 1, ver=PaymentRow.ver + 1)
    )
    return moved == 1


async def set_aside(tx: Tx, payment_id: str, *, now: datetime, due_at: datetime) -> bool:
    """Look again at `due_at` at a row that cannot even be read, so that it does not come first."""
    moved = await tx.run(
        update(PaymentRow)
        .where(PaymentRow.id == payment_id, PaymentRow.due_at <= now)
        .values(due_at=due_at, attempts=PaymentRow.attempts + 1)
    )
    return moved == 1


def _payment(row: Row[Any]) -> Payment:
    return Payment(
        id=row.id,
        booking_id=row.booking_id,
        user_id=row.user_id,
        idempotency_key=row.idempotency_key,
        request_digest=row.request_digest,
        status=PaymentStatus(row.status),
        failure=None if row.failure is None else Failure(row.failure),
        amount=Money(row.amount_minor, row.currency),
        token=row.token,
        due_at=row.due_at,
        attempts=row.attempts,
        created_at=row.created_at,
        reference=row.provider_ref,
        next_action=None if row.next_action is None else NextAction(**row.next_action),
        ver=row.ver,
        provider=row.provider,
    )


def _values(payment: Payment) -> dict[str, Any]:
    return {
        "id": payment.id,
        "booking_id": payment.booking_id,
        "user_id": payment.user_id,
        "idempotency_key": payment.idempotency_key,
        "request_digest": payment.request_digest,
        "status": payment.status,
        "failure": payment.failure,
        "amount_minor": payment.amount.minor,
        "currency": payment.amount.currency,
        "token": payment.token,
        "due_at": payment.due_at,
        "attempts": payment.attempts,
        "ver": payment.ver,
        "created_at": payment.created_at,
        "provider": payment.provider,
        "provider_ref": payment.reference,
    }
