"""What happens between two pages looks wrong, and is not reported."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from audit_stage import FAR, Kind

from skyhold.booking.services.audit import suspects
from skyhold.booking.services.audit.look import PAUSES_S
from skyhold.kernel.client import Unknown
from skyhold.kernel.errors import Unavailable


@pytest.fixture
def between(desk, monkeypatch):
    """Let something happen just before the next call of one of the parties."""

    def between(party, call, happens, *, times=1):
        real, left = getattr(party, call), [times]

        async def first(*what):
            if left[0] > 0:
                left[0] -= 1
                await happens()
            return await real(*what)

        monkeypatch.setattr(party, call, first)

    return between


@pytest.fixture
def looks(monkeypatch):
    """Who looked wrong at first sight."""
    seen, add = [], suspects.Suspects.add

    async def noted(self, suspect):
        seen.append(suspect.id)
        await add(self, suspect)

    monkeypatch.setattr(suspects.Suspects, "add", noted)
    return seen


async def test_a_booking_that_is_made_after_its_page_was_read(desk, between, looks):
    made = []

    async def book():
        booking = await desk.confirmed()
        made.append(booking["id"])

    between(desk.system.bookings.flights, "page", book)
    found = await desk.audit()
    assert looks == made, "a confirmed hold without a booking, at first sight"
    assert (found.kinds, found.report.status, found.report.moving) == ([], 0, 0)


async def test_a_booking_that_is_cancelled_after_its_page_was_read(desk, between, looks):
    booking = await desk.confirmed()

    async def cancel():
        assert (await desk.alice.cancel(booking)).status == 200

    between(desk.system.bookings.flights, "page", cancel)
    assert (await desk.audit()).kinds == []
    assert looks == [booking["id"]]


async def test_a_payment_that_is_captured_after_the_provider_was_read(desk, between, looks):
    booking = await desk.held()
    desk.system.advance(seconds=1)
    reader = desk.system.bookings.auditing.auditor.reader

    async def pay():
        assert (await desk.alice.pay(booking)).status == 201
        # As if it had been begun long before, and was captured just now.
        begun = str((desk.system.now() - timedelta(hours=1)).replace(tzinfo=None))
        desk.payment(*desk.payments_of(booking), created_at=begun)

    between(type(reader), "_payments", pay)
    assert (await desk.audit()).kinds == []
    assert looks == desk.payments_of(booking)


async def test_payments_that_are_begun_meanwhile_are_left_for_next_time(desk, between, looks):
    booking = await desk.held()

    async def pay():
        assert (await desk.alice.pay(booking)).status == 201

    between(type(desk.system.bookings.auditing.auditor.reader), "_payments", pay)
    assert (await desk.audit()).kinds == []
    assert looks == []


@pytest.fixture
def answered(desk, monkeypatch):
    """Let something happen once the provider has said how a payment stands, before it is heard."""

    def answered(happens):
        provider, real = desk.system.bookings.provider, desk.system.bookings.provider.get
        answers = []

        async def get(charge):
            answers.append(await real(charge))
            if len(answers) == 1:
                happens()
            return answers[-1]

        monkeypatch.setattr(provider, "get", get)
        return answers

    return answered


async def test_a_booking_that_is_refunded_while_the_provider_is_asked(desk, answered):
    booking = await desk.confirmed()
    (payment,) = desk.payments_of(booking)
    desk.there(payment, state="refunded")
    answered(lambda: desk.payment(payment, status="refund_due", due_at=FAR, ver=9))
    assert Kind.REFUNDED_THERE not in (await desk.audit()).kinds


async def test_a_late_success_that_is_voided_while_the_provider_is_asked(desk, answered):
    booking = await desk.declined()
    (payment,) = desk.payments_of(booking)
    desk.there(payment, state="authorized")

    def voided_once_more():
        desk.there(payment, state="cancelled")
        desk.payment(payment, ver=9)

    answers = answered(voided_once_more)
    assert (await desk.audit()).kinds == []
    assert [answer.state for answer in answers] == ["authorized", "cancelled"]


async def test_what_moves_whenever_it_is_looked_at_is_counted_and_not_judged(desk, between):
    booking = await desk.confirmed()
    desk.hold(booking, "cancelled")
    desk.lose_claims(booking)
    count = iter(range(1, 100))

    async def move():
        desk.booking(booking, ver=100 + next(count))

    between(desk.system.bookings.flights, "facts", move, times=100)
    found = await desk.audit()
    assert (found.kinds, found.report.moving) == ([], 1)
    assert next(count) == suspects.LOOKS_MAX + 1


async def test_what_moved_once_is_judged_when_it_stands_still(desk, between):
    booking = await desk.confirmed()
    desk.hold(booking, "cancelled")
    desk.lose_claims(booking)

    async def move():
        desk.booking(booking, ver=100)

    between(desk.system.bookings.flights, "facts", move)
    assert (await desk.audit()).kinds == [Kind.SEATS_GONE]


# --- others that do not answer ------------------------------------------------------------------


@pytest.fixture
def slept(desk, monkeypatch):
    """How long an audit paused; nobody waits."""
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)

    reader = desk.system.bookings.auditing.auditor.reader
    object.__setattr__(reader, "sleep", sleep)
    yield pauses
    object.__setattr__(reader, "sleep", asyncio.sleep)


@pytest.mark.parametrize("error", [Unknown("silent"), Unavailable("busy")])
async def test_a_party_that_is_away_for_a_while_is_waited_for(desk, between, slept, error):
    await desk.confirmed()

    async def away():
        raise error

    between(desk.system.bookings.flights, "page", away, times=3)
    found = await desk.audit()
    assert (found.report.status, found.report.bookings) == (0, 1)
    assert slept == list(PAUSES_S[:3])


async def test_what_cannot_be_compared_is_said_and_the_rest_is_compared(desk, between, slept):
    booking = await desk.confirmed()
    desk.there(*desk.payments_of(booking), state="refunded")
    lost = await desk.confirmed()
    desk.lose_hold(lost)

    async def away():
        msg = "gone"
        raise Unknown(msg)

    between(desk.system.bookings.flights, "page", away, times=100)
    found = await desk.audit()
    assert found.kinds == [Kind.REFUNDED_THERE]
    assert found.report.not_compared == ["bookings and holds: gone"]
    assert found.report.status == 1
    desk.wipe()
    found = await desk.audit()
    assert (found.kinds, found.report.status) == ([], 2)


async def test_without_the_provider_no_hold_is_cancelled(desk, slept, monkeypatch):
    booking = await desk.confirmed()
    desk.lose_there(*desk.payments_of(booking))
    desk.lose_booking(booking)

    async def ledger(_):
        msg = "no list today"
        raise Unknown(msg)
        yield

    monkeypatch.setattr(type(desk.system.bookings.provider), "ledger", lambda *_: ledger(_))
    found = await desk.audit()
    assert not found.only(Kind.SEATS_OF_NOBODY).is_repairable
    assert len(found.report.not_compared) == 1
    assert "no list today" in found.report.not_compared[0]
