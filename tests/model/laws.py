"""What must be so: in every world, and where nothing is left to be done; for steps: step_laws.py.

A law's name is its text: it is what a failing run prints.
"""

from __future__ import annotations

from .booking_rules import ENDED
from .engine import Laws
from .flight_rules import LIVE
from .step_laws import (
    a_booking_expires_unpaid_only_after_its_deadline,
    a_hold_leaves_held_once_and_never_comes_back,
    a_payment_begins_only_before_the_deadline,
    bookings_move_only_as_the_protocol_draws_it,
    nobody_confirms_a_hold_whose_time_is_up,
    nobody_confirms_seats_on_a_cancelled_flight,
    payments_move_only_as_the_protocol_draws_it,
)
from .world import KEYED, RIVAL, SEATS, WANTS, Hold, World

IN_PROGRESS = ("created", "authorized", "capture_due")
GOING_BACK = ("void_due", "refund_due")


def _is_live(hold: Hold | None) -> bool:
    return hold is not None and hold.status in LIVE


def _held_by(world: World) -> list[tuple[int, int]]:
    """Each seat that a live hold has, with whose it is."""
    return [
        (seat, id)
        for id, hold in enumerate(world.holds)
        if hold is not None and hold.status in LIVE
        for seat in WANTS[id, hold.body]
    ]


# --- seats ----------------------------------------------------------------------------------------


def a_seat_has_one_live_owner(world: World) -> bool:
    seats = [seat for seat, _ in _held_by(world)]
    return len(seats) == len(set(seats))


def claimed_seats_are_the_seats_of_live_holds(world: World) -> bool:
    held = dict(_held_by(world))
    return all(world.claims[seat] == held.get(seat) for seat in range(SEATS))


def what_was_given_back_is_not_held_again(world: World) -> bool:
    return not any(_is_live(world.holds[id]) for id in world.given_back)


def an_ended_booking_that_is_settled_has_no_seats(world: World) -> bool:
    return not any(
        booking is not None and not booking.hold_open and _is_live(world.holds[id])
        for id, booking in enumerate(world.bookings)
    )


# --- promises -------------------------------------------------------------------------------------


def nobody_gives_back_the_seats_of_a_booking_not_yet_paid(world: World) -> bool:
    """Once somebody has tried to pay, a clock that jumped may give up: see the law after it."""
    tried = {payment.of for payment in world.payments if payment is not None}
    return not any(
        booking is not None
        and booking.status == "held"
        and world.holds[id].status in {"released", "cancelled"}
        and id not in tried
        for id, booking in enumerate(world.bookings)
    )


def until_its_deadline_a_booking_has_its_hold(world: World) -> bool:
    return not any(
        booking is not None
        and booking.status in {"held", "paying"}
        and world.now < booking.deadline
        and not (_is_live(world.holds[id]) and world.now < world.holds[id].ends)
        for id, booking in enumerate(world.bookings)
    )


def a_booking_has_what_it_asked_for(world: World) -> bool:
    return not any(
        booking is not None and world.holds[id].body != booking.body
        for id, booking in enumerate(world.bookings)
    )


def one_key_has_one_booking(world: World) -> bool:
    return sum(world.bookings[id] is not None for id in KEYED) <= 1


def a_change_is_done_only_when_everybody_has_heard_of_it(world: World) -> bool:
    return world.news != "done" or not any(
        booking is not None and booking.status not in ENDED for booking in world.bookings
    )


# --- money ----------------------------------------------------------------------------------------


def money_is_taken_only_for_confirmed_seats(world: World) -> bool:
    """Or it is on its way back: a capture that was refused may succeed when it is repeated."""
    return not any(
        state == "captured"
        and world.payments[p].status not in GOING_BACK
        and world.holds[world.payments[p].of].status != "confirmed"
        for p, state in enumerate(world.provider)
    )


def a_confirmed_booking_is_paid_and_has_its_seats(world: World) -> bool:
    return not any(
        booking is not None
        and booking.status == "confirmed"
        and not (
            world.holds[id].status == "confirmed"
            and any(
                pay == ("captured", id) and world.provider[p] == "captured"
                for p, pay in enumerate(world.payments)
            )
        )
        for id, booking in enumerate(world.bookings)
    )


def seats_are_confirmed_only_for_an_authorised_payment(world: World) -> bool:
    """Or for a booking that has ended since, and whose seats are about to be given back."""
    for id, booking in enumerate(world.bookings):
        hold = world.holds[id]
        if id == RIVAL or hold is None or hold.status != "confirmed":
            continue
        if booking is None or booking.status == "held":
            return False
        if booking.status == "paying" and world.payments[booking.active].status == "created":
            return False
    return True


