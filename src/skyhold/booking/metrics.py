"""What the booking service counts. The kernel counts requests, calls, transactions by itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from skyhold.kernel.metrics import counter, highest_gauge

from .models.booking import NEXT, BookingStatus
from .models.payment import Failure

_MOVES = counter(
    "skyhold_booking_moves_total",
    "Bookings that went from one state to another; a new one comes from `none`",
    *("old", "new"),
)
_PAYMENTS = counter(
    "skyhold_payments_total",
    "Payments: started, captured, why they failed, voided (also those captured too late), and "
    "reopened, because the provider had another word after they were at rest",
    "outcome",
)
_REFUNDS = counter("skyhold_refunds_total", "Refunds: due, and refunded", "outcome")
_SIGN_INS = counter("skyhold_sign_ins_total", "Sign-ins: succeeded or failed", "outcome")
_REFRESHES = counter(
    "skyhold_session_refreshes_total",
    "Refresh tokens that were shown: succeeded, unknown, of a session that has ended, or reused",
    "outcome",
)
_EMAILS = counter(
    "skyhold_emails_total",
    "E-mails: sent, postponed (to be tried again), refused for good, or skipped",
    "outcome",
)
_WEBHOOKS = counter(
    "skyhold_webhooks_total",
    "Webhooks of the payment provider: a payment was woken, repeated, ignored as nothing of ours, "
    "or refused for its signature",
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
_DISAGREEMENTS = highest_gauge(
    "skyhold_audit_disagreements", "What the last audit found in disagreement, by its kind", "kind"
)
_AUDITS = counter(
    "skyhold_audits_total",
    "Audits: compared all there is, not_compared because somebody did not answer, or failed",
    "outcome",
)
_AUDIT_DURATION = highest_gauge("skyhold_audit_duration_seconds", "How long the last audit took")
_AUDIT_FINISHED = highest_gauge(
    "skyhold_audit_last_finished_timestamp_seconds",
    "When the last audit ended (Unix time), 0 if this process has made none",
)


class PaymentOutcome(StrEnum):
    """What can become of a payment besides the failures."""

    STARTED = "started"
    CAPTURED = "captured"
    VOIDED = "voided"
    CAPTURED_LATE = "captured_late"
    REOPENED = "reopened"


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


class WebhookOutcome(StrEnum):
    """What a webhook came to."""

    WOKEN = "woken"
    REPEATED = "repeated"
    IGNORED = "ignored"
    REFUSED = "refused"


# Bound beforehand: telling is cheap then, and what has not happened yet is shown as a zero.
_moves = {(old, new): _MOVES.labels(old, new) for old, news in NEXT.items() for new in news}
_new = _MOVES.labels("none", BookingStatus.HELD)
_payments = {outcome: _PAYMENTS.labels(outcome) for outcome in (*PaymentOutcome, *Failure)}
_refunds = {outcome: _REFUNDS.labels(outcome) for outcome in RefundOutcome}
_sign_ins = {outcome: _SIGN_INS.labels(outcome) for outcome in ("succeeded", "failed")}
_emails = {outcome: _EMAILS.labels(outcome) for outcome in MailOutcome}
_webhooks = {outcome: _WEBHOOKS.labels(outcome) for outcome in WebhookOutcome}
_audits = {outcome: _AUDITS.labels(outcome) for outcome in ("compared", "not_compared", "failed")}
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


def refresh(outcome: str) -> None:
    """A refresh token was shown: succeeded, unknown, ended or reused."""
    _REFRESHES.labels(outcome).inc()


def sign_in(*, succeeded: bool) -> None:
    """Somebody tried to log in."""
    _sign_ins["succeeded" if succeeded else "failed"].inc()


def email(outcome: MailOutcome) -> None:
    """A letter got somewhere, or not."""
    _emails[outcome].inc()


def webhook(outcome: WebhookOutcome) -> None:
    """The provider has called."""
    _webhooks[outcome].inc()


def postponed(what: str, step: str, *, many: bool) -> None:
    """The driver could not take a booking or a payment further; `many` times before already."""
    _POSTPONED.labels(what, step).inc()
    if many:
        _stuck[what].inc()


def audited(found: Mapping[str, int]) -> None:
    """An audit found so many disagreements of each kind; those of none are told too."""
    for kind, count in found.items():
        _DISAGREEMENTS.labels(kind).set(count)


def audit_ended(outcome: str) -> None:
    """An audit came to its end, or not."""
    _audits[outcome].inc()


def audit_finished(seconds: float, at: datetime) -> None:
    """How long it took, and until when."""
    _AUDIT_DURATION.set(seconds)
    _AUDIT_FINISHED.set(at.timestamp())
