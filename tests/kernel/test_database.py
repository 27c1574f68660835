"""Transactions as functions, on the embedded database."""

from __future__ import annotations

import asyncio
import sqlite3
import time

import pytest
from sqlalchemy import Column, ForeignKey, Integer, Table, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from skyhold.kernel import db as db_module
from skyhold.kernel.columns import ExactText, Key, metadata
from skyhold.kernel.db import (
    ATTEMPTS_MAX,
    Dangling,
    Database,
    DatabaseBusy,
    DatabaseUnwell,
    Duplicate,
    LostRace,
    NoConnection,
    OutcomeUnknown,
)

METADATA = metadata()
NOTES = Table(
    "notes",
    METADATA,
    Column("id", Key(36), primary_key=True),
    Column("text", ExactText(100)),
)
REPLIES = Table(
    "replies",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("note_id", Key(36), ForeignKey("notes.id"), nullable=False),
)


@pytest.fixture
async def db(db):
    await db.run_sync(METADATA.create_all)
    return db


@pytest.fixture
def at_once(monkeypatch):
    """No pauses between the attempts."""
    monkeypatch.setattr(db_module, "PAUSE_MAX_S", 0.0)


@pytest.fixture
def rival(db):
    """Another program that has the same file open."""
    connection = sqlite3.connect(db.url.database, isolation_level=None, timeout=0)
    yield connection
    connection.close()


@pytest.fixture
async def impatient(db):
    """The same database, waiting 20 ms for a lock."""
    database = Database(str(db.url), wait_s=0.02)
    yield database
    await database.close()


def note(id, text="hello"):
    return insert(NOTES).values(id=id, text=text)


async def notes_in(db):
    async with db.read() as tx:
        return sorted(row.id for row in await tx.rows(select(NOTES.c.id)))


def checked_out(db):
    return db._writer.pool.checkedout(), db._reader.pool.checkedout()


# --- all or nothing --------------------------------------------------------------------------


async def test_what_a_transaction_wrote_is_there_for_everybody(db, rival):
    async def work(tx):
        await tx.run(note("a"))
        return "written"

    assert await db.transact(work) == "written"
    assert rival.execute("SELECT id FROM notes").fetchall() == [("a",)]


async def test_a_transaction_that_raises_writes_nothing(db):
    async def work(tx):
        assert await tx.run(note("a")) == 1
        raise LookupError("changed my mind")

    with pytest.raises(LookupError, match="changed my mind"):
        await db.transact(work)
    assert await notes_in(db) == []


async def test_a_caller_that_goes_away_leaves_its_transaction_to_its_end(db):
    """Cut off inside a statement, SQLite's only write lock would stay with the dead connection."""
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def work(tx):
        await tx.run(note("a"))
        begun.set()
        await may_end.wait()

    caller = asyncio.create_task(db.transact(work))
    await begun.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert await notes_in(db) == []
    may_end.set()
    await db.transact(lambda tx: tx.run(note("b")))
    assert await notes_in(db) == ["a", "b"]
    assert checked_out(db) == (0, 0)


async def test_closing_cuts_off_a_transaction_that_does_not_end(impatient):
    caller = asyncio.create_task(impatient.transact(lambda tx: asyncio.Event().wait()))
    await asyncio.sleep(0.01)
    await impatient.close()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_a_guarded_update_says_how_many_rows_it_matched(db):
    await db.transact(lambda tx: tx.run(note("a", "old")))
    move = update(NOTES).where(NOTES.c.id == "a", NOTES.c.text == "old").values(text="new")
    assert await db.transact(lambda tx: tx.run(move)) == 1
    assert await db.transact(lambda tx: tx.run(move)) == 0


async def test_between_what_a_transaction_reads_and_what_it_writes_nobody_else_writes(db, rival):
    async def work(tx):
        assert await tx.scalar(select(func.count()).select_from(NOTES)) == 0
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            rival.execute("INSERT INTO notes (id) VALUES ('b')")
        await tx.run(note("a"))

    await db.transact(work)
    assert await notes_in(db) == ["a"]


# --- run again -------------------------------------------------------------------------------


async def test_who_lost_a_race_is_run_again_from_the_start(db):
    runs = []

    async def work(tx):
        runs.append(await tx.scalar(select(func.count()).select_from(NOTES)))
        await tx.run(note("a"))
        if len(runs) < 3:
            raise LostRace
        return "won"

    assert await db.transact(work) == "won"
    assert runs == [0, 0, 0]  # each run began where the first one did
    assert await notes_in(db) == ["a"]


