"""The booking database's schema: what the migrations make is what the models say."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from booking_stage import a_traveller
from sqlalchemy import inspect, text, update

from skyhold.booking.models.payment import AT_REST, PaymentStatus
from skyhold.booking.models.tables import Base, PaymentRow
from skyhold.booking.wiring import HISTORY
from skyhold.kernel.db import Database


@pytest.fixture
async def empty(tmp_path):
    db = Database(f"sqlite:///{tmp_path / 'booking.db'}")
    yield db
    await db.close()


@pytest.fixture
async def migrated(empty):
    await HISTORY.upgrade(empty)
    return empty


async def schema(db):
    """Every table and index, as the database has it."""
    async with db.read() as tx:
        rows = await tx.rows(text("SELECT type, name, sql FROM sqlite_master ORDER BY type, name"))
    return [tuple(row) for row in rows]


def rules(connection):
    """Everything that the database itself refuses, by table."""
    found = inspect(connection)
    return {
        table: {
            "checks": sorted(
                (check["name"], " ".join(check["sqltext"].split()))
                for check in found.get_check_constraints(table)
            ),
            "unique": sorted(
                (key["name"], *key["column_names"]) for key in found.get_unique_constraints(table)
            ),
            "keys": sorted(
                (*key["constrained_columns"], key["referred_table"])
                for key in found.get_foreign_keys(table)
            ),
            "primary": found.get_pk_constraint(table)["constrained_columns"],
            "not_null": sorted(c["name"] for c in found.get_columns(table) if not c["nullable"]),
        }
        for table in Base.metadata.tables
    }


async def test_the_migrations_make_what_the_models_say(migrated):
    def differences(connection):
        options = {"compare_type": True, "version_table": HISTORY.version_table}
        return compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)

    assert await migrated.run_sync(differences) == []


@pytest.fixture
async def modelled(tmp_path):
    db = Database(f"sqlite:///{tmp_path / 'models.db'}")
    await db.run_sync(Base.metadata.create_all)
    yield db
    await db.close()


async def test_the_migrations_make_every_rule_of_the_models_too(migrated, modelled):
    """Alembic does not compare CHECKs, and they hold what no reader of the code may forget."""
    assert await migrated.run_sync(rules) == await modelled.run_sync(rules)


async def test_migrating_again_changes_nothing(migrated):
    before = await schema(migrated)
    await HISTORY.upgrade(migrated)
    assert await schema(migrated) == before
    assert await HISTORY.is_current(migrated)


async def test_an_empty_database_is_not_current(empty):
    assert not await HISTORY.is_current(empty)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE booking_schema_version SET version_num = '9999'",
        "DELETE FROM booking_schema_version",
    ],
)
async def test_a_database_of_another_version_is_not_current(migrated, change):
    await migrated.transact(lambda tx: tx.run(text(change)))
    assert not await HISTORY.is_current(migrated)


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
