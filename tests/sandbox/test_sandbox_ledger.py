"""The sandbox's ledger: every movement once, every call counted, nothing ever taken back."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import timedelta

import pytest
from sandbox_stage import CLOCK, PRICE, a_charge, ledger_in

from skyhold.booking.clients.payments.port import Entry
from skyhold.booking.clients.payments.port import ProviderState as State
from skyhold.kernel.clock import FrozenClock
from skyhold.kernel.ids import new_id
from skyhold.kernel.money import Money
from skyhold.sandbox.moves import MOVES
from skyhold.sandbox.moves import State as LedgerState

WAITS = {"pending", "requires_action"}
# The file as version 0.1 made it.
BEFORE = """
    CREATE TABLE sandbox_payments (
        id VARCHAR(36) NOT NULL, token VARCHAR(255) NOT NULL, amount_minor BIGINT NOT NULL,
        currency VARCHAR(3) NOT NULL, state VARCHAR(16) NOT NULL, changed_at DATETIME NOT NULL,
        CONSTRAINT pk_sandbox_payments PRIMARY KEY (id));
    INSERT INTO sandbox_payments
        VALUES ('old', 'tok_visa', 12900, 'USD', 'captured', '2026-01-02 03:04:05.000006');
"""


@pytest.fixture
def rows(tmp_path):
    """What the ledger's file says."""

    def rows(query):
        connection = sqlite3.connect(tmp_path / "sandbox.db")
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    return rows


def movements(rows, charge):
    found = rows("SELECT payment_id, kind FROM sandbox_entries ORDER BY seq")
    return [kind for payment_id, kind in found if payment_id == charge.id]


STORIES = {
    "tok_visa": (["authorise", "capture", "refund"], ["authorized", "captured", "refunded"]),
    "tok_declined": (["authorise", "cancel"], ["declined", "cancelled"]),
    "tok_capture_refused": (
        ["authorise", "capture", "cancel"],
        ["authorized", "capture_refused", "cancelled"],
    ),
    "tok_refund_fails": (
        ["authorise", "capture", "refund", "refund"],
        ["authorized", "captured", "refunded"],
    ),
    "tok_3ds": (["authorise", "cancel"], ["cancelled"]),
}


@pytest.mark.parametrize("token", STORIES)
async def test_every_movement_is_written_once_however_often_it_is_asked_for(sandbox, rows, token):
    charge = a_charge(token)
    calls, kinds = STORIES[token]
    for call in calls:
        await getattr(sandbox, call)(charge)
    for call in calls[-1:] * 3:
        await getattr(sandbox, call)(charge)
    assert movements(rows, charge) == kinds
    assert set(rows("SELECT amount_minor, currency FROM sandbox_entries")) == {(12_900, "USD")}


async def test_every_call_is_counted_with_its_answer(sandbox, rows):
    charge = a_charge("tok_refund_fails")
    for call in ("authorise", "authorise", "capture", "cancel", "refund", "refund", "get"):
        await getattr(sandbox, call)(charge)
    assert rows("SELECT op, answered FROM sandbox_calls ORDER BY seq") == [
        ("authorise", "authorized"),
        ("authorise", "authorized"),
        ("capture", "captured"),
        ("cancel", "captured"),
        ("refund", "captured"),
        ("refund", "refunded"),
    ]
    assert rows("SELECT calls FROM sandbox_payments") == [(6,)]


async def test_what_the_payer_does_is_no_call_of_ours(ledger, rows):
    charge = a_charge("tok_3ds")
    await ledger.authorise(charge.id, PRICE, "tok_3ds")
    for _ in range(2):
        await ledger.approve(charge.id)
    assert rows("SELECT count(*) FROM sandbox_calls") == [(1,)]
    assert rows("SELECT calls FROM sandbox_payments") == [(1,)]
    assert movements(rows, charge) == ["authorized"]


