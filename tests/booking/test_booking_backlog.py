"""What an operator sees of the work that waits, and of what was done."""

from __future__ import annotations

import pytest
from booking_stage import Unknown, raises

from skyhold.booking.services.backlog import KINDS, Backlog
from skyhold.kernel.backlog import DUE_ROWS, OLDEST_AGE, OVERDUE_ROWS, UNPUBLISHED
from support.prometheus import Since


@pytest.fixture
async def system(start):
    async with start() as system:
        yield system


@pytest.fixture
def look(system):
    """What waits: the labels whose value is not zero, for each question."""

    async def ask():
        readings = await Backlog(system.bookings.db, system.clock).look()
        return {
            question: {labels: value for labels, value in values.items() if value}
            for question, values in readings.items()
        }

    return ask


async def test_there_is_a_zero_for_everything_that_could_wait(system):
    readings = await Backlog(system.bookings.db, system.clock).look()
    labels = {(kind, status) for kind, statuses in KINDS.items() for status in statuses}
    assert ("payment", "refund_due") in labels
    assert readings[DUE_ROWS] == readings[OVERDUE_ROWS] == dict.fromkeys(labels, 0)
    assert readings[UNPUBLISHED] == readings[OLDEST_AGE] == {("booking",): 0}


async def test_bookings_are_due_at_their_deadline_and_overdue_when_nobody_comes(system, look):
    alice = await system.traveller("Alice")
    await alice.book(await system.a_flight())
    seen = await look()
    assert (seen[DUE_ROWS], seen[UNPUBLISHED]) == ({}, {("booking",): 1})
    system.advance(minutes=15, seconds=1)
    seen = await look()
    assert seen[DUE_ROWS] == {("booking", "held"): 1}
    assert seen[OVERDUE_ROWS] == {}
    assert 900 < seen[OLDEST_AGE][("booking",)] < 960
    system.advance(minutes=1)
    assert (await look())[OVERDUE_ROWS] == {("booking", "held"): 1}
    await system.bookings.drive.run_once()
    assert ("booking", "held") not in (await look())[DUE_ROWS]


async def test_a_refund_that_fails_and_fails_is_overdue_although_it_is_put_off(system, look, world):
    alice = await system.traveller("Alice")
    booking = (await alice.book(await system.a_flight())).body
    assert (await alice.pay(booking)).status == 201
    world.on("refund", raises(Unknown("the provider is away")))
    await alice.cancel(booking)
    for _ in range(8):
        system.advance(minutes=5)
        await system.bookings.drive.run_once()
    seen = await look()
    assert seen[OVERDUE_ROWS] == {("payment", "refund_due"): 1}


async def test_sign_ins_are_counted_by_how_they_ended(system):
    since = Since()
    alice = await system.traveller("Alice")
    reply = await system.bookings_http.post(
        "/api/v1/users/login", json={"email": alice.email, "password": "something else"}
    )
    assert reply.status_code == 401
    assert since("skyhold_sign_ins_total", outcome="succeeded") == 1
    assert since("skyhold_sign_ins_total", outcome="failed") == 1
