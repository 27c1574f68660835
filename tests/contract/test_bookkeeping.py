"""The steps of many payments in one transaction: each is told what became of its own."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from booking_desk import a_booking, a_payment
from sqlalchemy import update

from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.log import Action
from skyhold.booking.models.payment import PaymentStatus
from skyhold.booking.models.tables import OUTBOX, BookingRow
from skyhold.booking.repositories import booking_log, booking_moves, bookings, payments
from skyhold.booking.services.bookkeeping import Bookkeeper, NotStarted
from skyhold.booking.services.events import Chronicle
from skyhold.kernel.clock import FrozenClock
from skyhold.kernel.db import Duplicate
from skyhold.kernel.outbox import Outbox

MANY = 5
PATIENCE = timedelta(seconds=10)


@pytest.fixture
def clock(now):
    return FrozenClock(now)


@pytest.fixture
def books(desk, clock):
    chronicle = Chronicle(Outbox(OUTBOX, "booking"), clock)
    return Bookkeeper(desk, chronicle, clock, batch_max=64, waiting_max=64)


@pytest.fixture
async def unpaid(ada, now, write):
    found = [a_booking(ada, now) for _ in range(MANY)]
    await write(*found)
    return [(booking, a_payment(booking, now)) for booking in found]


async def kept(desk, standing):
    """What the rows say of it."""
    async with desk.read() as tx:
        booking = await bookings.by_id(tx, standing.booking.id)
        return booking, await payments.by_id(tx, standing.payment.id)


async def together(calls):
    return await asyncio.gather(*calls, return_exceptions=True)


async def started(books, pairs):
    return await together(books.start(*pair, PATIENCE) for pair in pairs)


async def moved(books, standings, new, **more):
    return await together(books.move(s.booking, s.payment, new, **more) for s in standings)


async def capture_due(books, pairs):
    authorized = await moved(books, await started(books, pairs), PaymentStatus.AUTHORIZED)
    return await moved(books, authorized, PaymentStatus.CAPTURE_DUE)


async def test_what_each_is_told_is_what_is_kept_after_every_step(desk, books, unpaid):
    paying = await started(books, unpaid)
    authorized = await moved(books, paying, PaymentStatus.AUTHORIZED)
    assert [await kept(desk, one) for one in authorized] == [
        (one.booking, one.payment) for one in authorized
    ]
    due = await moved(books, authorized, PaymentStatus.CAPTURE_DUE)
    paid = await together(books.capture(one.booking, one.payment) for one in due)
    assert [await kept(desk, one) for one in paid] == [(one.booking, one.payment) for one in paid]
    assert {one.booking.status for one in paid} == {BookingStatus.CONFIRMED}
    async with desk.read() as tx:
        told = [await Outbox(OUTBOX, "booking").about(tx, one.booking.id, 9) for one in paid]
    assert [[event.sequence for event in events] for events in told] == [
        [one.booking.ver] for one in paid
    ]


async def test_one_that_is_not_payable_any_more_leaves_nothing_and_the_others_begin(
    desk, books, unpaid, now
):
    late, payment = unpaid[2]
    gone = replace(late, payment_required_by=now)
    await desk.transact(
        lambda tx: tx.run(
            update(BookingRow).where(BookingRow.id == late.id).values(payment_required_by=now)
        )
    )
    outcomes = await started(books, unpaid)
    assert isinstance(outcomes.pop(2), NotStarted)
    assert [await kept(desk, one) for one in outcomes] == [
        (one.booking, one.payment) for one in outcomes
    ]
    async with desk.read() as tx:
        assert await bookings.by_id(tx, late.id) == gone
        assert await payments.by_id(tx, payment.id) is None


async def test_of_two_attempts_for_one_booking_in_one_batch_one_begins(books, unpaid, now):
    rivals = [*unpaid, (unpaid[0][0], a_payment(unpaid[0][0], now))]
    outcomes = await started(books, rivals)
    assert [type(each) for each in outcomes if isinstance(each, Exception)] == [NotStarted]


async def test_a_key_that_comes_twice_in_one_batch_is_one_attempt(books, unpaid):
    twins = [(booking, replace(one, idempotency_key="click")) for booking, one in unpaid[:2]]
    outcomes = await started(books, [*twins, *unpaid[2:]])
    assert [type(each) for each in outcomes if isinstance(each, Exception)] == [Duplicate]


async def test_a_step_that_somebody_else_took_is_lost_to_that_payment_alone(desk, books, unpaid):
    authorized = await moved(books, await started(books, unpaid), PaymentStatus.AUTHORIZED)
    await moved(books, authorized[:1], PaymentStatus.CAPTURE_DUE)
    due = await moved(books, authorized, PaymentStatus.CAPTURE_DUE)
    assert due.pop(0) is None
    assert [await kept(desk, one) for one in due] == [(one.booking, one.payment) for one in due]


async def test_a_capture_that_comes_twice_is_told_once(desk, books, unpaid):
    due = await capture_due(books, unpaid)
    paid = await together(books.capture(one.booking, one.payment) for one in [*due, due[0]])
    assert paid.count(None) == 1
    async with desk.read() as tx:
        told = await Outbox(OUTBOX, "booking").about(tx, due[0].booking.id, 9)
    assert [event.type for event in told] == ["booking.confirmed"]


async def test_a_booking_that_changed_meanwhile_is_told_as_it_is(desk, books, unpaid):
    due = await capture_due(books, unpaid)
    changed = due[1].booking
    await desk.transact(lambda tx: booking_moves.touch(tx, changed.id))
    paid = await together(books.capture(one.booking, one.payment) for one in due)
    assert paid[1].booking.ver == changed.ver + 2
    assert [await kept(desk, one) for one in paid] == [(one.booking, one.payment) for one in paid]


@pytest.fixture
async def everywhere(books, unpaid):
    """Payments of which each stands elsewhere, and who takes it a step further."""
    begun = await started(books, unpaid[1:4])
    authorized = await moved(books, begun[1:], PaymentStatus.AUTHORIZED)
    due = await moved(books, authorized[1:], PaymentStatus.CAPTURE_DUE)
    return [
        (unpaid[0], lambda pair: books.start(*pair, PATIENCE)),
        (begun[0], lambda one: books.move(one.booking, one.payment, PaymentStatus.AUTHORIZED)),
        (
            authorized[0],
            lambda one: books.move(one.booking, one.payment, PaymentStatus.CAPTURE_DUE),
        ),
        (due[0], lambda one: books.capture(one.booking, one.payment)),
    ]


async def test_steps_of_every_kind_go_together(desk, books, everywhere):
    left = await together(step(one) for one, step in everywhere)
    assert [await kept(desk, one) for one in left] == [(one.booking, one.payment) for one in left]
    assert [one.payment.status for one in left] == [
        PaymentStatus.CREATED,
        PaymentStatus.AUTHORIZED,
        PaymentStatus.CAPTURE_DUE,
        PaymentStatus.CAPTURED,
    ]
    async with desk.read() as tx:
        logs = [
            await booking_log.of_booking(tx, one.booking.id, after=None, limit=9) for one in left
        ]
    assert [[entry.action for entry in log] for log in logs] == [
        [Action.PAYMENT_STARTED],
        [Action.PAYMENT_STARTED],
        [Action.PAYMENT_STARTED],
        [Action.PAYMENT_STARTED, Action.CONFIRMED],
    ]


@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_a_step_that_is_lost_among_others_of_every_kind_is_lost_alone(
    desk, books, everywhere, nth
):
    taken, step = everywhere[nth]
    await step(taken)
    left = await together(step(one) for one, step in everywhere)
    assert left.pop(nth) is None
    assert [await kept(desk, one) for one in left] == [(one.booking, one.payment) for one in left]


async def test_each_payment_is_given_its_own_reference(desk, books, unpaid):
    paying = await started(books, unpaid)
    authorized = await together(
        books.move(
            one.booking,
            replace(one.payment, reference=f"pi_{nth}"),
            PaymentStatus.AUTHORIZED,
            reference=f"pi_{nth}",
        )
        for nth, one in enumerate(paying)
    )
    found = [(await kept(desk, one))[1].reference for one in authorized]
    assert found == [f"pi_{nth}" for nth in range(MANY)]