async def test_a_call_about_a_payment_that_nobody_made_is_counted_too(ledger, rows):
    assert await ledger.capture("nobody's") is None
    assert rows("SELECT op, answered FROM sandbox_calls") == [("capture", "unknown")]
    assert rows("SELECT count(*) FROM sandbox_payments") == [(0,)]


async def test_repeats_do_not_change_when_it_moved_last(tmp_path, rows):
    clock = FrozenClock(CLOCK.now())
    ledger = ledger_in(tmp_path, clock=clock)
    charge = a_charge()
    await ledger.authorise(charge.id, PRICE, "tok_visa")
    clock.advance(seconds=1)
    await ledger.capture(charge.id)
    clock.advance(minutes=60)
    await ledger.capture(charge.id)
    await ledger.close()
    assert rows("SELECT created_at, changed_at FROM sandbox_payments") == [
        ("2026-12-01 00:00:00.000000", "2026-12-01 00:00:01.000000")
    ]


@pytest.mark.parametrize(
    "change", ["UPDATE sandbox_entries SET seq = 7", "DELETE FROM sandbox_entries"]
)
async def test_what_has_moved_can_be_neither_changed_nor_taken_back(ledger, tmp_path, change):
    await ledger.authorise(new_id(), PRICE, "tok_visa")
    connection = sqlite3.connect(tmp_path / "sandbox.db")
    with pytest.raises(sqlite3.IntegrityError, match="what has moved has moved"):
        connection.execute(change)
    connection.close()


def test_no_operation_leads_out_of_where_a_payment_ends():
    ends = {LedgerState.CANCELLED, LedgerState.REFUNDED}
    assert not [moves for moves in MOVES.values() if ends & set(moves)]


async def test_a_ledger_from_before_goes_on(tmp_path, rows):
    connection = sqlite3.connect(tmp_path / "sandbox.db")
    connection.executescript(BEFORE)
    connection.close()
    ledger = ledger_in(tmp_path)
    old = await ledger.get("old")
    assert old.state == "captured"
    assert old.created_at.isoformat() == "2026-01-02T03:04:05.000006+00:00"
    assert (await ledger.refund("old")).state == "refunded"
    await ledger.close()
    assert rows("SELECT kind FROM sandbox_entries") == [("refunded",)]
    assert rows("SELECT calls FROM sandbox_payments") == [(1,)]


async def test_processes_that_open_a_new_ledger_together_make_one(tmp_path, rows):
    several = [ledger_in(tmp_path) for _ in range(4)]
    await asyncio.gather(*(ledger.authorise(new_id(), PRICE, "tok_visa") for ledger in several))
    for ledger in several:
        await ledger.close()
    assert rows("SELECT count(*) FROM sandbox_payments") == [(4,)]


# --- the provider's books, for an audit ------------------------------------------------------


async def test_its_books_are_read_page_by_page_each_payment_once(sandbox, monkeypatch):
    monkeypatch.setattr("skyhold.booking.clients.payments.sandbox.PAGE_MAX", 3)
    charges = [a_charge(amount=Money(n, "JPY")) for n in range(1, 8)]
    for charge in charges:
        await sandbox.authorise(charge)
    await sandbox.capture(charges[2])
    assert [entry async for entry in sandbox.ledger(None)] == [
        Entry(
            charge.id,
            State.CAPTURED if charge is charges[2] else State.AUTHORIZED,
            charge.amount,
            CLOCK.now(),
            None,
        )
        for charge in charges
    ]


async def test_its_books_may_be_read_from_a_moment_on(tmp_path):
    clock = FrozenClock(CLOCK.now())
    ledger = ledger_in(tmp_path, clock=clock)
    ids = []
    for _ in range(3):
        ids.append(new_id())
        await ledger.authorise(ids[-1], PRICE, "tok_visa")
        clock.advance(minutes=60)
    since = CLOCK.now() + timedelta(hours=1)
    found = await ledger.page(after="", since=since, limit=10)
    assert [payment.id for payment in found] == ids[1:]
    await ledger.close()
