"""The lock of a cluster is plain SQL: what it promises its owner shows on a single server, too."""

from __future__ import annotations

import asyncio

import pytest
from contract_stage import becomes
from sqlalchemy import text
from sqlalchemy.util import await_only

from skyhold.kernel.engines import galera
from skyhold.kernel.settings import SettingsError
from support.databases import ENGINES

LEFT = text("SELECT COUNT(*) FROM skyhold_schema_lock")


@pytest.fixture(scope="module", params=[engine for engine in ENGINES if engine == "mariadb"])
def engine(request) -> str:
    return request.param


def migrating(db, told, name, *pauses):
    """With the lock, without that of the server, as one of its owners at a node of its own."""

    def run(connection):
        with galera.locked(connection, "a schema"), connection.begin():
            told.append(name)
            for pause in pauses:
                await_only(pause())
                connection.execute(text("SELECT 1"))
                told.append(name)

    async def migrate():
        migrator = db._engine.migrator(db.url)
        async with migrator.connect() as connection:
            await connection.run_sync(run)
        await migrator.dispose()

    return asyncio.create_task(migrate())


async def left(db):
    async with db.read() as tx:
        return await tx.scalar(LEFT)


async def test_who_takes_longer_than_its_lease_keeps_the_lock_while_it_works(db, monkeypatch):
    monkeypatch.setattr(galera, "LEASE_S", 2)
    told = []
    first = migrating(db, told, "first", *[lambda: asyncio.sleep(0.1)] * 25)
    await becomes(lambda: told)
    await asyncio.gather(first, migrating(db, told, "second"))
    assert told == ["first"] * 26 + ["second"]
    assert await left(db) == 0


async def test_who_was_overtaken_does_nothing_more(db, monkeypatch):
    monkeypatch.setattr(galera, "LEASE_S", 1)
    told, overtaken, may_end = [], asyncio.Event(), asyncio.Event()

    async def overtakes():
        overtaken.set()
        await may_end.wait()

    first = migrating(db, told, "first", overtaken.wait, overtaken.wait)
    await becomes(lambda: told)
    second = migrating(db, told, "second", overtakes)
    with pytest.raises(SettingsError, match="another process"):
        await first
    may_end.set()
    await second
    assert told == ["first", "second", "second"]
    assert await left(db) == 0