async def test_who_loses_for_ever_is_told_after_attempts_max(db, at_once):
    runs = []

    async def work(tx):
        runs.append(await tx.run(note("a")))
        raise LostRace

    with pytest.raises(LostRace) as refusal:
        await db.transact(work)
    assert (refusal.value.status, refusal.value.code) == (503, "lost_race")
    assert len(runs) == ATTEMPTS_MAX
    assert await notes_in(db) == []
    assert checked_out(db) == (0, 0)


async def test_no_run_begins_when_the_time_is_over(impatient, at_once):
    runs = []

    async def work(_tx):
        runs.append("run")
        await asyncio.sleep(0.03)  # longer than `wait_s`
        raise LostRace

    with pytest.raises(LostRace):
        await impatient.transact(work)
    assert runs == ["run"]


async def test_a_busy_database_is_waited_for(db, rival):
    rival.execute("BEGIN IMMEDIATE")
    asyncio.get_running_loop().call_later(0.08, rival.rollback)
    await db.transact(lambda tx: tx.run(note("a")))
    assert await notes_in(db) == ["a"]


async def test_a_database_that_stays_busy_is_unavailable(db, impatient, rival, logged):
    rival.execute("BEGIN IMMEDIATE")
    async with asyncio.timeout(2):
        with pytest.raises(DatabaseBusy) as refusal:
            await impatient.transact(lambda tx: tx.run(note("a")))
    assert (refusal.value.status, refusal.value.code) == (503, "database_busy")
    assert {(line["event"], line["failure"]) for line in logged} == {("db.retry", "database_busy")}
    rival.rollback()
    assert await notes_in(db) == []
    assert checked_out(impatient) == (0, 0)


async def break_connection(tx):
    raw = await tx._connection.get_raw_connection()
    await raw.driver_connection.close()


async def test_a_connection_that_breaks_is_replaced_and_the_function_run_again(db, logged):
    runs = []

    async def work(tx):
        runs.append("run")
        await tx.run(note("a"))
        if len(runs) == 1:
            await break_connection(tx)
        await tx.run(note("b"))

    await db.transact(work)
    assert runs == ["run", "run"]
    assert await notes_in(db) == ["a", "b"]
    assert [line["failure"] for line in logged] == ["database_outcome_unknown"]


async def test_once_the_outcome_of_a_run_is_unknown_no_later_failure_denies_it(db, at_once):
    runs = []

    async def work(tx):
        runs.append("run")
        if len(runs) > 1:
            raise LostRace
        await break_connection(tx)
        await tx.run(note("a"))

    with pytest.raises(OutcomeUnknown) as failure:
        await db.transact(work)
    assert (failure.value.status, failure.value.code) == (503, "database_outcome_unknown")
    assert len(runs) == ATTEMPTS_MAX


# --- duplicates and other refusals -----------------------------------------------------------


async def test_a_second_row_with_the_same_key_is_a_duplicate_and_the_first_one_stays(db):
    runs = []

    async def work(tx):
        runs.append(await tx.run(note("b")))
        await tx.run(note("a", "second"))

    await db.transact(lambda tx: tx.run(note("a", "first")))
    with pytest.raises(Duplicate):
        await db.transact(work)
    assert runs == [1]  # it is an answer, not a reason to try again
    async with db.read() as tx:
        assert [tuple(row) for row in await tx.rows(select(NOTES.c.id, NOTES.c.text))] == [
            ("a", "first")
        ]


async def test_of_many_rows_with_a_duplicate_among_them_none_is_written(db):
    def rows(ids):
        return [{"id": id, "text": ""} for id in ids]

    assert await db.transact(lambda tx: tx.run(insert(NOTES), rows("abc"))) == 3
    assert await db.transact(lambda tx: tx.run(insert(NOTES), [])) == 0
    with pytest.raises(Duplicate):
        await db.transact(lambda tx: tx.run(insert(NOTES), rows("deaf")))
    assert await notes_in(db) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("note_id", "kind"),
    [("nowhere", Dangling), (None, IntegrityError)],
    ids=["foreign key", "not null"],
)
async def test_other_broken_rules_are_no_duplicates_and_not_tried_again(db, logged, note_id, kind):
    with pytest.raises(kind):
        await db.transact(lambda tx: tx.run(insert(REPLIES).values(id=1, note_id=note_id)))
    assert logged == []


async def test_an_error_does_not_tell_the_log_what_was_to_be_written(db):
    with pytest.raises(Dangling) as refusal:
        await db.transact(
            lambda tx: tx.run(insert(REPLIES).values(id=1, note_id="ada@example.com"))
        )
    for told in (refusal.value, refusal.value.__cause__):
        assert "ada@example.com" not in f"{told} {told!r}"


# --- reading ---------------------------------------------------------------------------------


async def test_reads_cannot_write(db):
    with pytest.raises(DatabaseUnwell):
        async with db.read() as tx:
            await tx.rows(note("a").returning(NOTES.c.id))
    assert await notes_in(db) == []


