"""The judge is no zealot: what looks wrong and is allowed by the protocol is not reported."""

from __future__ import annotations

import pytest

from faults.checker import check
from faults.little_run import NOON, little_run, paid, shown


def booked_under(run, key):
    run.booking("e", "expired", "3A", idempotency_key=key)
    run.tell("e", "booking.expired", "expired")


def after_all_it_was_booked(run):
    """A request that nobody heard of again may have succeeded, whatever its repeats were told."""
    booked_under(run, "key-y")
    run.op("book", "unknown", at=30, key="key-y")
    run.op("book", "fail", at=31, key="key-y", status=409, code="seat_unavailable")


def its_twin_was_booked(run):
    """Of a request that the wire doubled one may be refused, and the other not."""
    booked_under(run, "key-y")
    facts = {"status": 409, "code": "seat_unavailable", "duplicated": True}
    run.op("book", "fail", at=30, key="key-y", **facts)


def a_cancellation_nobody_heard_of_again(run):
    run.line("history", f="cancel", type="ok").update(type="unknown", status=503, body=None)


def the_airline_cancelled(run):
    run.line("history", f="cancel", type="ok").update(type="fail", status=409, body=None)
    run.row("bookings", id="c")["changes"] = [{"kind": "cancelled"}]


def the_bank_refused(run):
    run.booking("e", "cancelled", "3A")
    run.row("holds", id="e")["status"] = "cancelled"
    entries = ("authorized", "capture_refused", "cancelled")
    run.payment("pe", "e", "voided", *entries, failure="capture_refused")
    run.tell("e", "booking.cancelled", "cancelled")


def a_payment_was_given_up(run):
    """The seats are released after the deadline, while another driver hears a late yes."""
    run.booking("e", "expired", "3A")
    run.row("holds", id="e").update(status="released", resolved_at=NOON + 14)
    run.payment("pe", "e", "voided", "authorized", "cancelled", failure="seats_gone")
    run.tell("e", "booking.expired", "expired", at=NOON + 5)


def events_come_twice(run):
    """At least once is the promise; a repeat may come late and after newer ones."""
    run.journals["events"] += run.journals["events"][:3]


def a_clock_that_jumped(run):
    """It costs time: what it has put off is late, and what it has ended was early."""
    run.journals["faults"].append({"kind": "clock", "where": "worker-1"})
    run.row("holds", id="d").update(status="released", resolved_at=NOON + 3)
    run.row("payments", id="pd").update(failure="seats_gone")
    run.remove("booking_outbox", id="d.payment.declined")
    del run.journals["events"][-2]
    run.row("booking_outbox", id="d.booking.expired").update(sequence=3, occurred_at=NOON + 4)
    run.journals["events"][-1]["sequence"] = 3
    run.row("booking_inbox_positions", consumer="letters.booking.expired", subject="d").update(
        sequence=3
    )
    run.row("bookings", id="d").update(hold_open=True, due_at=NOON + 3_600)
    run.line("history", f="pay", key="key-pd", type="fail")["code"] = "hold_expired"


def a_second_payment_succeeds(run):
    """What was declined stays so; the next attempt has a key of its own."""
    run.booking("e", "confirmed", "3A")
    run.payment("pe", "e", "voided", "declined", "cancelled", failure="declined")
    run.tell("e", "payment.declined", "held")
    run.payment("pf", "e", "captured", "authorized", "captured")
    run.tell("e", "booking.confirmed", "confirmed")
    facts = {"status": 402, "code": "payment_declined"}
    run.op("pay", "fail", at=30, key="key-pe", booking_id="e", **facts)
    run.op("pay", at=31, key="key-pf", booking_id="e", status=201, body=paid("pf", "e"))


def paid_then_cancelled_before_the_answer(run):
    """The payer is told that the booking is cancelled; the money was taken and is back."""
    line = run.line("history", f="pay", key="key-pc", type="ok")
    line.update(type="fail", status=409, code="already_cancelled", body=None)


def a_flight_is_cancelled(run):
    """Its bookings are called off, and nobody confirmed is left on it."""
    run.cancel_flight()
    run.row("bookings", id="a").update(
        status="cancelled", hold_open=False, changes=[{"kind": "cancelled"}]
    )
    run.row("holds", id="a")["status"] = "cancelled"
    run.remove("seat_claims", hold_id="a")
    run.tell("a", "booking.cancelled", "cancelled")
    run.tell("a", "payment.refunded", "cancelled")
    run.row("payments", id="pa")["status"] = "refunded"
    run.row("sandbox_payments", id="pa")["state"] = "refunded"
    entry = dict(run.row("sandbox_entries", payment_id="pa", kind="captured"))
    run.rows["sandbox_entries"].append(entry | {"seq": 99, "kind": "refunded"})


def a_seat_changes_hands(run):
    """Cancelled, and sold again afterwards."""
    run.booking("e", "confirmed", "1B")
    run.payment("pe", "e", "captured", "authorized", "captured")
    run.tell("e", "booking.confirmed", "confirmed")
    run.op("book", at=25, key="key-e", status=201, body=shown("e", "held", "1B"))
    run.op("pay", at=26, key="key-pe", booking_id="e", status=201, body=paid("pe", "e"))


def there_is_no_broker(run):
    """Then events stay inside their process, and the outbox is all that tells of them."""
    run.run["amqp_url"] = None
    run.journals["events"].clear()


@pytest.mark.parametrize(
    "story",
    [
        after_all_it_was_booked,
        its_twin_was_booked,
        a_cancellation_nobody_heard_of_again,
        the_airline_cancelled,
        the_bank_refused,
        a_payment_was_given_up,
        events_come_twice,
        a_clock_that_jumped,
        a_second_payment_succeeds,
        paid_then_cancelled_before_the_answer,
        a_flight_is_cancelled,
        a_seat_changes_hands,
        there_is_no_broker,
    ],
)
def test_what_the_protocol_allows_is_no_violation(tmp_path, story):
    run = little_run()
    story(run)
    assert check(run.write(tmp_path)).violations == []
