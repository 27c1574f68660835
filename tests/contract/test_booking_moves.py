"""Accounts, bookings and payments: of all concurrent callers exactly one has its way."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from booking_desk import a_booking, a_payment, a_user
from sqlalchemy import select, update

from skyhold.booking.models import booking as booking_model
from skyhold.booking.models import payment as payment_model
from skyhold.booking.models.booking import (
    Booking,
    BookingStatus,
    Position,
)
from skyhold.booking.models.payment import AT_REST, Failure, PaymentStatus
from skyhold.booking.models.tables import BookingRow, PaymentRow
from skyhold.booking.models.user import email_key
from skyhold.booking.repositories import booking_moves, bookings, payments, users
from skyhold.kernel.db import Dangling, Duplicate
from skyhold.kernel.ids import new_id
from skyhold.kernel.passwords import Hashed

RIVALS = 8


@pytest.fixture
def replicas(desk, connect):
    return desk, connect()


async def look(db, booking_id):
    async with db.read() as tx:
        return await bookings.by_id(tx, booking_id)


# --- accounts --------------------------------------------------------------------------------


async def test_an_account_comes_back_as_it_was_written(desk, ada):
    async with desk.read() as tx:
        assert await users.by_id(tx, ada.id) == ada
        assert await users.by_email_key(tx, ada.email_key) == ada
        for other in (ada.email, ada.email_key + " ", ada.email_key.replace("a", "á")):
            assert await users.by_email_key(tx, other) is None


async def test_of_many_who_register_the_same_address_one_gets_it(replicas, now):
    people = [a_user(now, email_key=email_key("Twin@Example.com")) for _ in range(RIVALS)]
    outcomes = await asyncio.gather(
        *(
            replicas[nth % 2].transact(lambda tx, user=user: users.add(tx, user))
            for nth, user in enumerate(people)
        ),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in outcomes) == ["Duplicate"] * 7 + ["NoneType"]


async def test_of_many_who_change_a_hash_one_does(replicas, ada):
    changed = await asyncio.gather(
        *(
            replicas[nth % 2].transact(
                lambda tx, new=f"{nth:060}": users.change_password(
                    tx, ada.id, old=ada.password_hash, new=Hashed(new, None)
                )
            )
            for nth in range(RIVALS)
        )
    )
    assert changed.count(True) == 1


# --- bookings --------------------------------------------------------------------------------


async def test_a_booking_comes_back_as_it_was_written(desk, ada, now, write):
    booking = a_booking(ada, now, idempotency_key="Key", request_digest="d" * 64)
    await write(booking)
    async with desk.read() as tx:
        assert await bookings.by_id(tx, booking.id) == booking
        assert await bookings.by_ids(tx, [booking.id, new_id()]) == {booking.id: booking}
        assert await bookings.by_key(tx, ada.id, "Key") == booking
        assert await bookings.by_key(tx, ada.id, "key") is None


@pytest.mark.parametrize("same", ["id", "record_locator", "idempotency_key"])
async def test_a_second_booking_of_the_same_name_is_a_duplicate_and_leaves_nothing(
    desk, ada, now, write, same
):
    booking = a_booking(ada, now, idempotency_key="key")
    await write(booking)
    twin = replace(a_booking(ada, now, idempotency_key="other"), **{same: getattr(booking, same)})
    with pytest.raises(Duplicate):
        await write(a_booking(ada, now), twin)
    async with desk.read() as tx:
        found = await bookings.of_user(tx, ada.id, status=None, after=None, limit=10)
    assert found == [booking]


async def test_keys_differ_by_user_and_no_key_is_no_duplicate(ada, desk, now, write):
    bob = a_user(now)
    await desk.transact(lambda tx: users.add(tx, bob))
    await write(
        *(a_booking(who, now, idempotency_key="key") for who in (ada, bob)),
        *(a_booking(ada, now) for _ in range(3)),
    )


async def test_a_booking_of_nobody_dangles(desk, now, write):
    with pytest.raises(Dangling):
        await write(a_booking(a_user(now), now))


async def test_the_same_key_at_once_is_one_booking(replicas, ada, now):
    twins = [a_booking(ada, now, idempotency_key="click") for _ in range(RIVALS)]
    outcomes = await asyncio.gather(
        *(
            replicas[nth % 2].transact(lambda tx, one=one: bookings.add(tx, [one]))
            for nth, one in enumerate(twins)
        ),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in outcomes) == ["Duplicate"] * 7 + ["NoneType"]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
async def test_pages_hold_every_booking_once_even_of_one_instant(desk, ada, now, write, size):
    instants = [now, now, now, now + timedelta(microseconds=1), now - timedelta(days=1), now]
    written = [a_booking(ada, at, id=new_id()) for at in instants]
    await write(*written)
    newest_first = sorted(written, key=lambda each: (each.created_at, each.id), reverse=True)
    seen: list[Booking] = []
    async with desk.read() as tx:
        while page := await bookings.of_user(
            tx,
            ada.id,
            status=BookingStatus.HELD,
            after=Position(seen[-1].created_at, seen[-1].id) if seen else None,
            limit=size,
        ):
            assert len(page) <= size
            seen += page
    assert seen == newest_first


async def test_the_longest_overdue_bookings_come_first_and_no_others(desk, ada, now, write):
    due = [a_booking(ada, now, due_at=now - timedelta(microseconds=micros)) for micros in (0, 2, 1)]
    later = a_booking(ada, now, due_at=now + timedelta(microseconds=1))
    resting = a_booking(ada, now, status=BookingStatus.CONFIRMED, due_at=None)
    await write(*due, later, resting)
    held, confirmed = BookingStatus.HELD, BookingStatus.CONFIRMED
    in_order = [due[1].id, due[2].id, due[0].id]
    async with desk.read() as tx:
        assert await bookings.due(tx, {held, confirmed}, now, 10) == in_order
        assert await bookings.due(tx, {held}, now, 2) == in_order[:2]
        assert await bookings.due(tx, {confirmed}, now, 10) == []


PAYING = {"status": BookingStatus.PAYING, "active_payment_id": "p" * 36}
ENDED = {"status": BookingStatus.CANCELLED}
# The move, and a booking on which it can be made: once.
MOVES = {
    "start paying": (
        {},
        lambda tx, id, now: booking_moves.start_paying(tx, id, new_id(), now=now, due_at=now),
    ),
    **{
        f"paying to {new}": (
            PAYING,
            lambda tx, id, now, new=new: booking_moves.stop_paying(
                tx, id, "p" * 36, new, due_at=now
            ),
        )
        for new in sorted(booking_model.NEXT[BookingStatus.PAYING])
    },
    "expire": (
        {"payment_required_by": datetime(2080, 1, 1, 12, tzinfo=UTC)},
        lambda tx, id, now: booking_moves.expire(tx, id, now=now),
    ),
    **{
        f"cancel {old}": (
            {"status": old},
            lambda tx, id, now, old=old: booking_moves.cancel(tx, id, old, now=now),
        )
        for old in (BookingStatus.HELD, BookingStatus.CONFIRMED)
    },
    "close the hold": (ENDED, lambda tx, id, now: booking_moves.close_hold(tx, id)),
}


@pytest.mark.parametrize("move", MOVES)
async def test_of_many_who_move_a_booking_exactly_one_does(desk, replicas, ada, now, write, move):
    state, make = MOVES[move]
    booking, bystander = a_booking(ada, now, **state), a_booking(ada, now, **state)
    await write(booking, bystander)
    moved = await asyncio.gather(
        *(replicas[nth % 2].transact(lambda tx: make(tx, booking.id, now)) for nth in range(RIVALS))
    )
    assert moved.count(True) == 1
    assert moved.count(False) == RIVALS - 1
    after = await look(desk, booking.id)
    assert after.ver == 2
    assert after != replace(booking, ver=2)
    assert await look(desk, bystander.id) == bystander


async def test_rival_moves_on_one_booking_leave_one_winner(desk, replicas, ada, now, write):
    """Pay against cancel against the deadline: whoever is first."""
    for _ in range(5):
        booking = a_booking(ada, now)
        await write(booking)
        end = booking.payment_required_by
        rivals = {
            BookingStatus.PAYING: lambda tx, id=booking.id: booking_moves.start_paying(
                tx, id, new_id(), now=now, due_at=now
            ),
            BookingStatus.CANCELLED: lambda tx, id=booking.id: booking_moves.cancel(
                tx, id, BookingStatus.HELD, now=now
            ),
            BookingStatus.EXPIRED: lambda tx, id=booking.id, end=end: booking_moves.expire(
                tx, id, now=end
            ),
        }
        moved = await asyncio.gather(
            *(replicas[nth % 2].transact(work) for nth, work in enumerate(rivals.values()))
        )
        assert moved.count(True) == 1
        winner = list(rivals)[moved.index(True)]
        assert (await look(desk, booking.id)).status is winner


async def test_the_deadline_is_kept_to_the_microsecond(desk, ada, write):
    now = datetime(2080, 1, 1, 12, 0, 0, 123_456, tzinfo=UTC)
    early, late = a_booking(ada, now), a_booking(ada, now)
    await write(early, late)
    end = early.payment_required_by
    before = end - timedelta(microseconds=1)

    async def work(tx):
        assert not await booking_moves.expire(tx, early.id, now=before)
        assert not await booking_moves.start_paying(tx, late.id, new_id(), now=end, due_at=end)
        assert await booking_moves.start_paying(tx, early.id, new_id(), now=before, due_at=end)
        assert await booking_moves.expire(tx, late.id, now=end)

    await desk.transact(work)


async def test_a_postponement_yields_to_any_change_since(desk, ada, now, write):
    booking = a_booking(ada, now)
    await write(booking)
    later = now + timedelta(hours=1)
    assert await desk.transact(
        lambda tx: booking_moves.postpone(tx, booking.id, booking.ver, due_at=later)
    )
    postponed = await look(desk, booking.id)
    assert (postponed.due_at, postponed.attempts) == (later, 1)
    await desk.transact(lambda tx: booking_moves.touch(tx, booking.id))
    assert not await desk.transact(
        lambda tx: booking_moves.postpone(tx, booking.id, booking.ver, due_at=now)
    )
    assert (await look(desk, booking.id)).due_at == later


STUCK = {
    "paying with nothing": {"status": "paying"},
    "held with a payment": {"active_payment_id": "x"},
    "held without an end": {"due_at": None},
    "held without seats": {"hold_open": False},
    "a state nobody knows": {"status": "frozen"},
    "a price below zero": {"total_minor": -1},
    "ended, and its seats forgotten": {"status": "expired", "due_at": None},
}


@pytest.mark.parametrize("what", STUCK)
async def test_the_database_itself_refuses_rows_that_cannot_be(desk, ada, now, write, what):
    booking = a_booking(ada, now)
    await write(booking)
    wrong = update(BookingRow).where(BookingRow.id == booking.id).values(**STUCK[what])
    with pytest.raises(Exception, match=r"(?i)check constraint|constraint .* failed"):
        await desk.transact(lambda tx: tx.run(wrong))
    assert await look(desk, booking.id) == booking


# --- payments --------------------------------------------------------------------------------


async def test_a_payment_comes_back_as_it_was_written(desk, ada, now, write):
    booking = a_booking(ada, now)
    first = a_payment(booking, now, idempotency_key="k", request_digest="d" * 64)
    second = a_payment(booking, now + timedelta(microseconds=1), failure=Failure.DECLINED)
    await write(booking, first, second)
    async with desk.read() as tx:
        assert await payments.by_id(tx, first.id) == first
        assert await payments.by_key(tx, ada.id, "k") == first
        assert await payments.latest(tx, [booking.id]) == {booking.id: second}


@pytest.mark.parametrize("same", ["id", "idempotency_key"])
async def test_a_second_payment_of_the_same_name_is_a_duplicate(ada, now, write, same):
    booking = a_booking(ada, now)
    payment = a_payment(booking, now, idempotency_key="key")
    await write(booking, payment)
    with pytest.raises(Duplicate):
        await write(replace(a_payment(booking, now), **{same: getattr(payment, same)}))


EDGES = [(old, new) for old, after in payment_model.NEXT.items() for new in sorted(after)]


@pytest.mark.parametrize(("old", "new"), EDGES, ids=lambda state: state.value)
async def test_of_many_who_move_a_payment_exactly_one_does(
    desk, replicas, ada, now, write, old, new
):
    booking = a_booking(ada, now)
    due_at = None if old in AT_REST else now
    payment = a_payment(booking, now, status=old, due_at=due_at)
    await write(booking, payment)
    moved = await asyncio.gather(
        *(
            replicas[nth % 2].transact(
                lambda tx: payments.move(tx, payment.id, old, new, due_at=now)
            )
            for nth in range(RIVALS)
        )
    )
    assert moved.count(True) == 1
    async with desk.read() as tx:
        after = await payments.by_id(tx, payment.id)
        ver = await tx.scalar(select(PaymentRow.ver))
    assert (after.status, ver) == (new, 2)
    assert (after.due_at is None, after.token == "") == (new in AT_REST, new in AT_REST)


async def test_owing_and_due_payments_are_found_in_their_turn(desk, ada, now, write):
    booking = a_booking(ada, now)
    owed = [
        a_payment(booking, now, status=status, due_at=now - timedelta(seconds=ago))
        for status, ago in (
            (PaymentStatus.VOID_DUE, 1),
            (PaymentStatus.REFUND_DUE, 3),
            (PaymentStatus.VOID_DUE, 2),
        )
    ]
    later = a_payment(booking, now, status=PaymentStatus.VOID_DUE, due_at=now + timedelta(hours=1))
    at_rest = a_payment(booking, now, status=PaymentStatus.CAPTURED, due_at=None)
    underway = a_payment(booking, now)
    await write(booking, *owed, later, at_rest, underway)
    async with desk.read() as tx:
        assert await payments.due(tx, now, 10) == [owed[1].id, owed[2].id, owed[0].id]
        assert await payments.due(tx, now, 1) == [owed[1].id]
        owing = await payments.owing(tx, booking.id)
        assert {each.id for each in owing} == {each.id for each in (*owed, later)}
        assert await payments.captured(tx, booking.id) == at_rest


async def test_two_attempts_to_pay_at_once_are_one_payment(desk, replicas, ada, now, write):
    """As the cashier does it: the intent and the move in one transaction, or neither."""
    booking = a_booking(ada, now)
    await write(booking)

    class NotOurs(Exception):
        pass

    async def start(tx):
        payment = a_payment(booking, now)
        await payments.add(tx, payment)
        if not await booking_moves.start_paying(tx, booking.id, payment.id, now=now, due_at=now):
            raise NotOurs
        return payment.id

    outcomes = await asyncio.gather(
        *(replicas[nth % 2].transact(start) for nth in range(RIVALS)), return_exceptions=True
    )
    (winner,) = [each for each in outcomes if isinstance(each, str)]
    assert [type(each) for each in outcomes if each != winner] == [NotOurs] * (RIVALS - 1)
    assert (await look(desk, booking.id)).active_payment_id == winner
    async with desk.read() as tx:
        assert set(await tx.rows(select(PaymentRow.id))) == {(winner,)}
