"""The booking database's schema: what the migrations make is what the models say, everywhere."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from booking_stage import a_traveller
from sqlalchemy import insert, select, text, update

from skyhold.booking.models.payment import AT_REST, PaymentStatus
from skyhold.booking.models.tables import Base, BookingFlightRow, BookingRow, PaymentRow, UserRow
from skyhold.booking.wiring import HISTORY
from skyhold.kernel.db import Database
from skyhold.kernel.migrations import SchemaState
from support.databases import ENGINES, fresh_database
from support.schema import differences, downgrade, migrate_at_once, shape, upgrade


@pytest.fixture(params=ENGINES)
def url(request, tmp_path):
    with fresh_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
async def empty(url):
    db = Database(url)
    yield db
    assert db.checked_out == 0
    await db.close()


@pytest.fixture
async def migrated(empty):
    await HISTORY.upgrade(empty)
    return empty


async def test_the_migrations_make_what_the_models_say(migrated):
    assert await migrated.run_sync(lambda c: differences(c, HISTORY, Base.metadata)) == []


async def test_the_migrations_make_every_rule_of_the_models_too(migrated):
    """Alembic does not compare CHECKs, and they hold what no reader of the code may forget."""
    made = await migrated.run_sync(shape)
    del made[HISTORY.version_table]
    await downgrade(migrated, HISTORY)
    await migrated.run_sync(Base.metadata.create_all)
    modelled = await migrated.run_sync(shape)
    del modelled[HISTORY.version_table]
    assert made == modelled


async def test_migrating_again_changes_nothing(migrated):
    before = await migrated.run_sync(shape)
    await HISTORY.upgrade(migrated)
    assert await migrated.run_sync(shape) == before
    assert await HISTORY.is_current(migrated)


async def test_a_schema_that_is_taken_down_leaves_nothing_and_can_be_built_again(migrated):
    before = await migrated.run_sync(shape)
    await downgrade(migrated, HISTORY)
    assert set(await migrated.run_sync(shape)) == {HISTORY.version_table}
    assert not await HISTORY.is_current(migrated)
    await HISTORY.upgrade(migrated)
    assert await migrated.run_sync(shape) == before


async def test_processes_that_migrate_at_once_migrate_it_once(empty, url):
    await asyncio.to_thread(migrate_at_once, HISTORY, url)
    assert await HISTORY.state(empty) is SchemaState.CURRENT


async def test_bookings_from_before_are_on_their_flights_afterwards(empty):
    await upgrade(empty, HISTORY, "0001")
    at = datetime(2080, 1, 1, tzinfo=UTC)
    user = {"id": "u", "name": "Ada", "email": "a@b.c", "email_key": "a@b.c"}
    user |= {"password_hash": "x", "role": "customer", "created_at": at}
    booking = {"id": "b", "user_id": "u", "record_locator": "ABCDEF", "status": "held"}
    booking |= {"total_minor": 1, "currency": "USD", "hold_open": True, "attempts": 0, "ver": 1}
    booking |= {"payment_required_by": at, "due_at": at, "created_at": at}
    booking |= {"segments": [{"flight_id": "F1"}, {"flight_id": "F2"}]}

    def write(connection):
        connection.execute(insert(UserRow).values(**user))
        connection.execute(insert(BookingRow).values(**booking))

    await empty.run_sync(write)
    await HISTORY.upgrade(empty)
    async with empty.read() as tx:
        found = await tx.rows(select(BookingFlightRow.flight_id, BookingFlightRow.booking_id))
    assert sorted(map(tuple, found)) == [("F1", "b"), ("F2", "b")]


async def test_a_database_says_how_far_it_is(empty):
    assert await HISTORY.state(empty) is SchemaState.EMPTY
    assert not await HISTORY.is_current(empty)
    await upgrade(empty, HISTORY, "0001")
    assert await HISTORY.state(empty) is SchemaState.OLD
    assert not await HISTORY.is_current(empty)
    await HISTORY.upgrade(empty)
    assert await HISTORY.state(empty) is SchemaState.CURRENT
    assert await HISTORY.is_current(empty)
    for change, state, will_do in (
        ("UPDATE booking_schema_version SET version_num = '9999'", SchemaState.NEWER, True),
        ("DELETE FROM booking_schema_version", SchemaState.EMPTY, False),
    ):
        await empty.transact(lambda tx, change=change: tx.run(text(change)))
        assert await HISTORY.state(empty) is state
        assert await HISTORY.is_current(empty) is will_do


BAD_ROWS = {
    "paying with nothing": "UPDATE bookings SET status = 'paying'",
    "held with a payment": "UPDATE bookings SET active_payment_id = 'x'",
    "held without an end": "UPDATE bookings SET due_at = NULL",
    "held without seats": "UPDATE bookings SET hold_open = false",
    "a state nobody knows": "UPDATE bookings SET status = 'frozen'",
    "a price below zero": "UPDATE bookings SET total_minor = -1",
    "nobody's booking": "UPDATE bookings SET user_id = 'nobody'",
    "ended, and its seats forgotten": "UPDATE bookings SET status = 'expired', due_at = NULL",
    "a role of one's own": "UPDATE users SET role = 'root'",
    "a passenger of a kind nobody knows": "UPDATE passengers SET type = 'pet'",
}


async def test_the_database_itself_refuses_rows_that_cannot_be(start):
    async with start() as system:
        alice = await a_traveller(system)
        booking = await alice.book(await system.a_flight())
        before = (await alice.get(booking)).body
        for what, statement in BAD_ROWS.items():
            with pytest.raises(Exception, match=r"(?i)constraint"):
                await system.bookings.db.transact(lambda tx, sql=statement: tx.run(text(sql)))
            assert (await alice.get(booking)).body == before, what
        await alice.pay(booking)
        for status in sorted(set(PaymentStatus) - AT_REST):
            forgotten = update(PaymentRow).values(status=status, due_at=None)
            with pytest.raises(Exception, match=r"(?i)constraint"):
                await system.bookings.db.transact(lambda tx, sql=forgotten: tx.run(sql))


async def test_a_service_whose_schema_is_behind_is_not_ready(start):
    async with start() as system:
        assert (await system.bookings_http.get("/readyz")).status_code == 200
        behind = text("DELETE FROM booking_schema_version")
        await system.bookings.db.transact(lambda tx: tx.run(behind))
        refused = await system.bookings_http.get("/readyz")
        assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
        assert (await system.bookings_http.get("/livez")).status_code == 200
