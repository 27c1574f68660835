"""Every kind of disagreement: planted, found with its repair, and gone after that."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from audit_stage import FAR, NOBODYS, Kind, Outcome, Repair, seat

from skyhold.booking.clients.payments.port import Answer, ProviderState
from skyhold.booking.services.audit.kinds import DOES, DONE_BY_HAND, LORE

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"

# --- what a machine repairs ---------------------------------------------------------------------


async def the_flight_service_forgot_a_hold(desk):
    booking = await desk.confirmed(party=2)
    desk.lose_hold(booking)
    return booking, Kind.HOLD_MISSING, Repair.HOLD_AGAIN


async def the_flight_service_forgot_a_hold_that_is_being_captured(desk):
    booking = await desk.confirmed()
    (payment,) = desk.payments_of(booking)
    desk.booking(booking, status="paying", active_payment_id=payment, due_at=_in(desk))
    desk.payment(payment, status="capture_due", due_at=FAR)
    desk.lose_hold(booking)
    return booking, Kind.HOLD_MISSING, Repair.HOLD_AGAIN


async def the_flight_service_forgot_a_confirmation(desk):
    booking = await desk.confirmed()
    desk.hold(booking, "held")
    return booking, Kind.HOLD_NOT_CONFIRMED, Repair.CONFIRM_HOLD


async def a_cancelled_booking_has_its_seats_again(desk):
    booking = await desk.cancelled()
    desk.hold(booking, "confirmed")
    desk.claim(booking["id"], seat(booking))
    return booking, Kind.SEATS_KEPT, Repair.GIVE_SEATS_BACK


async def a_hold_of_nobody_that_nobody_paid_for(desk):
    booking = await desk.confirmed()
    for payment in desk.payments_of(booking):
        desk.lose_there(payment)
    desk.lose_booking(booking)
    return booking, Kind.SEATS_OF_NOBODY, Repair.CANCEL_HOLD


async def a_seat_is_claimed_for_a_hold_that_has_ended(desk):
    booking = await desk.cancelled()
    desk.claim(booking["id"], seat(booking))
    return booking, Kind.CLAIMS_LEFT, Repair.MEND_CLAIMS


async def a_seat_is_claimed_for_a_hold_that_never_was(desk):
    desk.claim(NOBODYS, "9A", "9B")
    return {"id": NOBODYS}, Kind.CLAIMS_LEFT, Repair.MEND_CLAIMS


async def a_seat_more_is_claimed_for_a_hold(desk):
    booking = await desk.confirmed(seats=["9A"])
    desk.claim(booking["id"], "9B")
    return booking, Kind.CLAIMS_LEFT, Repair.MEND_CLAIMS


async def the_seats_of_a_hold_are_not_claimed(desk):
    booking = await desk.confirmed(party=3)
    desk.lose_claims(booking)
    return booking, Kind.CLAIMS_MISSING, Repair.MEND_CLAIMS


async def a_held_booking_that_nobody_will_look_at(desk):
    booking = await desk.held()
    desk.booking(booking, due_at=None)
    return booking, Kind.BOOKING_STUCK, Repair.LOOK_NOW


async def an_unpaid_booking_that_nobody_will_look_at_for_years(desk):
    booking = await desk.held()
    desk.booking(booking, due_at=FAR)
    return booking, Kind.BOOKING_STUCK, Repair.LOOK_NOW


async def seats_that_are_never_given_back(desk):
    booking = await desk.held()
    desk.booking(booking, status="cancelled", due_at=FAR)
    return booking, Kind.BOOKING_STUCK, Repair.LOOK_NOW


async def a_refund_that_nobody_will_look_at(desk):
    booking = await desk.confirmed()
    (payment,) = desk.payments_of(booking)
    desk.payment(payment, status="refund_due", due_at=FAR)
    desk.booking(booking, status="cancelled", due_at=_in(desk))
    return booking, Kind.PAYMENT_STUCK, Repair.WAKE_PAYMENT


async def a_refund_that_has_been_tried_too_often(desk):
    booking = await desk.confirmed()
    (payment,) = desk.payments_of(booking)
    desk.payment(payment, status="refund_due", due_at=_in(desk, minutes=50), attempts=10)
    desk.booking(booking, status="cancelled", due_at=_in(desk))
    return booking, Kind.PAYMENT_STUCK, Repair.WAKE_PAYMENT


async def an_attempt_that_nobody_carries_on(desk):
    booking = await desk.declined()
    (payment,) = desk.payments_of(booking)
    desk.payment(payment, status="created", due_at=FAR)
    return booking, Kind.PAYMENT_ADRIFT, Repair.VOID


async def two_payments_for_one_booking(desk):
    booking = await desk.confirmed()
    desk.copy_payment(*desk.payments_of(booking))
    return booking, Kind.PAID_TWICE, Repair.REFUND


async def money_for_a_cancelled_booking(desk):
    booking = await desk.cancelled()
    (payment,) = desk.payments_of(booking)
    desk.payment(payment, status="captured")
    desk.there(payment, state="captured")
    return booking, Kind.MONEY_KEPT, Repair.REFUND


async def an_authorisation_that_succeeded_late(desk):
    booking = await desk.declined()
    desk.there(*desk.payments_of(booking), state="authorized")
    return booking, Kind.MONEY_STILL_THERE, Repair.WAKE_PAYMENT


async def a_capture_that_nobody_heard_of(desk):
    booking = await desk.declined()
    desk.there(*desk.payments_of(booking), state="captured")
    return booking, Kind.MONEY_STILL_THERE, Repair.WAKE_PAYMENT


async def a_refund_that_came_back(desk):
    booking = await desk.cancelled()
    desk.there(*desk.payments_of(booking), state="captured")
    return booking, Kind.MONEY_STILL_THERE, Repair.WAKE_PAYMENT


REPAIRED = [
    the_flight_service_forgot_a_hold,
    the_flight_service_forgot_a_hold_that_is_being_captured,
    the_flight_service_forgot_a_confirmation,
    a_cancelled_booking_has_its_seats_again,
    a_hold_of_nobody_that_nobody_paid_for,
    a_seat_is_claimed_for_a_hold_that_has_ended,
    a_seat_is_claimed_for_a_hold_that_never_was,
    a_seat_more_is_claimed_for_a_hold,
    the_seats_of_a_hold_are_not_claimed,
    a_held_booking_that_nobody_will_look_at,
    an_unpaid_booking_that_nobody_will_look_at_for_years,
    seats_that_are_never_given_back,
    a_refund_that_nobody_will_look_at,
    a_refund_that_has_been_tried_too_often,
    an_attempt_that_nobody_carries_on,
    two_payments_for_one_booking,
    money_for_a_cancelled_booking,
    an_authorisation_that_succeeded_late,
    a_capture_that_nobody_heard_of,
    a_refund_that_came_back,
]


@pytest.mark.parametrize("plant", REPAIRED, ids=lambda plant: plant.__name__)
async def test_what_a_machine_repairs_is_found_and_gone_after_its_repair(desk, plant):
    await desk.confirmed()  # beside one that is in order
    booking, kind, repair = await plant(desk)
    before = desk.dump()
    found = await desk.audit()
    assert found.kinds == [kind]
    finding = found.only(kind)
    assert (finding.repair, finding.is_repairable) == (repair, True)
    assert finding.booking_id == booking["id"]
    assert found.report.status == 1
    assert desk.dump() == before, "an audit writes nothing"

    assert await desk.repair(finding) == (Outcome.DONE, "")
    await desk.works()
    left = await desk.audit()
    assert (left.kinds, left.report.status) == ([], 0)
    assert (await desk.repair(finding))[0] is Outcome.NOT_NEEDED, "a repair may be repeated"


# --- what a person has to decide, or only time --------------------------------------------------


async def the_seats_of_a_confirmed_booking_are_gone(desk):
    booking = await desk.confirmed()
    desk.hold(booking, "cancelled")
    desk.lose_claims(booking)
    return booking, {Kind.SEATS_GONE: Repair.PERSON}


async def the_hold_of_a_confirmed_booking_has_ended_with_its_seats_still_claimed(desk):
    booking = await desk.confirmed()
    desk.hold(booking, "expired")
    return booking, {Kind.SEATS_GONE: Repair.PERSON, Kind.CLAIMS_LEFT: Repair.PERSON}


async def only_the_claims_are_left_of_a_hold(desk):
    booking = await desk.confirmed()
    desk.lose_hold(booking, claims=False)
    return booking, {Kind.HOLD_MISSING: Repair.PERSON, Kind.CLAIMS_LEFT: Repair.PERSON}


async def the_seats_of_an_unpaid_booking_are_gone_before_its_time(desk):
    booking = await desk.held()
    desk.hold(booking, "expired")
    desk.lose_claims(booking)
    return booking, {Kind.HELD_WITHOUT_SEATS: Repair.WAIT}


async def the_hold_of_an_unpaid_booking_is_lost(desk):
    booking = await desk.held()
    desk.lose_hold(booking)
    return booking, {Kind.HELD_WITHOUT_SEATS: Repair.WAIT}


async def an_unpaid_booking_has_its_seats_for_good(desk):
    booking = await desk.held()
    desk.hold(booking, "confirmed")
    return booking, {Kind.HELD_BUT_SOLD: Repair.PERSON}


async def a_hold_of_nobody_that_somebody_may_have_paid_for(desk):
    booking = await desk.confirmed()
    desk.lose_booking(booking)
    return booking, {Kind.SEATS_OF_NOBODY: Repair.PERSON, Kind.UNKNOWN_PAYMENT: Repair.PERSON}


async def booking_and_hold_name_other_seats(desk):
    booking = await desk.confirmed(seats=["9A"])
    desk.sql("booking", "UPDATE bookings SET segments = replace(segments, '9A', '9B')")
    return booking, {Kind.SEATS_DIFFER: Repair.PERSON}


async def a_booking_is_paid_by_a_payment_that_has_ended(desk):
    booking = await desk.declined()
    (payment,) = desk.payments_of(booking)
    desk.booking(booking, status="paying", active_payment_id=payment)
    return booking, {Kind.PAYING_ADRIFT: Repair.PERSON}


async def a_booking_is_paid_by_a_payment_that_is_not_there(desk):
    booking = await desk.held()
    desk.booking(booking, status="paying", active_payment_id=NOBODYS)
    return booking, {Kind.PAYING_ADRIFT: Repair.PERSON}


async def a_confirmed_booking_without_a_payment(desk):
    booking = await desk.confirmed()
    desk.sql("booking", "DELETE FROM payments WHERE booking_id = ?", booking["id"])
    return booking, {Kind.CONFIRMED_UNPAID: Repair.PERSON, Kind.UNKNOWN_PAYMENT: Repair.PERSON}


async def a_confirmed_booking_whose_payment_was_never_finished(desk):
    booking = await desk.confirmed()
    desk.payment(*desk.payments_of(booking), status="capture_due", due_at=FAR)
    return booking, {Kind.CONFIRMED_UNPAID: Repair.PERSON, Kind.PAYMENT_ADRIFT: Repair.PERSON}


async def money_for_a_booking_that_is_still_to_be_paid(desk):
    booking = await desk.declined()
    (payment,) = desk.payments_of(booking)
    desk.payment(payment, status="captured")
    desk.there(payment, state="captured")
    return booking, {Kind.MONEY_KEPT: Repair.PERSON}


async def another_amount_than_the_booking_costs(desk):
    booking = await desk.confirmed()
    desk.booking(booking, total_minor=12_901)
    return booking, {Kind.AMOUNTS_DIFFER: Repair.PERSON}


async def another_amount_at_the_provider(desk):
    booking = await desk.confirmed()
    desk.there(*desk.payments_of(booking), amount_minor=12_901)
    return booking, {Kind.AMOUNTS_DIFFER: Repair.PERSON}


async def another_currency_at_the_provider(desk):
    booking = await desk.cancelled()
    desk.there(*desk.payments_of(booking), currency="EUR")
    return booking, {Kind.AMOUNTS_DIFFER: Repair.PERSON}


async def the_provider_has_it_authorised_again_after_a_refund(desk):
    booking = await desk.cancelled()
    desk.there(*desk.payments_of(booking), state="authorized")
    return booking, {Kind.MONEY_STILL_THERE: Repair.PERSON}


async def the_provider_has_not_captured_it(desk):
    booking = await desk.confirmed()
    desk.there(*desk.payments_of(booking), state="authorized")
    return booking, {Kind.NOT_CAPTURED_THERE: Repair.PERSON}


async def the_provider_has_never_heard_of_it(desk):
    booking = await desk.confirmed()
    desk.lose_there(*desk.payments_of(booking))
    return booking, {Kind.NOT_CAPTURED_THERE: Repair.PERSON}


async def the_provider_has_refunded_it(desk):
    booking = await desk.confirmed()
    desk.there(*desk.payments_of(booking), state="refunded")
    return booking, {Kind.REFUNDED_THERE: Repair.PERSON}


async def the_provider_has_a_payment_of_nobody(desk):
    booking = await desk.confirmed()
    desk.copy_payment(*desk.payments_of(booking), here=False)
    return None, {Kind.UNKNOWN_PAYMENT: Repair.PERSON}


BY_HAND = [
    the_seats_of_a_confirmed_booking_are_gone,
    the_hold_of_a_confirmed_booking_has_ended_with_its_seats_still_claimed,
    only_the_claims_are_left_of_a_hold,
    the_seats_of_an_unpaid_booking_are_gone_before_its_time,
    the_hold_of_an_unpaid_booking_is_lost,
    an_unpaid_booking_has_its_seats_for_good,
    a_hold_of_nobody_that_somebody_may_have_paid_for,
    booking_and_hold_name_other_seats,
    a_booking_is_paid_by_a_payment_that_has_ended,
    a_booking_is_paid_by_a_payment_that_is_not_there,
    a_confirmed_booking_without_a_payment,
    a_confirmed_booking_whose_payment_was_never_finished,
    money_for_a_booking_that_is_still_to_be_paid,
    another_amount_than_the_booking_costs,
    another_amount_at_the_provider,
    another_currency_at_the_provider,
    the_provider_has_it_authorised_again_after_a_refund,
    the_provider_has_not_captured_it,
    the_provider_has_never_heard_of_it,
    the_provider_has_refunded_it,
    the_provider_has_a_payment_of_nobody,
]


@pytest.mark.parametrize("plant", BY_HAND, ids=lambda plant: plant.__name__)
async def test_what_a_person_decides_is_found_and_left_alone(desk, plant):
    booking, wanted = await plant(desk)
    before = desk.dump()
    found = await desk.audit()
    assert {finding.kind: finding.repair for finding in found.findings} == wanted
    assert len(found.findings) == len(wanted)
    assert not any(finding.is_repairable for finding in found.findings)
    about = {finding.booking_id for finding in found.findings} - {None}
    assert about == ({booking["id"]} if booking else set())
    assert desk.dump() == before


# --- what is late -------------------------------------------------------------------------------


async def test_a_booking_that_nobody_expires_waits_for_a_worker(desk):
    booking = await desk.held()
    desk.system.advance(minutes=15, seconds=290)
    await _relay(desk)
    assert (await desk.audit()).kinds == []
    desk.system.advance(seconds=20)
    finding = (await desk.audit()).only(Kind.BOOKING_STUCK)
    assert (finding.booking_id, finding.repair) == (booking["id"], Repair.WAIT)
    await desk.works()
    assert (await desk.audit()).kinds == []


async def test_seats_that_are_gone_after_the_deadline_are_the_driver_s_business(desk):
    booking = await desk.held()
    desk.hold(booking, "expired")
    desk.lose_claims(booking)
    desk.system.advance(minutes=15, seconds=1)
    await _relay(desk)
    assert (await desk.audit()).kinds == []


async def test_a_payment_that_is_never_given_up_is_stuck(desk):
    booking = await desk.declined()
    (payment,) = desk.payments_of(booking)
    desk.booking(booking, status="paying", active_payment_id=payment, due_at=_in(desk, minutes=21))
    desk.payment(payment, status="created", due_at=FAR)
    desk.system.advance(minutes=20, seconds=50)
    await _relay(desk)
    assert Kind.BOOKING_STUCK not in (await desk.audit()).kinds
    desk.system.advance(seconds=20)
    assert (await desk.audit()).only(Kind.BOOKING_STUCK).booking_id == booking["id"]


async def test_a_hold_without_a_booking_is_normal_until_long_after_its_time(desk):
    wanted = {"segments": [{"flight_id": desk.flight, "count": 2}], "ttl_s": 600}
    assert (await desk.system.hold("PUT", NOBODYS, wanted)).status == 201
    desk.system.advance(seconds=600 + 299)
    assert (await desk.audit()).kinds == []
    desk.system.advance(seconds=5)
    finding = (await desk.audit()).only(Kind.HOLD_OVER)
    assert (finding.booking_id, finding.repair) == (NOBODYS, Repair.WAIT)
    assert desk.flight in finding.seats
    await desk.works()
    assert (await desk.audit()).kinds == []


async def test_a_second_payment_at_the_provider_under_one_of_our_ids_is_of_nobody(
    desk, monkeypatch
):
    booking = await desk.confirmed()
    (payment,) = desk.payments_of(booking)
    provider = desk.system.bookings.provider
    ledger, get = provider.ledger, provider.get
    desk.payment(payment, provider_ref="pi_1")

    async def both(since):
        async for entry in ledger(since):
            for reference in ("pi_1", "pi_2"):
                yield replace(entry, reference=reference)

    async def asked(charge):
        return Answer(second[-1]) if charge.reference == "pi_2" else await get(charge)

    monkeypatch.setattr(provider, "ledger", both)
    monkeypatch.setattr(provider, "get", asked)
    for state in (ProviderState.CAPTURED, ProviderState.AUTHORIZED):
        second = [state]
        finding = (await desk.audit()).only(Kind.UNKNOWN_PAYMENT)
        assert finding.payment_id == payment
        assert "pi_2" in finding.says
    second = [ProviderState.CANCELLED]
    assert (await desk.audit()).kinds == []
    second = [ProviderState.CAPTURED]
    desk.there(payment, state="captured", amount_minor=1)
    found = await desk.audit()
    assert found.kinds == [Kind.AMOUNTS_DIFFER, Kind.UNKNOWN_PAYMENT], "each by itself"


async def test_events_that_nobody_publishes_are_told_once_all_together(desk):
    await desk.confirmed()
    desk.system.advance(seconds=290)
    assert (await desk.audit()).kinds == []
    desk.system.advance(seconds=20)
    finding = (await desk.audit()).only(Kind.EVENTS_WAIT)
    assert (finding.ids, finding.repair) == ({}, Repair.WAIT)
    assert finding.says.startswith("2 are not published")
    await desk.works()
    assert (await desk.audit()).kinds == []


async def test_every_kind_has_its_cause_and_every_repair_says_what_it_does():
    assert set(LORE) == set(Kind)
    assert set(DOES) | DONE_BY_HAND == set(Repair)


def test_every_kind_is_in_the_operators_table():
    section = OPERATIONS.read_text().split("\n## Audit\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(Kind)


async def test_every_kind_is_planted_somewhere(desk):
    planted = {Kind.BOOKING_STUCK, Kind.HOLD_OVER, Kind.EVENTS_WAIT}
    for plant in REPAIRED:
        planted.add((await plant(desk))[1])
        desk.wipe()
    for plant in BY_HAND:
        planted |= set((await plant(desk))[1])
        desk.wipe()
    assert planted == set(Kind)


def _in(desk, *, minutes: float = 0) -> str:
    return str((desk.system.now() + timedelta(minutes=minutes)).replace(tzinfo=None))


async def _relay(desk):
    (relay,) = [job for job in desk.system.bookings.jobs if job.name == "relay"]
    await relay.work()
