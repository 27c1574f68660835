"""Bookings and payments, and what the provider says of these: which of them agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from skyhold.booking.clients.payments.port import ProviderState
from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.facts import OWING, UNDER_WAY, BookingFacts, PaymentFacts
from skyhold.booking.models.payment import PaymentStatus
from skyhold.booking.services.wake import REOPENED
from skyhold.kernel.money import Money

from .case import Case, Limits
from .kinds import Finding, Kind, Repair

# The provider has money of the payer's, or may take it.
HAS_MONEY = frozenset({ProviderState.AUTHORIZED, ProviderState.CAPTURED})
MOVED_MONEY = HAS_MONEY | {ProviderState.REFUNDED}


def judge_money(case: Case, limits: Limits) -> Iterator[Finding]:
    """What disagrees within the booking database."""
    booking = case.booking
    if booking is None:
        return
    if _is_stuck(booking, limits):
        yield _of_booking(booking, Kind.BOOKING_STUCK, _hurry(booking, limits), _waits(booking))
    yield from _captured(booking, case.payments)
    if booking.status is BookingStatus.PAYING:
        active = case.active
        if active is None or active.status not in UNDER_WAY:
            how = "missing" if active is None else active.status
            says = f"booking paying, its payment {how}"
            yield _of_booking(booking, Kind.PAYING_ADRIFT, Repair.PERSON, says)
    for payment in case.payments:
        if payment.status in UNDER_WAY and payment.id != booking.active_payment_id:
            yield _adrift(booking, case.payments, payment)
        if payment.status in OWING and limits.is_late(payment.due_at, payment.attempts):
            says = f"payment {payment.status}, {_since(payment.due_at, payment.attempts)}"
            ahead = payment.due_at is not None and payment.due_at > limits.now
            repair = Repair.WAKE_PAYMENT if ahead else Repair.WAIT
            yield _of_payment(booking, payment, Kind.PAYMENT_STUCK, repair, says)


def judge_there(
    booking: BookingFacts | None,
    payment: PaymentFacts,
    state: ProviderState | None,
    charged: Money | None,
) -> Iterator[Finding]:
    """What disagrees with the provider about one payment; `charged` is the amount it names."""
    kind, repair = _disagreement(payment.status, state)
    if kind is not None:
        says = f"payment {payment.status} here, {state or 'not known'} there"
        yield _of_payment(booking, payment, kind, repair, says)
    if not same_amount(payment, state, charged):
        says = f"{payment.amount} here, {charged} there"
        yield _of_payment(booking, payment, Kind.AMOUNTS_DIFFER, Repair.PERSON, says)


def agrees(status: PaymentStatus, state: ProviderState | None) -> bool:
    """Whether a payment can rest here and stand so there."""
    return _disagreement(status, state)[0] is None


def same_amount(payment: PaymentFacts, state: ProviderState | None, charged: Money | None) -> bool:
    """Whether the provider moved what was agreed; where it moved nothing, any amount will do."""
    return charged is None or state not in MOVED_MONEY or charged == payment.amount


def _disagreement(status: PaymentStatus, state: ProviderState | None) -> tuple[Kind | None, Repair]:
    match status:
        case PaymentStatus.CAPTURED if state is ProviderState.REFUNDED:
            return Kind.REFUNDED_THERE, Repair.PERSON
        case PaymentStatus.CAPTURED if state is not ProviderState.CAPTURED:
            return Kind.NOT_CAPTURED_THERE, Repair.PERSON
        case PaymentStatus.VOIDED | PaymentStatus.REFUNDED if state in HAS_MONEY:
            reopens = (status, state) in REOPENED
            return Kind.MONEY_STILL_THERE, Repair.WAKE_PAYMENT if reopens else Repair.PERSON
        case _:  # at rest it agrees; on its way, the driver asks the provider by itself
            return None, Repair.WAIT


def _is_stuck(booking: BookingFacts, limits: Limits) -> bool:
    match booking.status:
        case BookingStatus.CONFIRMED:
            return False
        case BookingStatus.HELD:
            return limits.is_late(
                booking.due_at, booking.attempts, not_before=booking.payment_required_by
            )
        case BookingStatus.PAYING:
            give_up_at = booking.payment_required_by + timedelta(seconds=limits.give_up_after_s)
            return limits.is_over(give_up_at) or limits.is_late(booking.due_at, booking.attempts)
        case BookingStatus.EXPIRED | BookingStatus.CANCELLED:
            return booking.hold_open and limits.is_late(booking.due_at, booking.attempts)


def _hurry(booking: BookingFacts, limits: Limits) -> Repair:
    """What is due already needs a worker, not another date."""
    is_due = booking.due_at is not None and booking.due_at <= limits.now
    return Repair.WAIT if is_due else Repair.LOOK_NOW


def _captured(booking: BookingFacts, payments: Sequence[PaymentFacts]) -> Iterator[Finding]:
    captured = [payment for payment in payments if payment.status is PaymentStatus.CAPTURED]
    if booking.status is not BookingStatus.CONFIRMED:
        for payment in captured:
            # Of one that is still to be paid, somebody has to say what was meant.
            repair = Repair.REFUND if booking.has_ended else Repair.PERSON
            says = f"booking {booking.status}, payment captured"
            yield _of_payment(booking, payment, Kind.MONEY_KEPT, repair, says)
        return
    if not captured:
        yield _of_booking(booking, Kind.CONFIRMED_UNPAID, Repair.PERSON, "no payment captured")
        return
    if captured[0].amount != booking.total:
        says = f"captured {captured[0].amount} of {booking.total}"
        yield _of_payment(booking, captured[0], Kind.AMOUNTS_DIFFER, Repair.PERSON, says)
    for payment in captured[1:]:
        says = f"captured, and so was {captured[0].id}"
        yield _of_payment(booking, payment, Kind.PAID_TWICE, Repair.REFUND, says)


def _adrift(
    booking: BookingFacts, payments: Sequence[PaymentFacts], payment: PaymentFacts
) -> Finding:
    # It may be the one that paid for a confirmed booking, if no other did.
    paid = any(one.status is PaymentStatus.CAPTURED for one in payments)
    may_go = paid or booking.status is not BookingStatus.CONFIRMED
    says = f"payment {payment.status}, booking {booking.status}"
    repair = Repair.VOID if may_go else Repair.PERSON
    return _of_payment(booking, payment, Kind.PAYMENT_ADRIFT, repair, says)


def _waits(booking: BookingFacts) -> str:
    seats = ", its seats still to be given back" if booking.has_ended else ""
    return f"booking {booking.status}{seats}, {_since(booking.due_at, booking.attempts)}"


def _since(due_at: object, attempts: int) -> str:
    return f"due {due_at or 'never'}, after {attempts} attempts"


def _of_booking(booking: BookingFacts, kind: Kind, repair: Repair, says: str) -> Finding:
    return Finding(kind, says, repair, booking_id=booking.id, record_locator=booking.record_locator)


def _of_payment(
    booking: BookingFacts | None, payment: PaymentFacts, kind: Kind, repair: Repair, says: str
) -> Finding:
    return Finding(
        kind,
        says,
        repair,
        booking_id=payment.booking_id,
        record_locator=None if booking is None else booking.record_locator,
        payment_id=payment.id,
    )
