"""The states of bookings and payments: what may follow what, and what is to be done next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from skyhold.booking.models import booking as of_bookings
from skyhold.booking.models import payment as of_payments
from skyhold.booking.models.booking import Booking, BookingStatus, Step, next_step
from skyhold.booking.models.payment import AT_REST, Payment, PaymentStatus
from skyhold.contracts.holds import Cabin, HeldSegment
from skyhold.kernel.money import Money, WireMoney

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
DEADLINE = NOON + timedelta(minutes=15)
DEPARTURE = NOON + timedelta(days=2)
GIVE_UP_S = 60
GIVEN_UP = DEADLINE + timedelta(seconds=GIVE_UP_S)
JUST = timedelta(microseconds=1)


def a_booking(status: BookingStatus, *, hold_open: bool = True) -> Booking:
    segment = HeldSegment(
        flight_id="UA1545-2026-12-03-EWR",
        flight_number="UA1545",
        origin="EWR",
        destination="IAH",
        departing_at=DEPARTURE,
        arriving_at=DEPARTURE + timedelta(hours=4),
        cabin=Cabin.ECONOMY,
        seats=["12A"],
        fare=WireMoney(amount="129.00", currency="USD"),
    )
    return Booking(
        id="b",
        user_id="u",
        record_locator="K7Q3MX",
        idempotency_key=None,
        request_digest=None,
        status=status,
        segments=(segment,),
        passengers=(),
        total=Money(12_900, "USD"),
        payment_required_by=DEADLINE,
        active_payment_id="p" if status is BookingStatus.PAYING else None,
        hold_open=hold_open,
        due_at=NOON,
        attempts=0,
        ver=1,
        created_at=NOON,
    )


def a_payment(status: PaymentStatus) -> Payment:
    return Payment(
        id="p",
        booking_id="b",
        user_id="u",
        idempotency_key=None,
        request_digest=None,
        status=status,
        failure=None,
        amount=Money(12_900, "USD"),
        token="tok_visa",
        due_at=NOON,
        attempts=0,
        created_at=NOON,
    )


def edges(table):
    return {(old.value, new.value) for old, followers in table.items() for new in followers}


def test_a_booking_moves_as_the_protocol_draws_it():
    assert edges(of_bookings.NEXT) == {
        ("held", "paying"),
        ("held", "expired"),
        ("held", "cancelled"),
        ("paying", "held"),
        ("paying", "confirmed"),
        ("paying", "expired"),
        ("paying", "cancelled"),
        ("confirmed", "cancelled"),
    }


def test_a_payment_moves_as_the_protocol_draws_it():
    assert edges(of_payments.NEXT) == {
        ("created", "authorized"),
        ("created", "void_due"),
        ("authorized", "capture_due"),
        ("authorized", "void_due"),
        ("capture_due", "captured"),
        ("capture_due", "void_due"),
        ("captured", "refund_due"),
        ("void_due", "voided"),
        ("void_due", "refund_due"),
        ("voided", "void_due"),
        ("refund_due", "refunded"),
        ("refunded", "refund_due"),
    }


@pytest.mark.parametrize("table", [of_bookings.NEXT, of_payments.NEXT], ids=["booking", "payment"])
def test_every_state_has_its_place_in_the_table_and_none_follows_itself(table):
    kind = type(next(iter(table)))
    assert set(table) == set(kind)
    assert not any(state in followers for state, followers in table.items())


def test_money_rests_only_where_nothing_is_owed_to_anybody():
    assert {status.value for status in AT_REST} == {"captured", "voided", "refunded"}


MOMENTS = {
    "in time": DEADLINE - JUST,
    "at the deadline": DEADLINE,
    "a little late": GIVEN_UP - JUST,
    "too late": GIVEN_UP,
}
# What is to be done for a booking, with its active payment, at which moments.
TO_DO = {
    "held": {"in time": None, "at the deadline": "expire", "too late": "expire"},
    "paying, created": {
        "in time": "authorise",
        "at the deadline": "authorise",
        "a little late": "authorise",
        "too late": "give_up",
    },
    "paying, authorized": dict.fromkeys(MOMENTS, "confirm_seats"),
    "paying, capture_due": dict.fromkeys(MOMENTS, "capture"),
    "paying, captured": dict.fromkeys(MOMENTS),
    "paying, void_due": dict.fromkeys(MOMENTS),
    "paying, voided": dict.fromkeys(MOMENTS),
    "paying, refund_due": dict.fromkeys(MOMENTS),
    "paying, refunded": dict.fromkeys(MOMENTS),
    "confirmed": dict.fromkeys(MOMENTS),
    "expired": dict.fromkeys(MOMENTS, "release"),
    "cancelled": dict.fromkeys(MOMENTS, "release"),
}


@pytest.mark.parametrize(
    ("state", "moment", "step"),
    [(state, moment, step) for state, steps in TO_DO.items() for moment, step in steps.items()],
)
def test_what_is_to_be_done_follows_from_what_is_kept(state, moment, step):
    status, _, payment = state.partition(", ")
    active = a_payment(PaymentStatus(payment)) if payment else None
    booking = a_booking(BookingStatus(status))
    found = next_step(booking, active, MOMENTS[moment], give_up_after_s=GIVE_UP_S)
    assert found == (step and Step(step))


def test_the_table_above_has_every_state():
    alone = {status.value for status in BookingStatus} - {"paying"}
    assert set(TO_DO) == alone | {f"paying, {status.value}" for status in PaymentStatus}


@pytest.mark.parametrize("status", [BookingStatus.EXPIRED, BookingStatus.CANCELLED])
def test_once_its_seats_are_given_back_nothing_is_left_to_do(status):
    ended = a_booking(status, hold_open=False)
    assert next_step(ended, None, GIVEN_UP, give_up_after_s=GIVE_UP_S) is None


@pytest.mark.parametrize("status", [s for s in BookingStatus if s is not BookingStatus.PAYING])
@pytest.mark.parametrize("payment", PaymentStatus)
def test_a_payment_that_is_not_the_active_one_decides_nothing(status, payment):
    booking = a_booking(status)
    alone = next_step(booking, None, GIVEN_UP, give_up_after_s=GIVE_UP_S)
    assert next_step(booking, a_payment(payment), GIVEN_UP, give_up_after_s=GIVE_UP_S) == alone


def test_paying_with_nothing_is_our_own_mistake():
    with pytest.raises(AssertionError):
        next_step(a_booking(BookingStatus.PAYING), None, NOON, give_up_after_s=GIVE_UP_S)


@pytest.mark.parametrize(
    ("status", "now", "actions"),
    [
        ("held", NOON, ["pay", "cancel"]),
        ("held", DEADLINE - JUST, ["pay", "cancel"]),
        ("held", DEADLINE, ["cancel"]),
        ("paying", NOON, []),
        ("confirmed", NOON, ["cancel"]),
        ("confirmed", DEPARTURE - JUST, ["cancel"]),
        ("confirmed", DEPARTURE, []),
        ("expired", NOON, []),
        ("cancelled", NOON, []),
    ],
)
def test_what_its_owner_may_do(status, now, actions):
    assert a_booking(BookingStatus(status)).available_actions(now) == actions


def test_a_journey_begins_with_its_first_flight():
    booking = a_booking(BookingStatus.CONFIRMED)
    onward = booking.segments[0].model_copy(update={"departing_at": DEPARTURE + timedelta(days=7)})
    there_and_back = replace(booking, segments=(*booking.segments, onward))
    assert there_and_back.available_actions(DEPARTURE) == []


@pytest.mark.parametrize("status", PaymentStatus)
def test_a_refund_is_due_and_then_it_has_succeeded(status):
    refunds = {PaymentStatus.REFUND_DUE: "due", PaymentStatus.REFUNDED: "succeeded"}
    assert a_payment(status).refund == refunds.get(status)
