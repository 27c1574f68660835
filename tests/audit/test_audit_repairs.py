"""Repairs that cannot be, are not needed any more, or come in between of something else."""

from __future__ import annotations

import pytest
from audit_stage import FAR, NOBODYS, Kind, Outcome, Repair, seat
from structlog.testing import capture_logs

from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.repositories import audit as rows
from skyhold.booking.repositories import booking_moves
from skyhold.booking.services.audit.kinds import Finding
from skyhold.kernel.client import Unknown
from support.traveller import seats_of


async def test_seats_that_were_sold_meanwhile_stay_with_whoever_bought_them(desk):
    booking = await desk.confirmed(seats=["9A", "9C"], party=2)
    desk.lose_hold(booking)
    finding = (await desk.audit()).only(Kind.HOLD_MISSING)
    other = await desk.confirmed(seats=["9C"])
    outcome, why = await desk.repair(finding)
    assert outcome is Outcome.NOT_POSSIBLE
    assert "9C" in why
    assert (desk.claims(booking["id"]), desk.claims(other["id"])) == ([], ["9C"])
    assert (await desk.audit()).kinds == [Kind.HOLD_MISSING]


async def test_seats_are_not_taken_again_for_whoever_has_the_money_back(desk):
    for state in ("refunded", "cancelled"):
        booking = await desk.confirmed()
        desk.lose_hold(booking)
        finding = (await desk.audit()).only(Kind.HOLD_MISSING)
        desk.there(*desk.payments_of(booking), state=state)
        outcome, why = await desk.repair(finding)
        assert (outcome, "no money" in why) == (Outcome.NOT_POSSIBLE, True)
        assert desk.claims(booking["id"]) == []
        desk.wipe()


async def test_the_same_seats_are_taken_again_on_every_flight(desk):
    second = await desk.system.a_flight(origin="LAX", destination="SFO", departs_in_h=250)
    reply = await desk.alice.book(desk.flight, second, party=2)
    assert (await desk.alice.pay(reply)).status == 201
    desk.lose_hold(reply)
    outcome = await desk.repair((await desk.audit()).only(Kind.HOLD_MISSING))
    assert outcome == (Outcome.DONE, "")
    hold = await desk.system.hold("GET", reply["id"])
    told = {segment["flight_id"]: segment["seats"] for segment in hold["segments"]}
    assert told == {one["flight_id"]: one["seats"] for one in reply["segments"]}
    assert hold["status"] == "confirmed"
    assert (await desk.audit()).kinds == []


async def test_a_hold_that_was_made_but_not_confirmed_is_confirmed_by_the_next_repair(desk):
    booking = await desk.confirmed()
    desk.lose_hold(booking)
    finding = (await desk.audit()).only(Kind.HOLD_MISSING)
    flights = desk.system.bookings.flights
    confirm = flights.confirm
    flights.confirm = lost
    try:
        outcome, why = await desk.repair(finding)
        assert (outcome, why) == (Outcome.NOT_POSSIBLE, "the answer is lost")
    finally:
        flights.confirm = confirm
    desk.system.advance(minutes=60)
    await desk.works()
    finding = (await desk.audit()).only(Kind.HOLD_NOT_CONFIRMED)
    assert await desk.repair(finding) == (Outcome.DONE, "")
    assert (await desk.audit()).kinds == []


async def lost(_):
    msg = "the answer is lost"
    raise Unknown(msg)


async def test_claims_that_somebody_else_has_by_now_are_not_taken_away(desk):
    booking = await desk.confirmed(seats=["9A", "9C"], party=2)
    desk.lose_claims(booking)
    finding = (await desk.audit()).only(Kind.CLAIMS_MISSING)
    other = await desk.confirmed(seats=["9A"])
    outcome, why = await desk.repair(finding)
    assert outcome is Outcome.NOT_POSSIBLE
    assert "seats" in why
    assert (desk.claims(booking["id"]), desk.claims(other["id"])) == ([], ["9A"])


async def test_claims_that_keep_the_seats_of_a_live_booking_are_never_freed(desk):
    booking = await desk.confirmed()
    desk.lose_hold(booking, claims=False)
    freed = Finding(Kind.CLAIMS_LEFT, "", Repair.MEND_CLAIMS, booking_id=booking["id"])
    outcome, _ = await desk.repair(freed)
    assert outcome is Outcome.NOT_POSSIBLE
    assert desk.claims(booking["id"]) == seats_of(booking)


async def test_a_hold_is_not_cancelled_once_there_is_a_booking(desk):
    booking = await desk.confirmed()
    nobodys = Finding(Kind.SEATS_OF_NOBODY, "", Repair.CANCEL_HOLD, booking_id=booking["id"])
    outcome, _ = await desk.repair(nobodys)
    assert outcome is Outcome.NOT_POSSIBLE
    assert desk.claims(booking["id"]) == seats_of(booking)


