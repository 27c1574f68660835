"""The model's booking service decides as the real one: its tables of states and its next step."""

from __future__ import annotations

from dataclasses import replace

from skyhold.booking.models import booking as real_booking
from skyhold.booking.models import payment as real_payment
from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.payment import AT_REST, PaymentStatus

from . import booking_rules
from .laws import RESTS_AS
from .real_rows import GIVE_UP_AFTER_S, a_booking, a_payment, a_user, moment
from .scenarios import ALL, CLOCK
from .world import GIVE_UP_AFTER, NEVER, WINDOW

# A moment before the deadline, the deadline itself, and that of giving up; the deadline is at 0.
LATE = {0: -1, 1: 0, 2: GIVE_UP_AFTER}


def names(table):
    return {old.value: {new.value for new in followers} for old, followers in table.items()}


def test_bookings_and_payments_move_as_the_real_ones_may():
    assert names(real_booking.NEXT) == booking_rules.BOOKING_NEXT
    assert names(real_payment.NEXT) == booking_rules.PAYMENT_NEXT
    assert set(RESTS_AS) == {status.value for status in AT_REST}


def real_step(booking, payment, *, deadline: int, now: int):
    ours = a_booking(a_user(), deadline=moment(deadline))
    theirs = None if payment is None else a_payment(ours, PaymentStatus(payment.status))
    ours = replace(
        ours,
        status=BookingStatus(booking.status),
        active_payment_id=None if theirs is None else theirs.id,
        hold_open=booking.hold_open,
    )
    return real_booking.next_step(ours, theirs, moment(now), give_up_after_s=GIVE_UP_AFTER_S)


def test_the_next_step_of_every_booking_that_there_can_be_is_the_real_one(seen):
    files = {file._replace(now=0) for scenario in ALL for file in seen[scenario.name].files}
    cases = {(file.booking._replace(deadline=NEVER, body=""), file.active) for file in files}
    for booking, payment in cases:
        for late, now in LATE.items():
            step = booking_rules.next_step(booking, payment, late)
            real = real_step(booking, payment, deadline=0, now=now)
            assert NAMES[real] == step, f"{booking} {payment} {late}"
    assert len(cases) >= 9


NAMES = {
    None: None,
    real_booking.Step.EXPIRE: "expire",
    real_booking.Step.AUTHORISE: "authorise",
    real_booking.Step.GIVE_UP: "give_up",
    real_booking.Step.CONFIRM_SEATS: "confirm",
    real_booking.Step.CAPTURE: "capture",
    real_booking.Step.RELEASE: "release",
}


def test_with_a_clock_a_booking_is_late_when_the_real_one_is(seen):
    files = seen[CLOCK.name].files
    for now, booking, _ in {(file.now, file.booking, file.active) for file in files}:
        world = CLOCK.bounds.start._replace(now=now)
        (late,) = booking_rules.lateness(world, booking, GIVE_UP_AFTER)
        payment = next(f.active for f in files if f.booking == booking and f.now == now)
        step = booking_rules.next_step(booking, payment, late)
        assert NAMES[real_step(booking, payment, deadline=booking.deadline, now=now)] == step
    assert {file.booking.deadline for file in files} >= {WINDOW, WINDOW + 1}
