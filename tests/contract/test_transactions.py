"""Transactions as functions, on every engine."""

from __future__ import annotations

import asyncio
import time

import pytest
from contract_stage import NOTES, REPLIES, becomes, note, raised, servers_only
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from skyhold.kernel.db import (
    ATTEMPTS_MAX,
    Dangling,
    DatabaseBusy,
    DatabaseUnwell,
    Duplicate,
    LostRace,
    OutcomeUnknown,
)
from support.databases import ENGINES

COUNT = select(func.count()).select_from(NOTES)


# --- all or nothing --------------------------------------------------------------------------


async def test_what_was_committed_is_there_for_everybody(connect, rows):
    async def work(tx):
        await tx.run(note("a"))
        return "written"

    assert await connect().transact(work) == "written"
    assert await rows.all() == {"a": 0}


async def test_a_transaction_that_raises_writes_nothing(db, rows):
    async def work(tx):
        assert await tx.run(note("a")) == 1
        raise LookupError("changed my mind")

    with pytest.raises(LookupError, match="changed my mind"):
        await db.transact(work)
    assert await rows.all() == {}


async def test_of_many_rows_with_a_duplicate_among_them_none_is_written(db, rows):
    await rows.add("b")
    many = [{"id": id, "number": 1} for id in "abc"]
    with pytest.raises(Duplicate) as refusal:
        await db.transact(lambda tx: tx.run(insert(NOTES), many))
    assert not refusal.value.after_unknown
    assert await rows.all() == {"b": 0}


@pytest.mark.parametrize("change", ["insert", "update", "delete"])
async def test_what_refers_to_nothing_dangles(db, rows, change, logged):
    await rows.add("a")
    await db.transact(lambda tx: tx.run(insert(REPLIES).values(id=1, note_id="a")))
    statement = {
        "insert": insert(REPLIES).values(id=2, note_id="nowhere"),
        "update": update(REPLIES).values(note_id="nowhere"),
        "delete": NOTES.delete(),
    }[change]
    with pytest.raises(Dangling):
        await db.transact(lambda tx: tx.run(statement))
    assert await rows.all() == {"a": 0}
    assert logged == []  # it is an answer, not a reason to try again


async def test_an_error_does_not_tell_the_log_what_was_to_be_written(db, rows):
    with pytest.raises(Dangling) as refusal:
        await db.transact(
            lambda tx: tx.run(insert(REPLIES).values(id=1, note_id="ada@example.com"))
        )
    assert "parameters hidden" in str(refusal.value.__cause__)


async def test_a_guarded_update_counts_the_rows_it_matched_even_when_nothing_changes(db, rows):
    await rows.add("a", "b", number=7)
    same = update(NOTES).where(NOTES.c.number == 7).values(number=7)
    assert await db.transact(lambda tx: tx.run(same)) == 2
    other = update(NOTES).where(NOTES.c.number == 8).values(number=7)
    assert await db.transact(lambda tx: tx.run(other)) == 0


# --- run again -------------------------------------------------------------------------------


async def test_who_lost_a_race_is_run_again_from_the_start(db, rows):
    runs = []

    async def work(tx):
        runs.append(await tx.scalar(COUNT))
        await tx.run(note("a"))
        if len(runs) < 3:
            raise LostRace
        return "won"

    assert await db.transact(work) == "won"
    assert runs == [0, 0, 0]
    assert await rows.all() == {"a": 0}


async def test_who_loses_for_ever_is_told_after_attempts_max(db, rows, at_once):
    runs = []

    async def work(tx):
        runs.append(await tx.run(note("a")))
        raise LostRace

    with pytest.raises(LostRace) as refusal:
        await db.transact(work)
    assert (refusal.value.status, refusal.value.retry_after_s) == (503, 1)
    assert len(runs) == ATTEMPTS_MAX
    assert await rows.all() == {}


async def test_two_that_insert_the_same_key_at_once_are_one_row_and_one_duplicate(connect, rows):
    replicas = rows.db, connect()
    outcomes = await asyncio.gather(
        *(replicas[n % 2].transact(lambda tx: tx.run(note("a"))) for n in range(16)),
        return_exceptions=True,
    )
    assert outcomes.count(1) == 1
    assert [type(outcome) for outcome in outcomes if outcome != 1] == [Duplicate] * 15
    assert await rows.all() == {"a": 0}