def a_payment_in_progress_is_that_of_a_paying_booking(world: World) -> bool:
    in_progress = {
        (payment.of, p)
        for p, payment in enumerate(world.payments)
        if payment is not None and payment.status in IN_PROGRESS
    }
    paying = {
        (id, booking.active)
        for id, booking in enumerate(world.bookings)
        if booking is not None and booking.status == "paying"
    }
    return in_progress == paying


def what_rests_with_us_rests_at_the_provider(world: World) -> bool:
    return not any(
        payment is not None
        and payment.status in RESTS_AS
        and world.provider[p] not in RESTS_AS[payment.status]
        for p, payment in enumerate(world.payments)
    )


RESTS_AS = {
    "voided": {"cancelled", "refunded"},
    "captured": {"captured"},
    "refunded": {"refunded"},
}


def nobody_is_charged_twice(world: World) -> bool:
    paid = [world.payments[p].of for p, s in enumerate(world.provider) if s == "captured"]
    kept = [of for p, of in enumerate(paid) if world.payments[p].status not in GOING_BACK]
    return len(kept) == len(set(kept))


# --- the end --------------------------------------------------------------------------------------


def every_booking_comes_to_its_end(world: World) -> bool:
    return not any(
        booking is not None
        and not (
            booking.status == "confirmed" or (booking.status in ENDED and not booking.hold_open)
        )
        for booking in world.bookings
    )


def every_payment_comes_to_rest(world: World) -> bool:
    return not any(
        payment is not None and payment.status not in RESTS_AS for payment in world.payments
    )


def the_provider_keeps_money_only_for_confirmed_bookings(world: World) -> bool:
    kept = sorted(
        world.payments[p].of
        for p, state in enumerate(world.provider)
        if state in {"authorized", "captured"}
    )
    confirmed = [
        id
        for id, booking in enumerate(world.bookings)
        if booking is not None and booking.status == "confirmed"
    ]
    return kept == confirmed


def seats_stay_taken_only_for_confirmed_bookings(world: World) -> bool:
    return not any(
        _is_live(hold)
        and not (id == RIVAL and hold.status == "confirmed")
        and (world.bookings[id] is None or world.bookings[id].status != "confirmed")
        for id, hold in enumerate(world.holds)
    )


def no_booking_is_left_on_a_cancelled_flight(world: World) -> bool:
    return world.flight == "goes" or all(
        booking is None or booking.status in ENDED for booking in world.bookings
    )


AT_REST = (
    every_booking_comes_to_its_end,
    every_payment_comes_to_rest,
    the_provider_keeps_money_only_for_confirmed_bookings,
    seats_stay_taken_only_for_confirmed_bookings,
    no_booking_is_left_on_a_cancelled_flight,
)
STEPS = (
    bookings_move_only_as_the_protocol_draws_it,
    payments_move_only_as_the_protocol_draws_it,
    a_hold_leaves_held_once_and_never_comes_back,
    nobody_confirms_seats_on_a_cancelled_flight,
)
ALWAYS = (
    a_seat_has_one_live_owner,
    claimed_seats_are_the_seats_of_live_holds,
    money_is_taken_only_for_confirmed_seats,
    a_confirmed_booking_is_paid_and_has_its_seats,
    one_key_has_one_booking,
    a_booking_has_what_it_asked_for,
    what_was_given_back_is_not_held_again,
    nobody_gives_back_the_seats_of_a_booking_not_yet_paid,
    an_ended_booking_that_is_settled_has_no_seats,
    a_change_is_done_only_when_everybody_has_heard_of_it,
    seats_are_confirmed_only_for_an_authorised_payment,
    a_payment_in_progress_is_that_of_a_paying_booking,
    nobody_is_charged_twice,
)

WITHOUT_A_CLOCK = Laws((*ALWAYS, what_rests_with_us_rests_at_the_provider), STEPS, AT_REST)
# What a provider comes to say of a voided attempt is heard later; at rest it must be put right.
WITH_A_FORGETFUL_PROVIDER = Laws(
    tuple(law for law in ALWAYS if law is not money_is_taken_only_for_confirmed_seats),
    STEPS,
    AT_REST,
)
WITH_A_CLOCK = Laws(
    (*WITHOUT_A_CLOCK.always, until_its_deadline_a_booking_has_its_hold),
    (
        *STEPS,
        nobody_confirms_a_hold_whose_time_is_up,
        a_booking_expires_unpaid_only_after_its_deadline,
        a_payment_begins_only_before_the_deadline,
    ),
    AT_REST,
)
