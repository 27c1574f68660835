"""What may be wrong with answers and events: each function breaks one law of a little run."""

from __future__ import annotations

from .little_run import NOON, shown
from .wrongs import Wrongs

WRONGS = Wrongs()


@WRONGS.breaks("nothing_lost")
def an_acknowledged_booking_is_gone(run):
    for table, column in (("bookings", "id"), ("booking_outbox", "subject")):
        run.remove(table, **{column: "b"})


@WRONGS.breaks("nothing_lost")
def an_acknowledged_booking_is_not_found(run):
    facts = {"status": 404, "code": "booking_not_found"}
    run.op("read", "fail", at=50, booking_id="a", **facts)


@WRONGS.breaks("nothing_lost")
def other_seats_were_promised(run):
    run.line("history", f="book", key="key-a", type="ok")["body"]["segments"][0]["seats"] = ["9F"]


@WRONGS.breaks("no_way_back")
def a_confirmed_booking_is_seen_held_again(run):
    run.op("read", at=50, booking_id="a", status=200, body=shown("a", "held"))


@WRONGS.breaks("no_way_back")
def a_paid_booking_has_expired_in_the_end(run):
    run.row("bookings", id="a").update(status="expired", hold_open=False)


@WRONGS.breaks("no_way_back")
def a_list_shows_a_cancelled_booking_as_confirmed(run):
    run.op("list", at=50, status=200, body={"data": [shown("c", "confirmed")]})


@WRONGS.breaks("kept_word")
def a_booking_is_cancelled_and_nobody_asked(run):
    run.line("history", f="cancel", type="ok").update(type="fail", status=409, body=None)


@WRONGS.breaks("kept_word")
def a_booking_expires_before_its_deadline(run):
    run.row("booking_outbox", id="b.booking.expired")["occurred_at"] = NOON + 4


@WRONGS.breaks("no_means_no")
def a_refused_booking_was_made(run):
    run.row("bookings", id="b")["idempotency_key"] = "key-z"


@WRONGS.breaks("no_means_no")
def a_declined_payment_was_taken(run):
    run.row("sandbox_payments", id="pd")["state"] = "captured"


@WRONGS.breaks("no_means_no")
def a_declined_payment_was_taken_for_a_while(run):
    money = {"amount_minor": 12_900, "currency": "USD"}
    for seq, kind in ((90, "captured"), (91, "refunded")):
        run.rows["sandbox_entries"].append({"seq": seq, "payment_id": "pd", "kind": kind, **money})


@WRONGS.breaks("one_key")
def one_key_makes_two_bookings(run):
    run.row("bookings", id="b")["idempotency_key"] = "key-a"


@WRONGS.breaks("one_key")
def one_key_is_answered_with_two_bookings(run):
    run.op("book", at=30, key="key-a", seats=["1A"], status=201, body=shown("b", "held"))


@WRONGS.breaks("one_key")
def a_booking_is_not_kept_under_its_key(run):
    run.row("bookings", id="b")["idempotency_key"] = None


@WRONGS.breaks("one_key")
def a_retry_is_taken_for_another_request(run):
    facts = {"status": 422, "code": "idempotency_key_reused"}
    run.op("book", "fail", at=30, key="key-a", seats=["1A"], **facts)


@WRONGS.breaks("at_rest")
def a_booking_is_held_for_ever(run):
    run.row("bookings", id="b")["status"] = "held"


@WRONGS.breaks("at_rest")
def seats_are_never_given_back(run):
    run.row("bookings", id="c")["hold_open"] = True


@WRONGS.breaks("at_rest")
def a_refund_is_never_made(run):
    run.row("payments", id="pc")["status"] = "refund_due"


@WRONGS.breaks("true_story")
def an_event_is_missing(run):
    run.remove("booking_outbox", id="a.booking.confirmed")


@WRONGS.breaks("true_story")
def an_event_is_told_of_nothing(run):
    run.tell("b", "payment.refunded", "expired")


@WRONGS.breaks("true_story")
def an_event_of_a_booking_that_was_never_made(run):
    run.tell("nobody", "booking.held", "held")


@WRONGS.breaks("true_story")
def an_event_comes_that_was_never_written(run):
    run.remove("booking_outbox", id="d.payment.declined")
    run.row("payments", id="pd")["failure"] = "no_answer"


@WRONGS.breaks("true_story")
def an_event_says_what_is_not_so(run):
    run.row("booking_outbox", id="a.booking.confirmed")["data"] = {"status": "paying"}


@WRONGS.breaks("true_story")
def events_have_the_wrong_numbers(run):
    run.row("booking_outbox", id="c.booking.cancelled")["sequence"] = 2


@WRONGS.breaks("told_at_least_once")
def an_event_is_never_published(run):
    run.row("booking_outbox", id="a.booking.confirmed")["published_at"] = None


@WRONGS.breaks("told_at_least_once")
def a_published_event_never_comes(run):
    del run.journals["events"][1]


@WRONGS.breaks("told_in_order")
def events_come_in_the_wrong_order(run):
    run.journals["events"][0:2] = reversed(run.journals["events"][0:2])


@WRONGS.breaks("heard_and_acted")
def a_letter_is_never_written(run):
    run.remove("booking_inbox", event_id="c.booking.cancelled")
    run.remove("booking_inbox_positions", consumer="letters.booking.cancelled")


@WRONGS.breaks("heard_and_acted")
def a_cancelled_flight_is_never_heard_of(run):
    run.cancel_flight()
    run.rows["flight_changes"].clear()


@WRONGS.breaks("heard_and_acted")
def a_cancelled_flight_does_not_reach_a_booking(run):
    run.cancel_flight()
    run.row("booking_flights", booking_id="a")["change_seen"] = 1