async def test_a_reader_does_not_wait_for_a_writer_and_sees_only_what_was_committed(db):
    async def work(tx):
        await tx.run(note("a"))
        return await notes_in(db)

    async with asyncio.timeout(2):
        assert await db.transact(work) == []
    assert await notes_in(db) == ["a"]


async def test_a_read_is_one_consistent_view_and_no_writer_waits_for_it(db):
    count = select(func.count()).select_from(NOTES)
    async with db.read() as tx, asyncio.timeout(2):
        assert await tx.scalar(count) == 0
        await db.transact(lambda tx: tx.run(note("a")))
        assert await tx.scalar(count) == 0
        assert await tx.row(select(NOTES)) is None
    assert await notes_in(db) == ["a"]


# --- many at once ----------------------------------------------------------------------------


async def test_200_transactions_at_once_all_succeed_and_give_their_connections_back(db):
    async def book(number):
        await db.transact(lambda tx: tx.run(note(f"{number:03}")))

    await asyncio.gather(*(book(number) for number in range(200)))
    assert await notes_in(db) == [f"{number:03}" for number in range(200)]
    assert checked_out(db) == (0, 0)


async def test_200_reads_at_once_share_a_few_connections(db):
    await db.transact(lambda tx: tx.run(note("a")))
    assert await asyncio.gather(*(notes_in(db) for _ in range(200))) == [["a"]] * 200
    assert checked_out(db) == (0, 0)


async def test_of_200_who_raise_the_same_counter_none_is_lost(db):
    await db.transact(lambda tx: tx.run(note("counter", "0")))

    async def count(tx):
        # Read, then write: the writers queue, so even this loses nothing.
        seen = await tx.scalar(select(NOTES.c.text).where(NOTES.c.id == "counter"))
        await tx.run(update(NOTES).where(NOTES.c.text == seen).values(text=str(int(seen) + 1)))

    await asyncio.gather(*(db.transact(count) for _ in range(200)))
    async with db.read() as tx:
        assert await tx.scalar(select(NOTES.c.text)) == "200"


async def test_when_every_connection_is_taken_for_too_long_it_is_busy(impatient):
    inside, may_go_on = asyncio.Event(), asyncio.Event()

    async def slow(_tx):
        inside.set()
        await may_go_on.wait()

    first = asyncio.create_task(impatient.transact(slow))
    await inside.wait()
    with pytest.raises(DatabaseBusy):
        await impatient.transact(lambda tx: tx.run(note("a")))
    may_go_on.set()
    await first


# --- settings ----------------------------------------------------------------------


async def test_sqlite_is_set_to_lose_nothing(db):
    names = ("synchronous", "foreign_keys", "journal_mode", "busy_timeout", "query_only")

    async def pragmas(tx):
        return [await tx.scalar(text(f"PRAGMA {name}")) for name in names]

    full, on, off = 2, 1, 0
    assert await db.transact(pragmas) == [full, on, "wal", 5000, off]
    async with db.read() as tx:
        assert await pragmas(tx) == [full, on, "wal", 5000, on]


async def test_the_folder_of_a_new_database_is_made(tmp_path):
    db = Database(f"sqlite:///{tmp_path / 'not' / 'yet' / 'there.db'}")
    await db.run_sync(METADATA.create_all)
    assert await notes_in(db) == []
    await db.close()


async def test_a_connection_that_breaks_while_it_is_given_back_takes_no_answer_along(
    db, monkeypatch
):
    await db.transact(lambda tx: tx.run(note("a")))
    close, broken = AsyncConnection.close, []

    async def breaks_once(connection):
        if not broken:
            broken.append(connection)
            raise ConnectionResetError
        await close(connection)

    monkeypatch.setattr(AsyncConnection, "close", breaks_once)
    assert await notes_in(db) != []
    assert broken
    assert db.checked_out == 0
    assert await notes_in(db) != []


async def test_a_connection_that_cannot_be_made_is_waited_for_as_long_as_a_busy_one(
    tmp_path, monkeypatch
):
    """uvloop says RuntimeError of a transport that is gone while it is being made."""
    database = Database(f"sqlite:///{tmp_path / 'away.db'}", wait_s=0.3)
    tries = []

    async def away():
        tries.append(time.monotonic())
        raise RuntimeError("the transport is gone")

    monkeypatch.setattr(AsyncEngine, "connect", lambda _: away())
    with pytest.raises(NoConnection):
        await database.transact(lambda tx: tx.run(note("a")))
    assert len(tries) > ATTEMPTS_MAX / 2
    assert tries[-1] - tries[0] > 0.1
    monkeypatch.undo()
    await database.close()
