"""The flight database's schema: what the migrations build is what the models say."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect

from skyhold.flight.models.tables import Base
from skyhold.flight.settings import FlightSettings
from skyhold.flight.wiring import HISTORY, open_database
from skyhold.kernel.db import Database


@pytest.fixture
async def database(tmp_path) -> Database:
    """An empty database."""
    db = open_database(FlightSettings(_env_file=None, data_dir=tmp_path))
    yield db
    await db.close()


async def schema(db: Database) -> dict[str, str]:
    """Every table and index as it was made."""

    def read(connection):
        query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
        return dict(connection.exec_driver_sql(query).fetchall())

    return await db.run_sync(read)


async def downgrade(db: Database) -> None:
    await db.run_sync(lambda connection: command.downgrade(HISTORY.config(connection), "base"))


def constraints(connection) -> dict[str, object]:
    """What Alembic does not compare: each table's keys and checks, by name."""
    seen = inspect(connection)
    return {
        table: (
            sorted(
                (check["name"], check["sqltext"]) for check in seen.get_check_constraints(table)
            ),
            sorted((key["name"], key["referred_table"]) for key in seen.get_foreign_keys(table)),
            seen.get_pk_constraint(table),
        )
        for table in seen.get_table_names()
        if table != HISTORY.version_table
    }


async def test_the_migrations_build_the_tables_that_the_models_describe(database):
    await HISTORY.upgrade(database)

    def differences(connection):
        options = {"compare_type": True, "version_table": HISTORY.version_table}
        return compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)

    assert await database.run_sync(differences) == []


async def test_the_migrations_make_the_keys_and_checks_that_the_models_describe(
    database, tmp_path: Path
):
    await HISTORY.upgrade(database)
    engine = create_engine(f"sqlite:///{tmp_path / 'models.db'}")
    Base.metadata.create_all(engine)
    with engine.connect() as connection:
        described = constraints(connection)
    engine.dispose()
    assert await database.run_sync(constraints) == described


async def test_an_empty_database_is_not_current_and_a_migrated_one_is(database):
    assert not await HISTORY.is_current(database)
    await HISTORY.upgrade(database)
    assert await HISTORY.is_current(database)


async def test_migrating_again_changes_nothing(database):
    await HISTORY.upgrade(database)
    before = await schema(database)
    await HISTORY.upgrade(database)
    assert await schema(database) == before


async def test_a_schema_that_is_taken_down_leaves_nothing_and_can_be_built_again(database):
    await HISTORY.upgrade(database)
    before = await schema(database)
    await downgrade(database)
    assert set(await schema(database)) == {HISTORY.version_table}
    assert not await HISTORY.is_current(database)
    await HISTORY.upgrade(database)
    assert await schema(database) == before
