"""What the driver finds after a restore, a change of provider, or a refund made by hand."""

from __future__ import annotations

from booking_stage import answers, look, states
from sqlalchemy import update

from skyhold.booking.clients.payments.port import Answer, ProviderState
from skyhold.booking.models.tables import BookingRow, PaymentRow


async def set_row(system, table, id, **values):
    async def write(tx):
        return await tx.run(update(table).where(table.id == id).values(**values))

    assert await system.bookings.db.transact(write) == 1


async def paid(alice, flight):
    booking = await alice.book(flight, seats=["4A"])
    assert (await alice.pay(booking)).status == 201
    return booking


async def test_seats_that_somebody_paid_for_outlive_a_booking_that_was_set_back(
    still, alice, flight
):
    booking = await paid(alice, flight)
    now = still.clock.now()
    await set_row(
        still, BookingRow, booking["id"], status="held", due_at=now, payment_required_by=now
    )
    await still.bookings.driver.settle(booking["id"])
    found, _ = await look(still, booking)
    assert (found.status, found.hold_open) == ("expired", True)
    assert (await still.seat_states(flight))["4A"] != "available"
    assert (await still.hold("GET", booking["id"]))["status"] == "confirmed"


async def test_a_payment_is_never_asked_for_at_another_provider(still, alice, world, flight):
    booking = await paid(alice, flight)
    _, payment = await look(still, booking)
    assert payment.provider == "sandbox"
    await set_row(still, PaymentRow, payment.id, provider="stripe")
    assert (await alice.cancel(booking)).status == 200
    still.advance(minutes=5)
    world.calms()
    await still.bookings.driver.settle(booking["id"])
    assert not world.made("refund")
    assert await states(still, booking) == ("cancelled", "refund_due", False)

    await set_row(still, PaymentRow, payment.id, provider=None)  # as all of version 0.1
    await still.bookings.driver.settle(booking["id"])
    assert await states(still, booking) == ("cancelled", "refunded", False)


async def test_money_that_was_given_back_by_hand_is_not_waited_for(still, alice, world, flight):
    booking = await alice.book(flight, seats=["4A"])
    world.on("capture", answers(Answer(ProviderState.REFUNDED)))
    world.on("cancel", answers(Answer(ProviderState.REFUNDED)))
    assert (await alice.pay(booking)).status == 402
    await still.bookings.driver.settle(booking["id"])
    assert await states(still, booking) == ("cancelled", "voided", False)
    assert (await still.seat_states(flight))["4A"] == "available"
