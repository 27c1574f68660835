"""What the booking service counts, by the words of the trade."""

from __future__ import annotations

import pytest

from skyhold.booking import metrics
from skyhold.booking.metrics import MailOutcome, PaymentOutcome, RefundOutcome
from skyhold.booking.models.booking import NEXT, BookingStatus
from skyhold.booking.models.payment import Failure
from support.prometheus import Since


@pytest.fixture
def since() -> Since:
    return Since()


def test_a_new_booking_comes_from_nowhere(since):
    metrics.booked(3)
    assert since("skyhold_booking_moves_total", old="none", new="held") == 3


@pytest.mark.parametrize(("old", "new"), [(old, new) for old in NEXT for new in sorted(NEXT[old])])
def test_every_legal_move_is_counted(since, old, new):
    metrics.moved(old, new)
    assert since("skyhold_booking_moves_total", old=old, new=new) == 1


def test_a_move_that_is_not_legal_is_a_mistake_of_ours():
    with pytest.raises(KeyError):
        metrics.moved(BookingStatus.CANCELLED, BookingStatus.CONFIRMED)


@pytest.mark.parametrize("outcome", [*PaymentOutcome, *Failure])
def test_payments_are_counted_by_outcome(since, outcome):
    metrics.payment(outcome)
    assert since("skyhold_payments_total", outcome=outcome) == 1


@pytest.mark.parametrize("outcome", RefundOutcome)
def test_refunds_are_counted_by_outcome(since, outcome):
    metrics.refund(outcome)
    assert since("skyhold_refunds_total", outcome=outcome) == 1


@pytest.mark.parametrize("outcome", MailOutcome)
def test_e_mails_are_counted_by_outcome(since, outcome):
    metrics.email(outcome)
    assert since("skyhold_emails_total", outcome=outcome) == 1


@pytest.mark.parametrize(("many", "stuck"), [(False, 0), (True, 1)])
def test_steps_that_fail_are_counted_and_those_of_rows_that_fail_for_long_apart(since, many, stuck):
    metrics.postponed("payment", "refund_due", many=many)
    assert since("skyhold_driver_postponed_total", what="payment", step="refund_due") == 1
    assert since("skyhold_driver_stuck_total", what="payment") == stuck
