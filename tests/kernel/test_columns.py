"""Column types that mean the same on every engine, here on the embedded one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Table, create_engine, insert, literal, select
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import StatementError
from sqlalchemy.schema import CreateTable

from skyhold.kernel.columns import ExactText, Instant, Key, metadata

METADATA = metadata()
NOTES = Table(
    "notes",
    METADATA,
    Column("id", Key(36), primary_key=True),
    Column("text", ExactText(100)),
    Column("written_at", Instant),
)


@pytest.fixture
async def db(db):
    await db.run_sync(METADATA.create_all)
    return db


async def test_keys_and_texts_are_compared_exactly(db):
    alike = ["a", "A", "a ", "á", "a\N{COMBINING ACUTE ACCENT}"]
    rows = [{"id": one, "text": one} for one in alike]
    assert await db.transact(lambda tx: tx.run(insert(NOTES), rows)) == len(alike)
    async with db.read() as tx:
        for one in alike:
            found = await tx.rows(select(NOTES.c.id).where(NOTES.c.id == one, NOTES.c.text == one))
            assert [row.id for row in found] == [one]


@pytest.mark.parametrize(
    ("is_mariadb", "key", "exact"),
    [
        (True, "ascii COLLATE ascii_nopad_bin", "utf8mb4 COLLATE utf8mb4_nopad_bin"),
        (False, "utf8mb4 COLLATE utf8mb4_0900_bin", "utf8mb4 COLLATE utf8mb4_0900_bin"),
    ],
    ids=["MariaDB", "MySQL"],
)
def test_the_collations_are_those_that_do_not_ignore_spaces_at_the_end(is_mariadb, key, exact):
    """No other collation of the two compares byte by byte and pads nothing."""
    dialect = mysql.dialect(is_mariadb=is_mariadb)
    made = str(CreateTable(NOTES).compile(dialect=dialect))
    assert f"id VARCHAR(36) CHARACTER SET {key} NOT NULL" in made
    assert f"text VARCHAR(100) CHARACTER SET {exact}" in made
    assert "written_at DATETIME(6)" in made


async def test_a_naive_datetime_is_refused(db):
    naive = datetime.fromisoformat("2026-12-01T12:00:00")
    with pytest.raises(StatementError, match="has no time zone"):
        await db.transact(lambda tx: tx.run(insert(NOTES).values(id="a", written_at=naive)))
    async with db.read() as tx:
        assert await tx.row(select(NOTES)) is None


@pytest.fixture(scope="module")
def sql():
    """Anything SQLite can calculate."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


instants = st.datetimes(
    min_value=datetime.fromisoformat("1970-01-02"),
    max_value=datetime.fromisoformat("2200-01-01"),
    timezones=st.timezones(),
)


@given(written=instants)
def test_an_instant_comes_back_the_same_in_utc_to_the_microsecond(sql, written):
    read = sql.scalar(select(literal(written, Instant)))
    # Subtracted in UTC: two datetimes of one zone are compared by their wall clocks.
    assert read - written.astimezone(UTC) == timedelta()
    assert read.tzinfo is UTC


@given(one=instants, other=instants)
def test_the_database_orders_instants_as_time_does(sql, one, other):
    earlier = sql.scalar(select(literal(one, Instant) < literal(other, Instant)))
    assert bool(earlier) == (one.astimezone(UTC) < other.astimezone(UTC))


def test_no_instant_stays_no_instant(sql):
    assert sql.scalar(select(literal(None, Instant))) is None
