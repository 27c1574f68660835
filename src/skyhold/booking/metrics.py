"""What the booking service counts. The kernel counts requests, calls, transactions by itself."""

from __future__ import annotations

from enum import StrEnum

from skyhold.kernel.metrics import counter

from .models.booking import NEXT, BookingStatus
from .models.payment import Failure

_MOVES = counter(
    "skyhold_booking_moves_total",
    "Bookings that went from one state to another; a new one comes from `none`",
    *("old", "new"),
)
_PAYMENTS = counter(
    "skyhold_payments_total",
    "Payments: started, captured, why they failed, and voided (also those captured too late)",
    "outcome",
)
_REFUNDS = counter("skyhold_refunds_total", "Refunds: due, and refunded", "outcome")
_SIGN_INS = counter("skyhold_sign_ins_total", "Sign-ins: succeeded or failed", "outcome")
_EMAILS = counter(
    "skyhold_emails_total",
    "E-mails: sent, postponed (to be tried again), refused for good, or skipped",
    "outcome",
)
_POSTPONED = counter(
    "skyhold_driver_postponed_total", "Steps of the driver that did not succeed", *("what", "step")
)
_STUCK = counter(
    "skyhold_driver_stuck_total",
    "Steps that did not succeed, of rows that had been tried many times before",
    "what",
)


class PaymentOutcome(StrEnum):
    """What can become of a payment besides the failures."""

    STARTED = "started"
    CAPTURED = "captured"
    VOIDED = "voided"
    CAPTURED_LATE = "captured_late"


class RefundOutcome(StrEnum):
    """A refund is decided first, and done at the provider later."""

    DUE = "due"
    REFUNDED = "refunded"


class MailOutcome(StrEnum):
    """What can become of a letter."""

    SENT = "sent"
    POSTPONED = "postponed"
    REFUSED = "refused"
    SKIPPED = "skipped"


# Bound beforehand: telling is cheap then, and what has not happened yet is shown as a zero.
_moves = {(old, new): _MOVES.labels(old, new) for old, news in NEXT.items() for new in news}
_new = _MOVES.labels("none", BookingStatus.HELD)
_payments = {outcome: _PAYMENTS.labels(outcome) for outcome in (*PaymentOutcome, *Failure)}
_refunds = {outcome: _REFUNDS.labels(outcome) for outcome in RefundOutcome}
_sign_ins = {outcome: _SIGN_INS.labels(outcome) for outcome in ("succeeded", "failed")}
_emails = {outcome: _EMAILS.labels(outcome) for outcome in MailOutcome}
_stuck = {what: _STUCK.labels(what) for what in ("booking", "payment")}


def booked(count: int = 1) -> None:
    """So many bookings were written, held."""
    _new.inc(count)


def moved(old: BookingStatus, new: BookingStatus) -> None:
    """A booking went from one state to another, and that is committed."""
    _moves[old, new].inc()


def payment(outcome: PaymentOutcome | Failure) -> None:
    """A payment got somewhere."""
    _payments[outcome].inc()


def refund(outcome: RefundOutcome) -> None:
    """A refund was decided, or done."""
    _refunds[outcome].inc()


def sign_in(*, succeeded: bool) -> None:
    """Somebody tried to log in."""
    _sign_ins["succeeded" if succeeded else "failed"].inc()


def email(outcome: MailOutcome) -> None:
    """A letter got somewhere, or not."""
    _emails[outcome].inc()


def postponed(what: str, step: str, *, many: bool) -> None:
    """The driver could not take a booking or a payment further; `many` times before already."""
    _POSTPONED.labels(what, step).inc()
    if many:
        _stuck[what].inc()