async def test_of_200_who_raise_the_same_counter_over_two_replicas_none_is_lost(
    connect, rows, engine
):
    await rows.add("a")
    replicas = rows.db, connect()
    outcomes = await asyncio.gather(
        *(replicas[n % 2].transact(lambda tx: tx.run(raised("a"))) for n in range(200)),
        return_exceptions=True,
    )
    raised_it = outcomes.count(1)
    others = {type(outcome) for outcome in outcomes if outcome != 1}
    # Nodes do not wait for each other's locks: who is too late too often is told to come back.
    assert others <= ({DatabaseBusy} if engine == "galera" else set())
    assert raised_it > 100
    assert await rows.all() == {"a": raised_it}


async def test_who_reads_and_then_writes_guarded_loses_nothing_either(connect, rows, engine):
    """READ COMMITTED lets both read the same; the guard lets one of them write."""
    await rows.add("a")
    replicas = rows.db, connect()

    async def count(tx):
        seen = await tx.scalar(select(NOTES.c.number).where(NOTES.c.id == "a"))
        guarded = update(NOTES).where(NOTES.c.id == "a", NOTES.c.number == seen)
        if await tx.run(guarded.values(number=seen + 1)) != 1:
            raise LostRace

    done = await asyncio.gather(
        *(replicas[n % 2].transact(count) for n in range(40)), return_exceptions=True
    )
    won = sum(outcome is None for outcome in done)
    refused = {type(outcome) for outcome in done if outcome is not None}
    assert refused <= ({LostRace, DatabaseBusy} if engine == "galera" else {LostRace})
    assert won > 0
    assert await rows.all() == {"a": won}


@servers_only
async def test_of_two_in_a_deadlock_one_is_run_again_and_both_succeed(
    connect, rows, dialect, logged
):
    await rows.add("a", "b")
    runs = {"ab": 0, "ba": 0}
    both_have_their_first = asyncio.Barrier(2)

    async def lock(order):
        async def work(tx):
            if dialect == "postgresql":  # which looks for deadlocks after a second
                await tx.run(text("SET LOCAL deadlock_timeout = '20ms'"))
            runs[order] += 1
            await tx.run(raised(order[0]))
            if runs[order] == 1:
                await both_have_their_first.wait()
            await tx.run(raised(order[1]))

        async with asyncio.timeout(10):
            await connect().transact(work)

    await asyncio.gather(lock("ab"), lock("ba"))
    assert await rows.all() == {"a": 2, "b": 2}
    assert sorted(runs.values()) == [1, 2]
    assert [(line["event"], line["failure"]) for line in logged] == [("db.retry", "database_busy")]


@servers_only
async def test_two_writers_of_different_rows_do_not_wait_for_each_other(connect, rows):
    await rows.add("a", "b")
    both_have_written = asyncio.Barrier(2)

    async def write(id):
        async def work(tx):
            await tx.run(raised(id))
            async with asyncio.timeout(5):
                await both_have_written.wait()

        await connect().transact(work)

    await asyncio.gather(write("a"), write("b"))
    assert await rows.all() == {"a": 1, "b": 1}


async def blocked(db, *, until: asyncio.Event):
    """Somebody keeps the first note locked until told otherwise. A lock is one node's own."""
    locked = asyncio.Event()

    async def keep(tx):
        await tx.run(raised("a"))
        locked.set()
        await until.wait()

    blocker = asyncio.create_task(db.transact(keep))
    await locked.wait()
    return blocker


async def test_a_row_that_somebody_has_locked_is_waited_for(connect, rows, url):
    await rows.add("a")
    may_go_on = asyncio.Event()
    blocker = await blocked(connect(url), until=may_go_on)
    waiting = asyncio.create_task(connect(url).transact(lambda tx: tx.run(raised("a"))))
    done, _ = await asyncio.wait({waiting}, timeout=0.1)
    assert not done
    may_go_on.set()
    await asyncio.gather(blocker, waiting)
    assert await rows.all() == {"a": 2}


async def test_a_row_that_stays_locked_is_busy_within_the_wait(connect, rows, url):
    await rows.add("a")
    may_go_on = asyncio.Event()
    blocker = await blocked(connect(url), until=may_go_on)
    begun = time.monotonic()
    with pytest.raises(DatabaseBusy) as refusal:
        await connect(url, wait_s=0.5).transact(lambda tx: tx.run(raised("a")))
    assert time.monotonic() - begun < 3  # MariaDB counts lock waits in whole seconds
    assert (refusal.value.status, refusal.value.code) == (503, "database_busy")
    assert refusal.value.retry_after_s
    may_go_on.set()
    await blocker
    assert await rows.all() == {"a": 1}


