"""One database is restored from an older backup; the audit says what that means, and mends it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import asynccontextmanager, closing

import pytest
from audit_stage import Desk, Kind, Outcome, Repair, a_desk

from support.system import one_process
from support.traveller import seats_of


@pytest.fixture
def life(tmp_path, template):
    """The system runs on its files, is stopped, and runs again."""
    folder, nothing = tmp_path / "data", tmp_path / "nothing"
    nothing.mkdir()
    known = {}

    @asynccontextmanager
    async def life():
        if not known:
            async with a_desk(folder, template) as desk:
                known.update(alice=desk.alice, flight=desk.flight)
                yield desk
            return
        async with one_process(
            folder, nothing, expiry_period_s=3600, sweep_period_s=3600, audit_settle_s=0
        ) as system:
            alice = type(known["alice"])(
                system.bookings_http, known["alice"].token, known["alice"].email
            )
            yield Desk(system, folder, alice, known["flight"])

    return life


@pytest.fixture
def backup(tmp_path):
    """Copy a database while the system runs."""

    def backup(books):
        with (
            closing(sqlite3.connect(tmp_path / "data" / f"{books}.db")) as now,
            closing(sqlite3.connect(tmp_path / f"{books}.backup")) as copy,
        ):
            now.backup(copy)

    return backup


@pytest.fixture
def restore(tmp_path):
    """Put the copy in the place of a database, while the system is stopped."""

    def restore(books):
        for left in (tmp_path / "data").glob(f"{books}.db*"):
            left.unlink()
        shutil.copy(tmp_path / f"{books}.backup", tmp_path / "data" / f"{books}.db")

    return restore


def wanted(found):
    return sorted((finding.kind, finding.repair) for finding in found.findings)


async def test_a_flight_database_that_lost_an_hour_gets_its_seats_back(life, backup, restore):
    async with life() as desk:
        before = await desk.confirmed(seats=["1A"])
        to_confirm, to_cancel = await desk.held(seats=["2A"]), await desk.confirmed(seats=["3A"])
        backup("flight")
        assert (await desk.alice.pay(to_confirm)).status == 201
        assert (await desk.alice.cancel(to_cancel)).status == 200
        lost = await desk.confirmed(seats=["4A", "4C"], party=2)
        unpaid = await desk.held(seats=["5A"])
        assert (await desk.audit()).kinds == []
    restore("flight")
    async with life() as desk:
        assert await desk.system.seats_left(desk.flight) == 100 - 3
        found = await desk.audit()
        assert wanted(found) == [
            (Kind.HELD_WITHOUT_SEATS, Repair.WAIT),
            (Kind.HOLD_MISSING, Repair.HOLD_AGAIN),
            (Kind.HOLD_NOT_CONFIRMED, Repair.CONFIRM_HOLD),
            (Kind.SEATS_KEPT, Repair.GIVE_SEATS_BACK),
        ]
        ids = {finding.kind: finding.booking_id for finding in found.findings}
        assert ids == {
            Kind.HELD_WITHOUT_SEATS: unpaid["id"],
            Kind.HOLD_MISSING: lost["id"],
            Kind.HOLD_NOT_CONFIRMED: to_confirm["id"],
            Kind.SEATS_KEPT: to_cancel["id"],
        }
        for finding in found.findings:
            if finding.is_repairable:
                assert await desk.repair(finding) == (Outcome.DONE, "")
        await desk.works()
        assert (await desk.audit()).kinds == [Kind.HELD_WITHOUT_SEATS]
        for booking in (before, to_confirm, lost):
            assert desk.claims(booking["id"]) == seats_of(booking)
        assert desk.claims(to_cancel["id"]) == []
        assert (await desk.alice.pay(unpaid)).code == "hold_expired", "and is not charged"
        await desk.works()
        assert (await desk.audit()).kinds == []


async def test_a_booking_database_that_lost_an_hour_says_whose_money_is_missing(
    life, backup, restore
):
    async with life() as desk:
        await desk.confirmed(seats=["1A"])
        to_pay = await desk.held(seats=["2A"])
        to_cancel = await desk.confirmed(seats=["3A"])
        backup("booking")
        assert (await desk.alice.pay(to_pay)).status == 201
        assert (await desk.alice.cancel(to_cancel)).status == 200
        paid = desk.payments_of(to_pay)
        lost = await desk.confirmed(seats=["4A"])
        paid += desk.payments_of(lost)
        await desk.works()
        assert (await desk.audit()).kinds == []
    restore("booking")
    async with life() as desk:
        found = await desk.audit()
        assert wanted(found) == [
            (Kind.HELD_BUT_SOLD, Repair.PERSON),
            (Kind.REFUNDED_THERE, Repair.PERSON),
            (Kind.SEATS_GONE, Repair.PERSON),
            (Kind.SEATS_OF_NOBODY, Repair.PERSON),
            (Kind.UNKNOWN_PAYMENT, Repair.PERSON),
            (Kind.UNKNOWN_PAYMENT, Repair.PERSON),
        ]
        strangers = {
            finding.payment_id for finding in found.findings if finding.kind is Kind.UNKNOWN_PAYMENT
        }
        assert strangers == set(paid)
        assert found.only(Kind.SEATS_OF_NOBODY).booking_id == lost["id"]
        assert found.only(Kind.HELD_BUT_SOLD).booking_id == to_pay["id"]
        # A person refunds at the provider's what nobody here knows, and cancels what was cancelled.
        for payment in paid:
            desk.there(payment, state="refunded")
        assert (await desk.alice.cancel(to_cancel)).status == 200
        desk.system.advance(minutes=16)
        await desk.works()
        found = await desk.audit()
        # The one that came back as held has expired, and its seats are still there for a person.
        assert wanted(found) == [
            (Kind.HELD_BUT_SOLD, Repair.PERSON),
            (Kind.SEATS_OF_NOBODY, Repair.CANCEL_HOLD),
        ]
        assert await desk.repair(found.only(Kind.SEATS_OF_NOBODY)) == (Outcome.DONE, "")
        assert (await desk.audit()).kinds == [Kind.HELD_BUT_SOLD]
        assert await desk.system.seats_left(desk.flight) == 100 - 2


async def test_a_provider_that_lost_an_hour_is_told_again_what_it_forgot(life, backup, restore):
    async with life() as desk:
        await desk.confirmed()
        to_refund, to_void = await desk.confirmed(), await desk.held()
        assert (await desk.alice.pay(to_void, "tok_capture_refused")).status == 402
        (void,) = desk.payments_of(to_void)
        desk.there(void, state="authorized")  # as it was a moment before
        backup("sandbox")
        desk.there(void, state="cancelled")
        assert (await desk.alice.cancel(to_refund)).status == 200
        lost = await desk.confirmed()
        assert (await desk.audit()).kinds == []
    restore("sandbox")
    async with life() as desk:
        found = await desk.audit()
        assert wanted(found) == [
            (Kind.MONEY_STILL_THERE, Repair.WAKE_PAYMENT),
            (Kind.MONEY_STILL_THERE, Repair.WAKE_PAYMENT),
            (Kind.NOT_CAPTURED_THERE, Repair.PERSON),
        ]
        for finding in found.findings:
            if finding.is_repairable:
                assert await desk.repair(finding) == (Outcome.DONE, "")
        await desk.works()
        found = await desk.audit()
        assert [finding.booking_id for finding in found.findings] == [lost["id"]]
        states = dict(desk.rows("sandbox", "SELECT id, state FROM sandbox_payments"))
        assert states[void] == "cancelled"
        assert states[desk.payments_of(to_refund)[0]] == "refunded"
