"""A database with two hosts: one of them may die or fall silent, and work goes on by the other."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit
from weakref import WeakSet

import pytest
from contract_stage import NOTES, becomes, note, servers_only
from sqlalchemy import func, select, text

from skyhold.kernel.db import DatabaseBusy, NoConnection
from skyhold.kernel.engines import mysql, postgresql, servers, ways
from support.cut import Cut

pytestmark = servers_only

COUNT = select(func.count()).select_from(NOTES)
WAIT_S = 1.5  # so each of the two hosts is waited for half a second
SLACK_S = 1.5  # for a busy machine
SLEEPING = {"mariadb": "SELECT SLEEP({s})", "postgresql": "SELECT pg_sleep({s})"}
# What a server says of itself when it may answer and not write.
USELESS = {
    "mariadb": [
        "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1290",
        "SIGNAL SQLSTATE '08S01' SET MYSQL_ERRNO = 1047",
    ],
    "postgresql": ["DO 'BEGIN RAISE SQLSTATE ''25006''; END'"],
}


@pytest.fixture
async def wires(url):
    """Two hosts: two ways to one server."""
    both = [Cut.before(url), Cut.before(url)]
    for wire in both:
        await wire.start()
    yield both
    for wire in both:
        await wire.close()


@pytest.fixture
def by_both(connect, wires, url):
    """Open the database by both."""
    address = several(url, wires)
    return lambda **limits: connect(address, **{"wait_s": WAIT_S, **limits})


def several(url, wires):
    parts = urlsplit(url)
    account, at, _ = parts.netloc.rpartition("@")
    hosts = ",".join(f"127.0.0.1:{wire.port}" for wire in wires)
    return parts._replace(netloc=f"{account}{at}{hosts}").geturl()


@asynccontextmanager
async def within(seconds):
    begun = time.monotonic()
    async with asyncio.timeout(seconds + 10):
        yield
    took = time.monotonic() - begun
    assert took < seconds + SLACK_S, f"{took:.1f} s"


def in_use(wires):
    """How many connections are open by each."""
    return [len(wire._pumps) // 2 for wire in wires]


async def write(db, id):
    return await db.transact(lambda tx: tx.run(note(id)))


async def count(db):
    async with db.read() as tx:
        return await tx.scalar(COUNT)


async def warm(db):
    """Some connections of either kind."""
    await asyncio.gather(*(count(db) for _ in range(2)))
    await asyncio.gather(*(db.transact(lambda tx: tx.scalar(COUNT)) for _ in range(2)))


async def test_connections_go_to_the_first_host(by_both, wires, rows):
    db = by_both()
    await warm(db)
    assert in_use(wires) == [4, 0]


async def test_when_the_first_dies_its_transactions_are_run_again_by_the_second(
    by_both, wires, rows, logged
):
    db = by_both()
    await warm(db)
    runs = []

    async def work(tx):
        runs.append("run")
        await tx.run(note("a"))
        if len(runs) == 1:
            await wires[0].cut()
        await tx.run(note("b"))

    async with within(0.5):
        await db.transact(work)
        assert await count(db) == 2
    assert len(runs) == 2
    assert in_use(wires)[1] >= 2
    passed_over = [line for line in logged if line["event"] == "db.host_passed_over"]
    assert [line["host"] for line in passed_over] == [f"127.0.0.1:{wires[0].port}"]


@pytest.mark.parametrize("is_warm", [True, False], ids=["old connections", "new connections"])
async def test_a_silent_host_costs_a_retry_and_no_error(by_both, wires, rows, is_warm):
    db = by_both(statement_s=30)  # far beyond what anybody here waits for
    if is_warm:
        await warm(db)
    wires[0].silence()
    async with within(2 * WAIT_S):
        await asyncio.gather(*(write(db, id) for id in "abcd"))
    assert await count(db) == 4
    assert in_use(wires)[1] >= 2


async def test_a_statement_that_takes_its_time_is_left_alone(by_both, wires, rows, dialect):
    db = by_both()
    slow = text(SLEEPING[dialect].format(s=1.2))  # and after half a second its host is looked at
    await db.transact(lambda tx: tx.run(slow))
    assert in_use(wires)[1] == 0


async def test_a_host_that_takes_nobody_new_and_answers_the_others_is_left_alone(
    by_both, wires, rows, dialect
):
    db = by_both()
    await warm(db)
    slow = text(SLEEPING[dialect].format(s=1.2))
    slowly = asyncio.create_task(db.transact(lambda tx: tx.run(slow)))
    wires[0]._listener.close()
    while not slowly.done():
        assert await count(db) == 0
        await asyncio.sleep(0.02)
    await slowly
    assert in_use(wires) == [4, 0]


@pytest.mark.parametrize("how", ["cut", "silent"])
async def test_without_any_host_it_is_unavailable_in_bounded_time_and_recovers(
    by_both, wires, rows, how
):
    db = by_both(wait_s=0.6, statement_s=0.6)
    await warm(db)
    for wire in wires:
        if how == "cut":
            await wire.cut()
        else:
            wire.silence()
    async with within(2 * 1.2):
        outcomes = await asyncio.gather(
            *(write(db, id) for id in "abc"), *(count(db) for _ in "abc"), return_exceptions=True
        )
    assert all(isinstance(outcome, DatabaseBusy) for outcome in outcomes), outcomes
    for wire in wires:
        await wire.heal()
    assert await write(db, "d") == 1
    assert await count(db) == 1


async def test_the_first_host_has_its_place_again_when_it_is_back(
    by_both, wires, rows, monkeypatch
):
    monkeypatch.setattr(ways, "PASSED_OVER_S", 0.0)
    db = by_both()
    await wires[0].cut()
    assert await write(db, "a") == 1
    assert in_use(wires) == [0, 1]
    await wires[0].heal()
    await warm(db)
    assert in_use(wires) == [3, 1]  # who is connected stays


async def test_a_host_that_failed_is_tried_last_for_a_while(by_both, wires, rows):
    db = by_both()
    wires[0].silence()
    async with within(WAIT_S / 3):
        assert await write(db, "a") == 1
    begun = time.monotonic()
    await warm(db)
    assert time.monotonic() - begun < WAIT_S / 3
    assert in_use(wires)[1] == 4


async def test_a_host_that_has_become_useless_is_left(by_both, wires, rows, dialect):
    for said in USELESS[dialect]:
        db = by_both()
        await warm(db)
        runs = []

        async def work(tx, said=said, runs=runs):
            runs.append("run")
            await tx.run(note(said[-4:]))
            if len(runs) == 1:
                await tx.run(text(said))

        await db.transact(work)
        assert runs == ["run", "run"]
        await becomes(lambda: in_use(wires)[1] == 1)
        await db.close()
        await becomes(lambda: in_use(wires) == [0, 0])


async def test_a_host_that_was_made_a_standby_is_not_read_from_for_long(
    by_both, wires, rows, dialect, monkeypatch
):
    """It goes on answering those who read, and who always reads never comes to be in doubt."""
    of_engine = {"mariadb": mysql, "postgresql": postgresql}[dialect]
    open_then, is_standby = WeakSet(), False

    async def why_not(connection):
        if not is_standby:
            open_then.add(connection)
        return "it is a standby" if is_standby and connection in open_then else None

    monkeypatch.setattr(of_engine, "_DRIVER", replace(of_engine._DRIVER, why_not=why_not))
    monkeypatch.setattr(servers, "IDLE_S", 0.1)
    db = by_both()
    await warm(db)
    is_standby = True
    async with within(0.1):
        while in_use(wires)[1] < 1:
            assert await count(db) == 0
            await asyncio.sleep(0.01)
    assert in_use(wires)[1] == 1


async def test_a_mistake_is_told_at_once_and_not_waited_for(connect, wires, url):
    lost = connect(several(url, wires).rpartition("/")[0] + "/skyhold_test_nowhere")
    async with within(0):
        with pytest.raises(Exception, match=r"(?i)(unknown database|does not exist)") as refusal:
            await count(lost)
    assert not isinstance(refusal.value, DatabaseBusy)


async def test_schemas_are_changed_by_whichever_host_is_there(by_both, wires, rows):
    await wires[0].cut()
    db = by_both()
    assert await db.run_sync(lambda connection: connection.scalar(COUNT), lock="a schema") == 0
    await wires[1].cut()
    with pytest.raises(OSError, match=rf"127.0.0.1:{wires[1].port}: "):
        await db.run_sync(lambda _: None)
    with pytest.raises(NoConnection):
        await count(db)