async def test_a_hold_of_nobody_is_not_for_a_machine_when_the_money_of_its_time_is_not_known(desk):
    booking = await desk.confirmed()
    desk.lose_there(*desk.payments_of(booking))
    desk.lose_booking(booking)
    desk.system.advance(minutes=90)
    await desk.works()
    # A ledger that is empty is perhaps not the one that took the money.
    found = await desk.audit(since_h=None)
    assert found.only(Kind.SEATS_OF_NOBODY).repair is Repair.PERSON
    await desk.confirmed()
    for since_h, repair in (
        (1, Repair.PERSON),
        (2, Repair.CANCEL_HOLD),
        (None, Repair.CANCEL_HOLD),
    ):
        found = await desk.audit(since_h=since_h)
        assert found.only(Kind.SEATS_OF_NOBODY).repair is repair, since_h


async def test_one_payment_of_two_is_refunded_only_if_the_provider_has_both(desk):
    booking = await desk.confirmed()
    (first,) = desk.payments_of(booking)
    desk.copy_payment(first)
    for lost in (first, NOBODYS):
        desk.there(lost, state="authorized")
        found = await desk.audit()
        assert found.kinds == [Kind.NOT_CAPTURED_THERE, Kind.PAID_TWICE]
        outcome, why = await desk.repair(found.only(Kind.PAID_TWICE))
        assert (outcome, why) == (Outcome.NOT_POSSIBLE, "the provider has not captured both")
        desk.there(lost, state="captured")


async def test_money_of_a_booking_that_moves_meanwhile_is_left_to_the_next_audit(desk):
    booking = await desk.cancelled()
    (payment,) = desk.payments_of(booking)
    desk.payment(payment, status="captured")
    desk.there(payment, state="captured")
    finding = (await desk.audit()).only(Kind.MONEY_KEPT)
    touch = rows.touch

    async def moved(tx, booking):
        await booking_moves.touch(tx, booking.id)
        return await touch(tx, booking)

    rows.touch = moved
    try:
        outcome, why = await desk.repair(finding)
    finally:
        rows.touch = touch
    assert (outcome, "meanwhile" in why) == (Outcome.NOT_POSSIBLE, True)
    assert desk.rows("booking", "SELECT status FROM payments") == [("captured",)], "rolled back"


async def test_what_moves_in_the_moment_of_its_repair_is_left_alone(desk):
    booking = await desk.cancelled()
    desk.hold(booking, "confirmed")
    desk.claim(booking["id"], seat(booking))
    finding = (await desk.audit()).only(Kind.SEATS_KEPT)
    flights = desk.system.bookings.flights
    facts, count = flights.facts, iter(range(1, 100))

    async def meanwhile(ids):
        desk.booking(booking, attempts=next(count))
        return await facts(ids)

    flights.facts = meanwhile
    try:
        outcome, why = await desk.repair(finding)
    finally:
        flights.facts = facts
    assert (outcome, "moving" in why) == (Outcome.NOT_POSSIBLE, True)


async def test_a_repair_of_what_is_in_order_does_nothing(desk):
    held, sold, gone = await desk.held(), await desk.confirmed(), await desk.cancelled()
    (paid,), (refunded,) = desk.payments_of(sold), desk.payments_of(gone)
    before = desk.dump()
    for booking, payment in ((held, None), (sold, paid), (gone, refunded), ({"id": NOBODYS}, None)):
        for repair in Repair:
            finding = Finding(
                Kind.BOOKING_STUCK, "", repair, booking_id=booking["id"], payment_id=payment
            )
            if not finding.is_repairable or (repair is Repair.WAKE_PAYMENT and payment is None):
                continue
            outcome, why = await desk.repair(finding)
            assert outcome is not Outcome.DONE, (repair, booking["id"], why)
    assert desk.dump() == before


@pytest.mark.parametrize("status", [BookingStatus.HELD, BookingStatus.CANCELLED])
async def test_what_is_looked_at_now_is_due_when_there_is_something_to_do(desk, status):
    booking = await desk.held()
    desk.booking(booking, status=status, due_at=FAR)
    await desk.repair((await desk.audit()).only(Kind.BOOKING_STUCK))
    ((due_at, deadline, attempts),) = desk.rows(
        "booking", "SELECT due_at, payment_required_by, attempts FROM bookings"
    )
    assert attempts == 0
    if status is BookingStatus.HELD:
        assert due_at == deadline
    else:
        assert due_at < deadline


async def test_every_repair_is_a_line_in_the_log(desk):
    booking = await desk.cancelled()
    desk.claim(booking["id"], seat(booking))
    finding = (await desk.audit()).only(Kind.CLAIMS_LEFT)
    with capture_logs() as lines:
        await desk.repair(finding)
        await desk.repair(finding)
    told = [line for line in lines if line["event"] == "audit.repair"]
    assert [line["outcome"] for line in told] == ["done", "not needed any more"]
    for line in told:
        assert line["booking_id"] == booking["id"]
        assert (line["kind"], line["repair"]) == ("claims_left", "mend_claims")
    assert [line["hold_id"] for line in lines if line["event"] == "hold.claims_mended"] == [
        booking["id"]
    ]
