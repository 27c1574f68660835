"""Each mistake that is planted is found, by the law that is there for it."""

from __future__ import annotations

import pytest

from . import laws, step_laws
from .mutations import Mutation
from .scenarios import AIRLINE, BOOKING, CLOCK, KEYLESS, PAYING

# Where each is planted, and the law that finds it there.
FOUND = {
    Mutation.RELEASE_UNDER_A_KEY: (
        BOOKING,
        laws.nobody_gives_back_the_seats_of_a_booking_not_yet_paid,
    ),
    Mutation.UNFENCED_RELEASE: (BOOKING, laws.claimed_seats_are_the_seats_of_live_holds),
    Mutation.CAPTURE_BEFORE_CONFIRM: (PAYING, laws.money_is_taken_only_for_confirmed_seats),
    Mutation.CANCEL_WHILE_PAYING: (
        PAYING,
        laws.a_payment_in_progress_is_that_of_a_paying_booking,
    ),
    Mutation.VOID_WITHOUT_TOMBSTONE: (PAYING, laws.what_rests_with_us_rests_at_the_provider),
    Mutation.AUTHORISED_AND_CONFIRMED_AT_ONCE: (
        PAYING,
        laws.seats_are_confirmed_only_for_an_authorised_payment,
    ),
    Mutation.DELETE_WITHOUT_TOMBSTONE: (KEYLESS, laws.what_was_given_back_is_not_held_again),
    Mutation.RELEASE_TAKES_CONFIRMED: (PAYING, laws.money_is_taken_only_for_confirmed_seats),
    Mutation.CONFIRM_AFTER_THE_END: (CLOCK, step_laws.nobody_confirms_a_hold_whose_time_is_up),
    Mutation.CONFIRM_ON_CANCELLED_FLIGHT: (
        AIRLINE,
        step_laws.nobody_confirms_seats_on_a_cancelled_flight,
    ),
    Mutation.SWEEP_UNGUARDED: (PAYING, step_laws.a_hold_leaves_held_once_and_never_comes_back),
    Mutation.RESOLD_WITHOUT_ENDING: (CLOCK, laws.a_seat_has_one_live_owner),
    Mutation.REQUEST_NOT_COMPARED: (BOOKING, laws.a_booking_has_what_it_asked_for),
    Mutation.RECORD_WITHOUT_UNIQUE_KEY: (BOOKING, laws.one_key_has_one_booking),
    Mutation.RELEASE_AFTER_UNKNOWN_COMMIT: (
        KEYLESS,
        laws.nobody_gives_back_the_seats_of_a_booking_not_yet_paid,
    ),
    Mutation.DEADLINE_FROM_AFTER_THE_CALL: (
        CLOCK,
        laws.until_its_deadline_a_booking_has_its_hold,
    ),
    Mutation.PAY_AFTER_THE_DEADLINE: (CLOCK, step_laws.a_payment_begins_only_before_the_deadline),
    Mutation.PAY_READ_THEN_WRITE: (PAYING, step_laws.bookings_move_only_as_the_protocol_draws_it),
    Mutation.EXPIRE_READ_THEN_WRITE: (
        PAYING,
        laws.a_payment_in_progress_is_that_of_a_paying_booking,
    ),
    Mutation.EXPIRE_BEFORE_THE_DEADLINE: (
        CLOCK,
        step_laws.a_booking_expires_unpaid_only_after_its_deadline,
    ),
    Mutation.DECLINED_WITHOUT_VOID: (PAYING, laws.what_rests_with_us_rests_at_the_provider),
    Mutation.VOID_IGNORES_CAPTURED: (PAYING, laws.what_rests_with_us_rests_at_the_provider),
    Mutation.CANCEL_WITHOUT_REFUND: (PAYING, laws.money_is_taken_only_for_confirmed_seats),
    Mutation.NEVER_RELEASED: (PAYING, laws.an_ended_booking_that_is_settled_has_no_seats),
    Mutation.GIVE_UP_NEVER: (PAYING, laws.every_booking_comes_to_its_end),
    Mutation.NEWS_DONE_AT_ONCE: (
        AIRLINE,
        laws.a_change_is_done_only_when_everybody_has_heard_of_it,
    ),
    Mutation.NEWS_READ_TOO_EARLY: (
        AIRLINE,
        laws.a_change_is_done_only_when_everybody_has_heard_of_it,
    ),
    Mutation.NEWS_READ_IN_TWO: (
        AIRLINE,
        laws.a_change_is_done_only_when_everybody_has_heard_of_it,
    ),
    Mutation.NEWS_DONE_UNGUARDED: (
        AIRLINE,
        laws.a_change_is_done_only_when_everybody_has_heard_of_it,
    ),
    Mutation.RECORD_WITHOUT_WAKING: (
        AIRLINE,
        laws.a_change_is_done_only_when_everybody_has_heard_of_it,
    ),
}
HARMLESS = {Mutation.GIVE_UP_WITHOUT_ASKING}


@pytest.mark.parametrize("mutation", FOUND, ids=lambda mutation: mutation.name.lower())
def test_a_planted_mistake_is_found_by_its_law(mutation):
    scenario, law = FOUND[mutation]
    violation = scenario.explore(mutation).violation
    assert violation is not None, f"nobody noticed: {mutation.value}"
    told = violation.law.replace("_", " ")
    print(f"\n| {mutation.value} | {scenario.name} | {told} | {len(violation.story)} |", end="")
    assert violation.law == law.__name__, str(violation)


def test_every_mistake_has_its_test():
    assert set(FOUND) | HARMLESS == set(Mutation)


def test_giving_up_without_asking_the_flight_service_would_do_no_harm():
    """The compare-and-set on the payment is arbiter enough; asking frees the seats at once."""
    assert PAYING.explore(Mutation.GIVE_UP_WITHOUT_ASKING).violation is None


def test_the_shortest_way_to_a_broken_law_is_told_as_a_story():
    story = str(PAYING.explore(Mutation.CAPTURE_BEFORE_CONFIRM).violation).splitlines()
    assert story[:-1] == [
        "  1. Alice's booking is to be paid, by payment 1.",
        "  2. The provider is asked to authorise payment 1: authorized.",
        "  3. A driver that was answered 'yes' to 'authorise' writes it down for payment 1.",
        "  4. The provider is asked to capture payment 1: captured.",
        "This breaks the law: money is taken only for confirmed seats.",
    ]
    assert story[-1].startswith("The state: World(now=0, flight='goes', holds=(Hold(")
