"""A pool that is used up: everybody gets an answer within a bounded time, and then all is well."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest
from contract_stage import NOTES, mariadb_only, note, raised
from sqlalchemy import func, select, text

from skyhold.kernel.db import DatabaseBusy, NoConnection

COUNT = select(func.count()).select_from(NOTES)
WAIT_S = 0.4


async def write_slowly(db, may_end, inside=None):
    async def work(tx):
        if inside is not None:
            inside.release()
        await may_end.wait()
        return await tx.run(raised("a"))

    return await db.transact(work)


async def read_slowly(db, may_end, inside=None):
    async with db.read() as tx:
        if inside is not None:
            inside.release()
        await tx.scalar(COUNT)
        await may_end.wait()
        return await tx.scalar(COUNT)


@pytest.mark.parametrize("slowly", [write_slowly, read_slowly], ids=["writers", "readers"])
async def test_who_finds_every_connection_taken_is_told_so_within_the_wait(connect, rows, slowly):
    await rows.add("a")
    db = connect(pool_max=2, writers_max=2, wait_s=WAIT_S)
    may_end, inside = asyncio.Event(), asyncio.Semaphore(0)
    writers = 1 if slowly is write_slowly and not db.is_server else 2  # SQLite has one
    has_one = [asyncio.create_task(slowly(db, may_end, inside)) for _ in range(writers)]
    async with asyncio.timeout(5):
        for _ in has_one:
            await inside.acquire()
    assert db.checked_out == writers

    begun = time.monotonic()
    refused = await asyncio.gather(
        *(slowly(db, may_end) for _ in range(30)), return_exceptions=True
    )
    assert WAIT_S * 0.9 < time.monotonic() - begun < WAIT_S + 2
    assert {type(refusal) for refusal in refused} == {NoConnection}
    told = {(each.status, each.code, each.retry_after_s is not None) for each in refused}
    assert told == {(503, "database_no_connection", True)}

    may_end.set()
    assert await asyncio.gather(*has_one) == [1] * writers
    assert await asyncio.gather(*(slowly(db, may_end) for _ in range(30))) == [1] * 30


async def test_readers_are_served_while_every_writer_is_taken(connect, rows):
    await rows.add("a")
    db = connect(pool_max=1, writers_max=1, wait_s=WAIT_S)
    may_end, inside = asyncio.Event(), asyncio.Semaphore(0)
    writer = asyncio.create_task(write_slowly(db, may_end, inside))
    await inside.acquire()
    async with asyncio.timeout(WAIT_S), db.read() as tx:
        assert await tx.scalar(COUNT) == 1
    may_end.set()
    await writer


async def test_five_clients_on_a_pool_of_one_all_get_their_answer(connect, rows):
    """Each reads, writes and reads again, as a request does; none keeps one while it waits."""
    await rows.add("a")
    db = connect(pool_max=1, writers_max=1)

    async def request(number):
        async with db.read() as tx:
            await tx.scalar(COUNT)
        await db.transact(lambda tx: tx.run(note(str(number))))
        await db.transact(lambda tx: tx.run(raised("a")))
        async with db.read() as tx:
            return await tx.scalar(select(NOTES.c.id).where(NOTES.c.id == str(number)))

    async with asyncio.timeout(10):
        assert await asyncio.gather(*map(request, range(5))) == [str(n) for n in range(5)]
    assert (await rows.all())["a"] == 5


async def test_clients_that_need_a_second_connection_are_refused_and_do_not_lock_up(connect, rows):
    """The classical dead-lock: everybody has a connection and waits for another one."""
    db = connect(pool_max=2, writers_max=2, wait_s=WAIT_S)

    async def greedy(_):
        async with db.read() as tx:
            await tx.scalar(COUNT)
            async with db.read() as second:
                return await second.scalar(COUNT)

    async with asyncio.timeout(WAIT_S * 10):
        answers = await asyncio.gather(*map(greedy, range(10)), return_exceptions=True)
    assert {type(answer) for answer in answers} <= {int, NoConnection}
    assert NoConnection in {type(answer) for answer in answers}
    async with db.read() as tx:
        assert await tx.scalar(COUNT) == 0


async def test_a_crowd_on_a_small_pool_is_served_or_told_to_come_back(connect, rows):
    await rows.add("a")
    db = connect(pool_max=2, writers_max=2, wait_s=WAIT_S)

    async def work(tx):
        await tx.run(raised("a"))
        await asyncio.sleep(0.02)
        return "written"

    async def one(number):
        if number % 2:
            return await db.transact(work)
        async with db.read() as tx:
            await tx.scalar(COUNT)
            await asyncio.sleep(0.02)
            return "read"

    async with asyncio.timeout(20):
        outcomes = await asyncio.gather(*map(one, range(200)), return_exceptions=True)
    assert all(isinstance(each, str | DatabaseBusy) for each in outcomes), outcomes
    served = Counter(each for each in outcomes if isinstance(each, str))
    assert NoConnection in {type(each) for each in outcomes}
    assert served["read"] > 0
    assert await rows.all() == {"a": served["written"]}  # a refusal had no effect
    await db.transact(lambda tx: tx.run(raised("a")))


async def test_who_goes_away_while_waiting_for_a_connection_takes_none_along(connect, rows):
    await rows.add("a")
    db = connect(pool_max=1, writers_max=1)
    may_end, inside = asyncio.Event(), asyncio.Semaphore(0)
    first = asyncio.create_task(read_slowly(db, may_end, inside))
    await inside.acquire()
    waiting = [asyncio.create_task(read_slowly(db, may_end)) for _ in range(20)]
    await asyncio.wait(waiting, timeout=0.05)
    for each in waiting:
        each.cancel()
    await asyncio.wait(waiting)
    may_end.set()
    await first
    assert db.checked_out == 0
    async with asyncio.timeout(1):
        assert await read_slowly(db, may_end) == 1


@mariadb_only
async def test_nothing_is_said_about_a_transaction_that_has_ended(connect, rows):
    """After a COMMIT there is nothing to roll back, so no round trip is spent on saying so."""
    db = connect(pool_max=1, writers_max=1)
    before = await _rolled_back(db)
    for id_ in "abc":
        await db.transact(lambda tx, id_=id_: tx.run(note(id_)))
    assert await _rolled_back(db) == before
    assert await rows.all() == dict.fromkeys("abc", 0)


@mariadb_only
async def test_a_connection_that_comes_back_in_a_transaction_is_rolled_back(connect, rows):
    db = connect(pool_max=1, writers_max=1)
    async with db._writer.connect() as connection:
        begun = await connection.get_raw_connection()
        driver = begun.driver_connection
        async with driver.cursor() as cursor:
            await cursor.execute("INSERT INTO notes (id, number) VALUES ('a', 0)")
    await db.transact(lambda tx: tx.run(note("b")))
    assert await rows.all() == {"b": 0}


async def _rolled_back(db):
    said = text("SHOW SESSION STATUS LIKE 'Com_rollback'")
    return await db.transact(lambda tx: tx.row(said))
