"""Of several processes one does a piece of work, until it stops or falls silent."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from skyhold.kernel.columns import metadata
from skyhold.kernel.db import DatabaseBusy
from skyhold.kernel.leases import Lease, lease_table

METADATA = metadata()
LEASES = lease_table(METADATA, "leases")
TTL_S = 10.0


@pytest.fixture
async def lease(db, clock):
    await db.run_sync(METADATA.create_all)

    def lease(work="relay"):
        return Lease(db, LEASES, work, clock, TTL_S)

    return lease


async def test_of_several_exactly_one_has_it(lease):
    rivals = [lease() for _ in range(8)]
    answers = await asyncio.gather(*(rival.is_ours() for rival in rivals))
    assert sum(answers) == 1
    again = [await rival.is_ours() for rival in rivals]
    assert again == answers


async def test_whoever_asks_in_time_keeps_it(lease, clock):
    ours, other = lease(), lease()
    for _ in range(10):
        assert await ours.is_ours()
        clock.advance(seconds=TTL_S * 0.6)
        assert not await other.is_ours()


async def test_from_a_silent_holder_another_takes_it_over(lease, clock):
    silent, other = lease(), lease()
    assert await silent.is_ours()
    clock.advance(seconds=TTL_S - 0.1)
    assert not await other.is_ours()
    clock.advance(seconds=0.1)
    assert await other.is_ours()
    assert not await silent.is_ours()


async def test_who_gives_it_up_leaves_it_to_another_at_once(lease):
    ours, other = lease(), lease()
    assert await ours.is_ours()
    await ours.give_up()
    assert await other.is_ours()


async def test_nobody_gives_up_what_another_has_taken_over(lease, clock):
    silent, other, third = lease(), lease(), lease()
    assert await silent.is_ours()
    clock.advance(seconds=TTL_S)
    assert await other.is_ours()
    await silent.give_up()
    assert not await third.is_ours()
    assert await other.is_ours()


async def test_each_work_has_a_lease_of_its_own(lease):
    assert await lease("relay").is_ours()
    assert await lease("sweep").is_ours()


async def test_a_lease_that_is_young_is_not_asked_for_again(lease, db, clock, monkeypatch):
    ours = lease()
    assert await ours.is_ours()

    async def gone(_):
        raise DatabaseBusy

    monkeypatch.setattr(db, "transact", gone)
    clock.advance(seconds=TTL_S * 0.4)
    assert await ours.is_ours()
    clock.advance(seconds=TTL_S * 0.2)
    with pytest.raises(DatabaseBusy):
        await ours.is_ours()


async def test_a_process_that_stops_without_its_database_stops_all_the_same(
    lease, db, monkeypatch, logged
):
    ours = lease()
    assert await ours.is_ours()

    async def gone(_):
        raise DatabaseBusy

    monkeypatch.setattr(db, "transact", gone)
    await ours.give_up()
    assert [line["event"] for line in logged] == ["lease.not_given_up"]


async def test_a_lease_is_one_row(lease, db, clock):
    for _ in range(3):
        assert await lease().is_ours()
        clock.advance(seconds=TTL_S)
    async with db.read() as tx:
        assert len(await tx.rows(select(LEASES))) == 1
