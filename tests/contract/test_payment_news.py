"""What the provider tells of a payment, and who is woken by it: the same on every database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from booking_desk import a_booking, a_payment

from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.payment import Failure, NextAction, PaymentStatus
from skyhold.booking.repositories import booking_moves, bookings, payments

LATER = timedelta(minutes=5)
GO = NextAction("redirect", "https://bank.example/é?a=1&b=2", None)


@pytest.fixture
async def paid(desk, ada, now, write):
    """A booking that is being paid, looked at again in some minutes, and its payment."""
    await write(booking := a_booking(ada, now))
    payment = a_payment(booking, now, due_at=now + LATER)

    async def start(tx):
        await payments.add(tx, payment)
        await booking_moves.start_paying(tx, booking.id, payment.id, now=now, due_at=now + LATER)

    await desk.transact(start)
    return booking, payment


async def kept(desk, paid):
    async with desk.read() as tx:
        return await bookings.by_id(tx, paid[0].id), await payments.by_id(tx, paid[1].id)


async def test_what_was_heard_is_kept_until_the_payment_moves_on(desk, now, paid):
    _, payment = paid
    heard = replace(payment, reference="pi_3Q", next_action=GO)
    assert await desk.transact(lambda tx: payments.hear(tx, heard))
    _, found = await kept(desk, paid)
    assert found == replace(heard, ver=2)
    created, authorized = PaymentStatus.CREATED, PaymentStatus.AUTHORIZED
    await desk.transact(lambda tx: payments.move(tx, payment.id, created, authorized, due_at=now))
    _, found = await kept(desk, paid)
    assert (found.reference, found.next_action) == ("pi_3Q", None)


async def test_a_move_keeps_the_reference_that_came_with_it(desk, now, paid):
    _, payment = paid
    void_due, declined = PaymentStatus.VOID_DUE, Failure.DECLINED
    await desk.transact(
        lambda tx: payments.move(
            tx,
            payment.id,
            payment.status,
            void_due,
            due_at=now,
            failure=declined,
            reference="pi_4",
        )
    )
    _, found = await kept(desk, paid)
    assert (found.status, found.failure, found.reference) == (void_due, declined, "pi_4")


async def test_news_of_a_payment_that_has_moved_on_is_no_news(desk, now, paid):
    _, payment = paid
    created, authorized = PaymentStatus.CREATED, PaymentStatus.AUTHORIZED
    await desk.transact(lambda tx: payments.move(tx, payment.id, created, authorized, due_at=now))
    before = await kept(desk, paid)
    heard = replace(payment, reference="pi_5", next_action=GO)
    assert not await desk.transact(lambda tx: payments.hear(tx, heard))
    assert not await desk.transact(lambda tx: payments.hasten(tx, payment, now=now))
    assert not await desk.transact(lambda tx: payments.postpone(tx, payment, due_at=now + LATER))
    assert await kept(desk, paid) == before


@pytest.mark.parametrize("after_s", [1, 600])
async def test_who_is_woken_is_due_and_none_is_put_off_by_it(desk, now, paid, after_s):
    booking, payment = paid
    moment = now + timedelta(seconds=after_s)
    for _ in range(2):
        assert await desk.transact(lambda tx: payments.hasten(tx, payment, now=moment))
        assert await desk.transact(
            lambda tx: booking_moves.hasten(tx, booking.id, payment.id, now=moment)
        )
    found, found_payment = await kept(desk, paid)
    assert found.due_at == min(moment, now + LATER)
    assert found_payment.due_at == moment
    assert (found.status, found_payment.status) == (BookingStatus.PAYING, PaymentStatus.CREATED)
    assert (found.ver, found_payment.ver) == (4, 1)


async def test_a_move_of_an_earlier_life_does_not_touch_the_next_one(desk, now, paid):
    """States come back when a payment is reopened; its version does not."""
    _, payment = paid
    created, void_due, voided = (
        PaymentStatus.CREATED,
        PaymentStatus.VOID_DUE,
        PaymentStatus.VOIDED,
    )

    async def lives(tx, *path):
        for old, new in pairwise(path):
            assert await payments.move(tx, payment.id, old, new, due_at=now)

    await desk.transact(lambda tx: lives(tx, created, void_due))
    _, read = await kept(desk, paid)
    await desk.transact(lambda tx: lives(tx, void_due, voided, void_due))
    assert not await desk.transact(
        lambda tx: payments.move(tx, payment.id, void_due, voided, due_at=now, ver=read.ver)
    )
    _, read = await kept(desk, paid)
    assert await desk.transact(
        lambda tx: payments.move(tx, payment.id, void_due, voided, due_at=now, ver=read.ver)
    )


async def test_only_the_payment_that_pays_for_it_wakes_a_booking(desk, now, paid):
    booking, _ = paid
    before = await kept(desk, paid)
    assert not await desk.transact(
        lambda tx: booking_moves.hasten(tx, booking.id, "other", now=now)
    )
    assert await kept(desk, paid) == before


async def test_who_was_woken_is_not_put_off_by_a_step_that_began_before(desk, now, paid):
    booking, payment = paid
    before, _ = await kept(desk, paid)
    await desk.transact(lambda tx: payments.hasten(tx, payment, now=now))
    await desk.transact(lambda tx: booking_moves.hasten(tx, booking.id, payment.id, now=now))
    due_at = now + LATER
    assert not await desk.transact(lambda tx: payments.postpone(tx, payment, due_at=due_at))
    assert not await desk.transact(
        lambda tx: booking_moves.postpone(tx, booking.id, before.ver, due_at=due_at)
    )


async def test_waiting_for_the_payer_counts_no_attempt(desk, now, paid):
    booking, _ = paid
    before, _ = await kept(desk, paid)
    for failed, attempts in ((True, 1), (True, 2), (False, 0)):
        await desk.transact(
            lambda tx, failed=failed: booking_moves.postpone(
                tx, booking.id, before.ver, due_at=now + LATER, failed=failed
            )
        )
        assert (await kept(desk, paid))[0].attempts == attempts