@servers_only
async def test_a_statement_that_takes_too_long_is_cut_off(connect, rows, dialect):
    await rows.add("a")
    sleeping = {"mariadb": "SELECT SLEEP(30)", "postgresql": "SELECT pg_sleep(30)"}[dialect]
    impatient = connect(statement_s=0.1, wait_s=0.2)
    begun = time.monotonic()
    with pytest.raises(DatabaseBusy):
        await impatient.transact(lambda tx: tx.run(text(sleeping)))
    with pytest.raises(DatabaseBusy):
        async with impatient.read() as tx:
            await tx.rows(text(sleeping))
    assert time.monotonic() - begun < 3
    assert await impatient.transact(lambda tx: tx.run(raised("a"))) == 1


# --- what the driver's codes mean ------------------------------------------------------------

TIDB = (8002, 8005, 8022, 8028, 9007)  # of these its documentation says: run it again
CODES = {
    "mariadb": {
        Duplicate: [1062],
        Dangling: [1451, 1452],
        DatabaseBusy: [1020, 1040, 1047, 1203, 1205, 1213, 1969, 3024, *TIDB],
        DatabaseUnwell: [1021, 1114, 1290, 1792, 1836],
        OutcomeUnknown: [1053, 1180, 1927, 2002, 2003, 2006, 2013, 2014, 2055],
    },
    "postgresql": {
        Duplicate: ["23505"],
        Dangling: ["23503"],
        DatabaseBusy: ["40001", "40P01", "55P03", "57014", "53300", "57P03"],
        DatabaseUnwell: ["53100", "53200", "25006"],
        OutcomeUnknown: ["40003", "57P01", "57P02", "25P03", "08000", "08003", "08006"],
    },
}
SIGNAL = {
    "mariadb": "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {code}, MESSAGE_TEXT = 'as told'",
    "postgresql": "DO $$ BEGIN RAISE EXCEPTION 'as told' USING ERRCODE = '{code}'; END $$",
}


@servers_only
@pytest.mark.parametrize("kind", [*CODES["mariadb"], DBAPIError], ids=lambda kind: kind.__name__)
async def test_every_error_of_the_server_becomes_what_it_means(db, rows, dialect, at_once, kind):
    """The codes are the servers' own; what is none of these is a mistake of ours."""
    others = {"mariadb": [1064, 1146, 4025], "postgresql": ["42601", "42P01", "23514"]}
    for code in CODES[dialect].get(kind, others[dialect]):
        runs = []

        async def work(tx, code=code, runs=runs):
            runs.append(code)
            await tx.run(text(SIGNAL[dialect].format(code=code)))

        with pytest.raises(kind) as refusal:
            await db.transact(work)
        if kind is not DBAPIError:
            assert type(refusal.value) is kind, code
        assert len(runs) == (ATTEMPTS_MAX if kind in {DatabaseBusy, OutcomeUnknown} else 1), code
    assert await db.transact(lambda tx: tx.run(note("a"))) == 1


AT_COMMIT = {"mariadb": [1047, 1105, 1180], "postgresql": ["40003", "XX000"]}


@servers_only
async def test_a_commit_that_fails_for_an_unknown_reason_may_have_been_carried_out(
    db, rows, dialect, monkeypatch
):
    """What stands between us and a server says what it likes when it loses it in the middle."""
    driver = db._writer.dialect
    for code in AT_COMMIT[dialect]:
        with monkeypatch.context() as once:

            def commit(connection, code=code, once=once, commit=driver.do_commit):
                commit(connection)
                once.undo()
                error = driver.dbapi.OperationalError(code, "lost")
                error.sqlstate = code
                raise error

            once.setattr(driver, "do_commit", commit)
            with pytest.raises(Duplicate) as own:
                await db.transact(lambda tx, code=code: tx.run(note(str(code))))
        assert own.value.after_unknown, code
    assert len(await rows.all()) == len(AT_COMMIT[dialect])


TAKE_TIME = """
CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql
AS 'BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END'
"""
AT_THE_END = """
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION take_time()
"""


@pytest.fixture
async def slow_commits(db):
    """A COMMIT of a note takes a second and a half, as one that waits for a standby may do."""
    await db.run_sync(lambda it: it.execute(text(TAKE_TIME)))
    await db.run_sync(lambda it: it.execute(text(AT_THE_END)))
    yield
    await db.run_sync(lambda it: it.execute(text("DROP FUNCTION take_time CASCADE")))


