"""What may be wrong with seats and money: each function breaks one law of a little run."""

from __future__ import annotations

from .little_run import FLIGHT, NOON
from .wrongs import Wrongs

WRONGS = Wrongs()


@WRONGS.breaks("one_owner")
def two_confirmed_holds_have_one_seat(run):
    run.booking("e", "confirmed", "1A")


@WRONGS.breaks("one_owner")
def a_seat_was_sold_while_its_buyer_had_it(run):
    run.line("history", f="book", key="key-a", type="ok")["body"]["segments"][0]["seats"] = ["1B"]
    for table, id_ in (("bookings", "a"), ("holds", "a")):
        run.row(table, id=id_)["segments"][0]["seats"] = ["1B"]


@WRONGS.breaks("one_owner")
def the_sampler_saw_two_owners(run):
    run.sample("one_owner", "two at once")


@WRONGS.breaks("claims_match")
def a_sold_seat_is_not_claimed(run):
    run.remove("seat_claims", hold_id="a")


@WRONGS.breaks("claims_match")
def a_seat_stays_claimed_after_its_hold_ended(run):
    run.rows["seat_claims"].append({"flight_id": FLIGHT, "seat": "1B", "hold_id": "b"})


@WRONGS.breaks("claims_match")
def the_sampler_saw_a_claim_without_a_hold(run):
    run.sample("claims_match", "a claim of nobody's")


@WRONGS.breaks("no_seat_stuck")
def a_cancelled_booking_keeps_its_hold(run):
    run.row("holds", id="c")["status"] = "confirmed"


@WRONGS.breaks("no_seat_stuck")
def a_hold_outlives_its_time(run):
    run.row("holds", id="b")["status"] = "held"
    run.remove("bookings", id="b")


@WRONGS.breaks("seat_kept")
def a_confirmed_booking_has_lost_its_hold(run):
    run.row("holds", id="a")["status"] = "expired"
    run.row("holds", id="a")["resolved_at"] = NOON + 13


@WRONGS.breaks("seat_kept")
def a_hold_expires_before_its_time(run):
    run.row("holds", id="b")["resolved_at"] = NOON + 11


@WRONGS.breaks("seat_kept")
def a_promised_seat_was_released(run):
    run.row("holds", id="d").update(status="released", resolved_at=NOON + 3)
    run.row("payments", id="pd")["failure"] = "seats_gone"


@WRONGS.breaks("seat_kept")
def the_sampler_saw_a_booking_without_its_hold(run):
    run.sample("seat_kept", "its hold is gone")


@WRONGS.breaks("steps_in_order")
def the_sampler_saw_seats_made_final_too_early(run):
    run.sample("steps_in_order", "confirmed, and not authorised")


@WRONGS.breaks("ended_is_ended")
def a_late_put_revives_a_hold(run):
    run.journals["wire"][2]["status"] = 201


@WRONGS.breaks("ended_is_ended")
def a_hold_lives_on_after_it_was_released(run):
    run.row("holds", id="b")["resolved_at"] = NOON + 20


@WRONGS.breaks("ended_is_ended")
def a_release_leaves_no_tombstone(run):
    path = "/api/v1/holds/nobody"
    line = {"began": 3, "ended": 4, "method": "DELETE", "path": path, "status": 200}
    run.journals["wire"].append(line)


@WRONGS.breaks("money_for_seats")
def a_refund_was_forgotten(run):
    run.row("payments", id="pc")["status"] = "captured"
    run.row("sandbox_payments", id="pc")["state"] = "captured"
    run.remove("sandbox_entries", kind="refunded")


@WRONGS.breaks("money_for_seats")
def money_is_taken_from_somebody_who_never_had_a_seat(run):
    run.payment("px", "b", "refunded", "authorized", "captured", "refunded", failure="seats_gone")


@WRONGS.breaks("money_for_seats")
def the_provider_has_a_payment_of_nobody(run):
    run.rows["sandbox_payments"].append({"id": "px", "state": "authorized", "amount_minor": 1})


@WRONGS.breaks("sold_is_paid")
def a_booking_is_confirmed_for_nothing(run):
    run.row("sandbox_payments", id="pa")["state"] = "authorized"


@WRONGS.breaks("sold_is_paid")
def a_booking_is_paid_with_less_than_it_costs(run):
    run.row("sandbox_payments", id="pa")["amount_minor"] -= 1


@WRONGS.breaks("charged_once")
def a_booking_is_paid_twice(run):
    run.payment("px", "a", "refunded", "authorized", "captured", "refunded")


@WRONGS.breaks("charged_once")
def a_payment_is_refunded_twice(run):
    entry = dict(run.row("sandbox_entries", kind="refunded"), seq=99)
    run.rows["sandbox_entries"].append(entry)


@WRONGS.breaks("books_agree")
def a_void_left_the_money_reserved(run):
    run.row("sandbox_payments", id="pd")["state"] = "authorized"


@WRONGS.breaks("books_agree")
def the_sums_differ(run):
    run.remove("sandbox_entries", payment_id="pc", kind="captured")
