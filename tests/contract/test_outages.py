"""A server that is gone, goes away in the middle, or says nothing: nobody waits for ever."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from contract_stage import NOTES, becomes, note, servers_only
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_connection
from sqlalchemy.engine import make_url

from skyhold.kernel.db import DatabaseBusy, Duplicate, NoConnection, OutcomeUnknown
from skyhold.kernel.engines import mysql, postgresql, servers
from support.system import eventually, free_port

pytestmark = servers_only

COUNT = select(func.count()).select_from(NOTES)
# Seconds; small, and all that a frozen server may cost is a small multiple of them.
SHORT = {"wait_s": 0.3, "statement_s": 0.3}
BOUND_S = SHORT["wait_s"] + SHORT["statement_s"]
SLACK_S = 1.5  # for a busy machine
FAREWELL_S = 2.0  # that asyncpg waits for an answer when it gives a connection up
CONNECT_S = 0.3


@pytest.fixture
def impatient_to_connect(monkeypatch):
    monkeypatch.setitem(mysql._CONNECT, "connect_timeout", CONNECT_S)
    monkeypatch.setattr(postgresql, "CONNECT_S", CONNECT_S)


@pytest.fixture
def short_farewell(monkeypatch):
    """Two seconds in each of these tests would be too much."""

    async def close(connection):
        await connection._connection.close(timeout=0.05)

    monkeypatch.setattr(AsyncAdapt_asyncpg_connection, "_terminate_graceful_close", close)


@pytest.fixture
def over_wire(connect, wire, url):
    """Open the database by the wire."""
    return lambda **limits: connect(wire.url(url), **limits)


@asynccontextmanager
async def within(seconds: float):
    begun = time.monotonic()
    async with asyncio.timeout(seconds + 10):  # hangs are failures, not time-outs of the suite
        yield
    took = time.monotonic() - begun
    assert took < seconds + SLACK_S, f"{took:.1f} s"


async def count(db):
    async with db.read() as tx:
        return await tx.scalar(COUNT)


# --- nobody there ----------------------------------------------------------------------------


async def test_a_server_that_is_not_there_is_unavailable_within_the_wait(connect, url):
    elsewhere = make_url(url).set(port=free_port())
    nobody = connect(elsewhere.render_as_string(hide_password=False), wait_s=0.3)
    async with within(0.3):
        with pytest.raises(NoConnection) as refusal:
            await nobody.transact(lambda tx: tx.run(note("a")))
    assert (refusal.value.status, refusal.value.retry_after_s) == (503, 1)
    async with within(0.3):
        with pytest.raises(NoConnection):
            await count(nobody)


async def test_a_server_that_comes_back_within_the_wait_is_waited_for(over_wire, wire, rows):
    db = over_wire(wait_s=5)
    await wire.cut()
    reading, writing = (
        asyncio.create_task(count(db)),
        asyncio.create_task(db.transact(lambda tx: tx.run(note("a")))),
    )
    await asyncio.wait({reading, writing}, timeout=0.05)
    await wire.heal()
    async with asyncio.timeout(10):
        assert await writing == 1
        assert await reading in {0, 1}


async def test_a_database_that_does_not_exist_is_a_mistake_and_not_waited_for(connect, url):
    lost = connect(url.rpartition("/")[0] + "/skyhold_test_nowhere")
    async with within(0):
        with pytest.raises(Exception, match=r"(?i)(unknown database|does not exist)") as refusal:
            await count(lost)
    assert not isinstance(refusal.value, DatabaseBusy)


# --- gone in the middle ----------------------------------------------------------------------

SLEEPING = {"mariadb": "SELECT SLEEP(30)", "postgresql": "SELECT pg_sleep(30)"}


async def begun_over(wire, db, dialect, read):
    """Something long is under way on this database."""
    if read:

        async def go():
            async with db.read() as tx:
                await tx.scalar(text(SLEEPING[dialect]))

        task = asyncio.create_task(go())
    else:
        task = asyncio.create_task(db.transact(lambda tx: tx.run(text(SLEEPING[dialect]))))
    await becomes(lambda: wire._pumps)  # the connection is made
    await asyncio.wait({task}, timeout=0.1)
    assert not task.done()
    return task


@pytest.mark.parametrize("read", [True, False], ids=["reader", "writer"])
async def test_a_connection_that_is_cut_in_a_statement_is_told_at_once(
    over_wire, wire, rows, dialect, read
):
    db = over_wire(wait_s=0.3)
    task = await begun_over(wire, db, dialect, read)
    async with within(0.3):
        await wire.cut()
        with pytest.raises(DatabaseBusy) as failure:
            await task
    # Nothing was read into the unknown, and nobody knows what became of what was written.
    assert type(failure.value) is (DatabaseBusy if read else OutcomeUnknown)
    await wire.heal()
    assert await count(db) == 0


async def test_a_function_whose_connection_is_cut_is_run_again(over_wire, wire, rows, logged):
    runs = []

    async def work(tx):
        runs.append("run")
        await tx.run(note("a"))
        if len(runs) == 1:
            await wire.cut()
            await wire.heal()
        await tx.run(note("b"))

    await over_wire().transact(work)
    assert runs == ["run", "run"]
    assert set(await rows.all()) == {"a", "b"}
    assert [line["failure"] for line in logged] == ["database_outcome_unknown"]


async def test_a_commit_that_did_not_arrive_is_done_again(over_wire, wire, rows):
    runs = []

    async def work(tx):
        runs.append("run")
        await tx.run(note("a"))
        if len(runs) == 1:
            await wire.cut()
            await wire.heal()

    await over_wire().transact(work)
    assert runs == ["run", "run"]
    assert await rows.all() == {"a": 0}


async def committed_unheard(wire, rows):
    """The server commits, its answer is kept back, and then the connection breaks."""
    wire.silence()

    async def it_is_there():
        return "a" in await rows.all()

    async def breaks():
        await eventually(it_is_there)
        await wire.cut()
        await wire.heal()

    return asyncio.create_task(breaks())


async def test_a_commit_whose_answer_is_lost_is_run_again_and_finds_its_own_rows(
    over_wire, wire, rows
):
    breaks = []

    async def work(tx):
        await tx.run(note("a"))
        if not breaks:
            breaks.append(await committed_unheard(wire, rows))

    with pytest.raises(Duplicate) as failure:
        await over_wire().transact(work)
    await breaks[0]
    assert failure.value.after_unknown
    assert await rows.all() == {"a": 0}


async def test_a_commit_whose_answer_never_comes_has_an_unknown_outcome(
    over_wire, wire, rows, short_farewell
):
    db = over_wire(**SHORT)

    async def work(tx):
        await tx.run(note("a"))
        wire.silence()

    async with within(2 * BOUND_S):
        with pytest.raises(OutcomeUnknown):
            await db.transact(work)
    assert await rows.all() == {"a": 0}  # here it did commit


# --- there, and silent -----------------------------------------------------------------------


@pytest.mark.parametrize("warm", [True, False], ids=["old connections", "new connections"])
async def test_a_crowd_before_a_server_that_says_nothing_is_answered_in_bounded_time(
    over_wire, wire, rows, impatient_to_connect, warm
):
    db = over_wire(**SHORT, pool_max=2, writers_max=2)
    if warm:
        await asyncio.gather(*(count(db) for _ in range(4)))
        await asyncio.gather(*(db.transact(lambda tx: tx.scalar(COUNT)) for _ in range(4)))
    wire.silence()
    async with within(BOUND_S + CONNECT_S + FAREWELL_S):
        outcomes = await asyncio.gather(
            *(count(db) for _ in range(20)),
            *(db.transact(lambda tx: tx.run(note("a"))) for _ in range(20)),
            return_exceptions=True,
        )
    assert all(isinstance(outcome, DatabaseBusy) for outcome in outcomes), outcomes
    await wire.heal()
    assert await asyncio.gather(*(count(db) for _ in range(10))) == [0] * 10
    assert await db.transact(lambda tx: tx.run(note("b"))) == 1


async def test_a_function_that_fails_while_the_server_says_nothing_is_not_kept(
    over_wire, wire, rows, short_farewell
):
    """It is rolled back, and not even that is answered."""

    async def work(tx):
        await tx.run(note("a"))
        wire.silence()
        raise LookupError("changed my mind")

    async with within(2 * BOUND_S):
        with pytest.raises((LookupError, DatabaseBusy)):
            await over_wire(**SHORT).transact(work)
    await wire.heal()
    assert await rows.all() == {}


async def test_a_reader_that_ends_while_the_server_says_nothing_is_not_kept(
    over_wire, wire, rows, short_farewell
):
    db = over_wire(**SHORT)
    async with within(2 * BOUND_S), db.read() as tx:
        await tx.scalar(COUNT)
        wire.silence()
    await wire.heal()
    assert await count(db) == 0


async def test_an_old_connection_is_asked_whether_it_lives_within_bounds_too(
    over_wire, wire, rows, impatient_to_connect, short_farewell, monkeypatch
):
    monkeypatch.setattr(servers, "IDLE_S", 0.0)
    db = over_wire(**SHORT)
    await count(db)
    wire.silence()
    async with within(BOUND_S + CONNECT_S):
        with pytest.raises(DatabaseBusy):
            await count(db)
    await wire.heal()
    assert await count(db) == 0


async def test_closing_does_not_wait_for_a_server_that_says_nothing(over_wire, wire, rows):
    db = over_wire(**SHORT)
    await count(db)
    await db.transact(lambda tx: tx.run(note("a")))
    wire.silence()
    async with within(2 * BOUND_S):
        await db.close()


# --- ended meanwhile -------------------------------------------------------------------------


async def test_after_a_restart_the_first_that_use_old_connections_notice_nothing(
    over_wire, wire, rows, monkeypatch, logged
):
    monkeypatch.setattr(servers, "IDLE_S", 0.0)
    db = over_wire(pool_max=3, writers_max=3)
    everybody = [lambda: count(db), lambda: db.transact(lambda tx: tx.scalar(COUNT))]
    await asyncio.gather(*(each() for each in everybody * 3))
    await wire.cut()
    await wire.heal()
    assert await asyncio.gather(*(each() for each in everybody * 3)) == [0] * 6
    assert logged == []


@pytest.mark.parametrize("first", ["a writer", "a reader"])
async def test_of_connections_that_broke_together_only_the_first_user_notices(
    over_wire, wire, rows, first
):
    """Who has lost a COMMIT reads next whether it was carried out, and has to be able to."""
    db = over_wire(pool_max=3, writers_max=3)
    await asyncio.gather(*(count(db) for _ in range(3)))
    await asyncio.gather(*(db.transact(lambda tx: tx.scalar(COUNT)) for _ in range(3)))
    await wire.cut()
    await wire.heal()
    if first == "a reader":
        with pytest.raises(DatabaseBusy) as refusal:
            await count(db)
        assert refusal.value.status == 503
    assert await db.transact(lambda tx: tx.run(note("a"))) == 1
    assert await asyncio.gather(*(count(db) for _ in range(3))) == [1] * 3


KILL = {
    "mariadb": ("SELECT CONNECTION_ID()", "KILL {id}"),
    "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend({id})"),
}


async def test_a_connection_that_the_administrator_ends_is_replaced(
    db, rows, dialect, connect, url
):
    who, kill = KILL[dialect]
    runs = []
    administrator = connect(url)  # at the same node as `db`

    async def work(tx):
        runs.append(await tx.scalar(text(who)))
        await tx.run(note("a"))
        if len(runs) == 1:
            order = text(kill.format(id=runs[0]))
            await administrator.transact(lambda tx: tx.run(order))
        await tx.run(note("b"))

    await db.transact(work)
    assert len(set(runs)) == 2
    assert set(await rows.all()) == {"a", "b"}