@pytest.mark.parametrize(
    "engine", [it for it in ENGINES if it == "postgresql"], indirect=True, scope="module"
)
@pytest.mark.parametrize("why", ["it takes too long", "the process ends"])
async def test_a_commit_that_is_given_up_is_not_cancelled(connect, rows, slow_commits, why):
    """PostgreSQL would show all what no standby has yet; who asks again would be told yes."""
    impatient = connect(wait_s=0.3, statement_s=0.3 if why == "it takes too long" else 30)
    writing = asyncio.create_task(impatient.transact(lambda tx: tx.run(note("a"))))
    if why == "the process ends":
        await asyncio.sleep(0.2)
        await impatient.close()
    with pytest.raises((OutcomeUnknown, asyncio.CancelledError)):
        await writing
    assert await rows.all() == {}
    async with asyncio.timeout(10):
        while not await rows.all():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


async def test_a_duplicate_after_an_unknown_outcome_may_have_been_our_own(db, rows, at_once):
    runs = []
    await rows.add("a")  # as if the first run's COMMIT had arrived, and only its answer was lost

    async def work(tx):
        runs.append("run")
        if len(runs) == 1:
            raise ConnectionResetError
        await tx.run(note("a"))

    with pytest.raises(Duplicate) as refusal:
        await db.transact(work)
    assert refusal.value.after_unknown
    assert runs == ["run", "run"]


# --- reading ---------------------------------------------------------------------------------


async def test_a_read_is_one_snapshot_and_no_writer_waits_for_it(connect, rows):
    await rows.add("a", "b")
    async with connect().read() as tx, asyncio.timeout(5):
        first = await tx.scalar(select(NOTES.c.number).where(NOTES.c.id == "a"))
        await rows.db.transact(lambda tx: tx.run(update(NOTES).values(number=5)))
        await rows.add("c")
        second = await tx.scalar(select(NOTES.c.number).where(NOTES.c.id == "b"))
        assert (first, second) == (0, 0)
        assert await tx.scalar(COUNT) == 2
    assert await rows.all() == {"a": 5, "b": 5, "c": 0}


async def test_each_read_sees_what_was_committed_before_it_began(connect, rows):
    reader = connect(pool_max=1)
    for number in range(3):
        async with reader.read() as tx:
            assert await tx.scalar(COUNT) == number
        await rows.add(str(number))


async def test_a_reader_sees_nothing_of_a_transaction_in_progress(connect, rows):
    reader = connect()

    async def work(tx):
        await tx.run(note("a"))
        async with reader.read() as other:
            return await other.scalar(COUNT)

    async with asyncio.timeout(5):
        assert await connect().transact(work) == 0


@pytest.mark.parametrize(
    "statement",
    [note("z"), update(NOTES).values(number=9), NOTES.delete()],
    ids=["insert", "update", "delete"],
)
async def test_who_reads_cannot_write(db, rows, statement):
    await rows.add("a")
    for _ in range(2):  # the connection's next user cannot either
        with pytest.raises(DatabaseUnwell):
            async with db.read() as tx:
                await tx._connection.execute(statement)
    assert await rows.all() == {"a": 0}


async def test_a_caller_that_goes_away_leaves_its_transaction_to_its_end(db, rows):
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
    assert await rows.all() == {}
    may_end.set()
    async with asyncio.timeout(5):
        await asyncio.wait(db._running)
    assert await rows.all() == {"a": 0}


async def test_a_reader_that_goes_away_gives_its_connection_back(connect, rows):
    reader, inside = connect(pool_max=1), asyncio.Event()

    async def read():
        async with reader.read() as tx:
            await tx.scalar(COUNT)
            inside.set()
            await asyncio.Event().wait()

    caller = asyncio.create_task(read())
    await inside.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    async with asyncio.timeout(2), reader.read() as tx:
        assert await tx.scalar(COUNT) == 0


@servers_only
async def test_a_reader_that_goes_away_in_the_middle_of_a_statement_does_too(connect, dialect):
    reader = connect(pool_max=1)
    sleeping = {"mariadb": "SELECT SLEEP(30)", "postgresql": "SELECT pg_sleep(30)"}[dialect]

    async def read():
        async with reader.read() as tx:
            await tx.scalar(text(sleeping))

    caller = asyncio.create_task(read())
    await becomes(lambda: reader.checked_out)
    async with asyncio.timeout(5):
        await asyncio.wait({caller}, timeout=0.05)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        async with reader.read() as tx:
            assert await tx.scalar(select(1)) == 1
