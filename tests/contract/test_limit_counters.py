"""Counters in the database: exact, whoever counts, and gone when their window is."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, select

from skyhold.booking.models.tables import Base, LimitCounterRow
from skyhold.kernel.counters import DatabaseCounters
from skyhold.kernel.limiter import Limiter, TooManyAttempts
from skyhold.kernel.quotas import Quota

TABLE = Base.metadata.tables[LimitCounterRow.__tablename__]


@pytest.fixture
def counters(desk, connect, clock):
    return [DatabaseCounters(connect(), TABLE, clock) for _ in range(2)]


async def rows(desk):
    async with desk.read() as tx:
        return await tx.scalar(select(func.count()).select_from(TABLE))


async def test_of_many_at_two_processes_none_is_lost(counters, desk):
    counted = await asyncio.gather(*(counters[n % 2].incr(f"key {n % 3}", 60) for n in range(60)))
    assert sorted(counted) == sorted(list(range(1, 21)) * 3)
    assert [await counters[0].get(f"key {n}") for n in range(3)] == [20] * 3
    assert await rows(desk) == 3


async def test_a_window_ends_after_its_time_and_not_with_every_hit(counters, clock):
    here, there = counters
    await here.incr("key", 60)
    ends_at = await there.get_expiry("key")
    assert ends_at == clock.now().timestamp() + 60
    clock.advance(seconds=59)
    assert await there.incr("key", 60) == 2
    assert await here.get_expiry("key") == ends_at
    clock.advance(seconds=1)
    assert await here.get("key") == 0
    assert await there.incr("key", 60) == 1
    assert await here.get("key") == 1


async def test_what_is_over_is_purged_a_piece_at_a_time(counters, clock, desk):
    here, there = counters
    for n in range(5):
        await here.incr(f"key {n}", 60)
    await here.incr("another", 600)
    clock.advance(seconds=60)
    assert [await there.purge(3), await there.purge(3), await there.purge(3)] == [3, 2, 0]
    assert await rows(desk) == 1
    assert await here.get("another") == 1


async def test_no_more_get_through_at_once_than_one_after_the_other(counters, clock):
    limiters = [Limiter.by_storage(one, clock) for one in counters]
    quota = Quota.of("login", "5/minute; 7/hour")

    async def tries(n):
        try:
            await limiters[n % 2].admit(quota, "ada", "192.0.2.7")
        except TooManyAttempts as refusal:
            return refusal.retry_after_s
        return 0

    assert sorted(await asyncio.gather(*(tries(n) for n in range(40)))) == [0] * 5 + [60] * 35
    clock.advance(seconds=60)
    assert [await tries(n) for n in range(4)] == [0, 0, 3540, 3540]
    await limiters[0].forget(quota, "ada", "192.0.2.7")
    assert await tries(1) == 0


async def test_no_key_is_kept_in_clear(counters, desk):
    await counters[0].incr("LIMITER/login/ada@example.com/192.0.2.7", 60)
    async with desk.read() as tx:
        (row,) = await tx.rows(select(TABLE))
    assert len(row.key) == 64
    assert "ada" not in repr(row)
