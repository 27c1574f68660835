"""What waits is counted right while it is little, and cheaply when it is much."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from sqlalchemy import Column, Index, Integer, Table, event, insert, select

from skyhold.kernel import backlog
from skyhold.kernel.backlog import ATTEMPTS_MANY, Due, Untold, due_by_status, due_of, untold
from skyhold.kernel.columns import Instant, Key, metadata
from skyhold.kernel.messaging import Event
from skyhold.kernel.outbox import Outbox, outbox_table

METADATA = metadata()
OUTBOX = outbox_table(METADATA, "events")
ROWS = Table(
    "work",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("status", Key(16), nullable=False),
    Column("due_at", Instant),
    Column("attempts", Integer, nullable=False),
    Index("ix_work_due_at", "due_at"),
)
_ids = itertools.count(1)


@pytest.fixture
async def db(db):
    await db.run_sync(METADATA.create_all)
    return db


@pytest.fixture
def waits(db, clock):
    """Write rows that have been due for so many seconds; None is at rest, less than 0 put off."""

    async def write(status, *since_s, attempts=0):
        rows = [
            {
                "id": next(_ids),
                "status": status,
                "due_at": None if s is None else clock.now() - timedelta(seconds=s),
                "attempts": attempts,
            }
            for s in since_s
        ]
        await db.transact(lambda tx: tx.run(insert(ROWS), rows))

    return write


@pytest.fixture
def count(db, clock):
    async def ask():
        async with db.read() as tx:
            return await due_by_status(
                tx,
                clock.now(),
                status=ROWS.c.status,
                due_at=ROWS.c.due_at,
                attempts=ROWS.c.attempts,
            )

    return ask


async def test_nothing_waits(count, db, clock):
    assert dict(await count()) == {}
    async with db.read() as tx:
        assert await due_of(tx, clock.now(), select(ROWS.c.due_at)) == Due(0, 0)
        assert await untold(tx, OUTBOX) == Untold(0, None)


async def test_due_is_what_has_come_and_overdue_what_came_over_a_minute_ago(waits, count):
    await waits("held", 0, 1, 59.9, 60, 3_600, -0.1, -900, None)
    await waits("paying", 10)
    await waits("confirmed", None, None)
    assert dict(await count()) == {"held": Due(5, 2), "paying": Due(1, 0)}


async def test_what_fails_again_and_again_is_overdue_however_far_it_is_put_off(waits, count):
    await waits("refund_due", -3_600, -5, attempts=ATTEMPTS_MANY)
    await waits("refund_due", -3_600, -5, attempts=ATTEMPTS_MANY - 1)
    await waits("void_due", 1, attempts=ATTEMPTS_MANY)
    await waits("captured", None, attempts=ATTEMPTS_MANY)
    assert dict(await count()) == {"refund_due": Due(0, 2), "void_due": Due(1, 1)}


async def test_of_a_huge_backlog_only_so_many_rows_are_read_and_the_worst_first(
    waits, count, monkeypatch
):
    monkeypatch.setattr(backlog, "ROWS_MAX", 10)
    await waits("held", *range(1, 30))
    await waits("expired", *range(100, 103))
    await waits("held", *(-s for s in range(1, 30)))
    await waits("refund_due", -3_600, attempts=ATTEMPTS_MANY)
    assert dict(await count()) == {
        "held": Due(2, 0),
        "expired": Due(3, 3),
        "refund_due": Due(0, 1),
    }


async def test_rows_of_one_state_are_counted_up_to_the_limit(waits, db, clock, monkeypatch):
    await waits("held", 1, 61, 62, -1)
    await waits("confirmed", 61)
    held = select(ROWS.c.due_at).where(ROWS.c.status == "held")
    async with db.read() as tx:
        assert await due_of(tx, clock.now(), held) == Due(3, 2)
        monkeypatch.setattr(backlog, "ROWS_MAX", 1)
        assert await due_of(tx, clock.now(), held) == Due(1, 1)


async def test_the_oldest_event_that_is_to_be_told_has_an_age(db, clock, monkeypatch):
    outbox = Outbox(OUTBOX, "/skyhold/test")
    for name in ("a", "b", "c"):
        happened = Event(name, "it.happened", name, 1, {}, clock.now())
        await db.transact(lambda tx, happened=happened: outbox.add(tx, happened))
        clock.advance(seconds=30)
    await db.transact(lambda tx: outbox.mark_published(tx, ["a"], clock.now()))
    async with db.read() as tx:
        found = await untold(tx, OUTBOX)
        assert (found.count, found.age_s(clock.now())) == (2, 60)
        monkeypatch.setattr(backlog, "ROWS_MAX", 1)
        assert (await untold(tx, OUTBOX)).count == 1
    assert Untold(0, None).age_s(clock.now()) == 0


async def test_every_question_goes_along_an_index(db, count, clock):
    statements = []
    event.listen(
        db._reader.sync_engine,
        "before_cursor_execute",
        lambda _c, _u, statement, parameters, *_: statements.append((statement, parameters)),
    )
    await count()
    async with db.read() as tx:
        await untold(tx, OUTBOX)
    asked = [asked for asked in statements if asked[0] != "BEGIN"]
    assert len(asked) == 4
    async with db.read() as tx:
        for statement, parameters in asked:
            plan = await tx._connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement}", parameters
            )
            steps = [row.detail for row in plan]
            reads = [step for step in steps if "work" in step or "events" in step]
            assert reads
            assert all("USING" in step and "INDEX" in step for step in reads), steps
            assert not any("ORDER BY" in step for step in steps), steps
