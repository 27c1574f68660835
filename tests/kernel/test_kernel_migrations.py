"""A database is brought to this version's schema from inside the process."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from skyhold.kernel.db import Database
from skyhold.kernel.migrations import History, SchemaState, _heads, _known

ENV = """
from alembic import context
from sqlalchemy import MetaData
from skyhold.kernel import migrations

migrations.run(context, MetaData())
"""

STEP = """
from alembic import op

revision = "{revision}"
down_revision = {before!r}


def upgrade():
    op.execute({sql!r})
    {then}
"""


@pytest.fixture
def history(tmp_path: Path) -> History:
    folder = tmp_path / "100 % mine"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENV)
    return History("kernel", folder)


@pytest.fixture
def add_step(history):
    """Write a migration."""

    def add(revision: str, sql: str, before: str | None = None, then: str = "") -> None:
        step = STEP.format(revision=revision, before=before, sql=sql, then=then)
        (history.folder / "versions" / f"{revision}.py").write_text(step)

    return add


async def tables(db: Database) -> set[str]:
    async with db.read() as tx:
        rows = await tx.rows(text("SELECT name FROM sqlite_master WHERE type = 'table'"))
    return {row.name for row in rows}


async def test_a_new_database_is_brought_up_to_date_and_then_left_alone(db, history, add_step):
    add_step("0001", "CREATE TABLE seats (seat TEXT)")
    add_step("0002", "CREATE TABLE meals (meal TEXT)", before="0001")
    assert not await history.is_current(db)
    await history.upgrade(db)
    assert await history.is_current(db)
    assert await tables(db) == {"seats", "meals", "kernel_schema_version"}

    await db.transact(lambda tx: tx.run(text("INSERT INTO seats VALUES ('12A')")))
    await history.upgrade(db)
    async with db.read() as tx:
        assert await tx.scalar(text("SELECT seat FROM seats")) == "12A"


async def test_a_database_of_a_newer_version_will_do_for_a_process_that_is_still_running(
    db, history, add_step
):
    """During an upgrade the schema is newer than the processes whose turn has not come yet."""
    add_step("0001", "CREATE TABLE seats (seat TEXT)")
    await history.upgrade(db)
    move = text("UPDATE kernel_schema_version SET version_num = '0002'")
    await db.transact(lambda tx: tx.run(move))
    assert await history.state(db) is SchemaState.NEWER
    assert await history.is_current(db)


async def test_a_database_of_an_older_version_is_not_current(db, history, add_step):
    add_step("0001", "CREATE TABLE seats (seat TEXT)")
    await history.upgrade(db)
    add_step("0002", "CREATE TABLE rows_of_seats (row INTEGER)")
    _heads.cache_clear()
    _known.cache_clear()
    assert await history.state(db) is SchemaState.OLD
    assert not await history.is_current(db)


async def test_a_migration_that_fails_leaves_the_schema_as_it_was(db, history, add_step):
    add_step("0001", "CREATE TABLE seats (seat TEXT)", then="raise LookupError('half way')")
    with pytest.raises(LookupError, match="half way"):
        await history.upgrade(db)
    assert await tables(db) == set()
    assert not await history.is_current(db)


async def test_a_service_has_a_history_of_its_own(db, history, add_step):
    add_step("0001", "CREATE TABLE seats (seat TEXT)")
    other = History("other", history.folder)
    await history.upgrade(db)
    assert not await other.is_current(db)
