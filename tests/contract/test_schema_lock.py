"""The lock of a cluster is plain SQL: what it promises its owner shows on a single server, too."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from skyhold.kernel.engines import galera
from skyhold.kernel.settings import SettingsError
from support.databases import ENGINES

LEFT = text("SELECT COUNT(*) FROM skyhold_schema_lock")


@pytest.fixture(scope="module", params=[engine for engine in ENGINES if engine == "mariadb"])
def engine(request) -> str:
    return request.param


@pytest.fixture
def lease(monkeypatch):
    monkeypatch.setattr(galera, "LEASE_S", 1)
    monkeypatch.setattr(galera, "WAIT_S", 10)


def migrating(db, told, name, *statements_s):
    """With the lock, without that of the server, as one of its owners at a node of its own."""

    def run(connection):
        with galera.locked(connection, "a schema"), connection.begin():
            for seconds in statements_s:
                told.append(name)
                connection.execute(text("SELECT SLEEP(:s)"), {"s": seconds})

    async def migrate():
        migrator = db._engine.migrator(db.url)
        async with migrator.connect() as connection:
            await connection.run_sync(run)
        await migrator.dispose()

    return asyncio.create_task(migrate())


async def left(db):
    async with db.read() as tx:
        return await tx.scalar(LEFT)


async def test_who_takes_longer_than_its_lease_keeps_the_lock_while_it_works(db, lease):
    told = []
    first = migrating(db, told, "first", *[0.3] * 6)
    await asyncio.sleep(0.2)
    await asyncio.gather(first, migrating(db, told, "second", 0))
    assert told == ["first"] * 6 + ["second"]
    assert await left(db) == 0


async def test_who_was_overtaken_does_nothing_more(db, lease):
    told = []
    first = migrating(db, told, "first", 1.5, 0, 0)
    await asyncio.sleep(0.2)
    second = migrating(db, told, "second", 0.8)
    with pytest.raises(SettingsError, match="another process"):
        await first
    await second
    assert told == ["first", "second", "first"]  # the last one had not been sent
    assert await left(db) == 0
