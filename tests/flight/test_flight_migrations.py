"""The flight database's schema: what the migrations build is what the models say, everywhere."""

from __future__ import annotations

import pytest

from skyhold.flight.models.tables import Base
from skyhold.flight.wiring import HISTORY
from skyhold.kernel.db import Database
from skyhold.kernel.migrations import SchemaState
from support.databases import ENGINES, fresh_database
from support.schema import differences, downgrade, shape, upgrade


@pytest.fixture(params=ENGINES)
def url(request, tmp_path):
    with fresh_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
async def database(url) -> Database:
    """An empty database."""
    db = Database(url)
    yield db
    assert db.checked_out == 0
    await db.close()


async def test_the_migrations_build_the_tables_that_the_models_describe(database):
    await HISTORY.upgrade(database)
    assert await database.run_sync(lambda c: differences(c, HISTORY, Base.metadata)) == []


async def test_the_migrations_make_the_keys_and_checks_that_the_models_describe(database):
    await HISTORY.upgrade(database)
    made = await database.run_sync(shape)
    await downgrade(database, HISTORY)
    await database.run_sync(Base.metadata.create_all)
    assert made == await database.run_sync(shape)


async def test_a_database_says_how_far_it_is(database):
    assert await HISTORY.state(database) is SchemaState.EMPTY
    assert not await HISTORY.is_current(database)
    await upgrade(database, HISTORY, "0001")
    assert await HISTORY.state(database) is SchemaState.OLD
    await HISTORY.upgrade(database)
    assert await HISTORY.state(database) is SchemaState.CURRENT
    assert await HISTORY.is_current(database)


async def test_migrating_again_changes_nothing(database):
    await HISTORY.upgrade(database)
    before = await database.run_sync(shape)
    await HISTORY.upgrade(database)
    assert await database.run_sync(shape) == before


async def test_a_schema_that_is_taken_down_leaves_nothing_and_can_be_built_again(database):
    await HISTORY.upgrade(database)
    before = await database.run_sync(shape)
    await downgrade(database, HISTORY)
    assert set(await database.run_sync(shape)) == {HISTORY.version_table}
    assert not await HISTORY.is_current(database)
    await HISTORY.upgrade(database)
    assert await database.run_sync(shape) == before
