"""One suite for SQLite, MariaDB and PostgreSQL: what holds on one of them holds on all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from contract_stage import METADATA, Rows
from hypothesis import settings
from structlog.testing import capture_logs

from skyhold.kernel import db as db_module
from skyhold.kernel.clock import FrozenClock
from skyhold.kernel.db import Database
from support.cut import Cut
from support.databases import ENGINES, fresh_database, migrate, require

# A busy machine is no reason to fail; the whole suite has a time limit of its own.
settings.register_profile("skyhold", deadline=None)
settings.load_profile("skyhold")

SETTLES_WITHIN_S = 5


@pytest.fixture(scope="module", params=ENGINES)
def engine(request) -> str:
    """The engine that a test runs on, one after the other."""
    require(request.param)
    return request.param


@pytest.fixture(scope="module")
def url(engine, tmp_path_factory) -> Iterator[str]:
    """A database with both services' schemas, for all tests of a module."""
    with fresh_database(engine, tmp_path_factory.mktemp("contract")) as url:
        migrate(url, with_reference=False)
        asyncio.run(_add_tables_of_the_tests(url))
        yield url


async def _add_tables_of_the_tests(url: str) -> None:
    db = Database(url)
    await db.run_sync(METADATA.create_all)
    await db.close()


@pytest.fixture
async def connect(url):
    """Open the database, once for each replica; in the end every connection has come back."""
    opened: list[Database] = []

    def connect(at: str = url, **limits) -> Database:
        opened.append(Database(at, **limits))
        return opened[-1]

    yield connect
    left = [await _given_back(db) for db in opened]
    for db in opened:
        await db.close()
    assert left == [0] * len(opened), "connections are left checked out"


async def _given_back(db: Database) -> int:
    """How many connections are still out once transactions that nobody waits for had their time."""
    if db._running:
        await asyncio.wait(db._running, timeout=SETTLES_WITHIN_S)
    return db.checked_out


@pytest.fixture
def db(connect) -> Database:
    return connect()


@pytest.fixture
async def wire(url):
    """The way to the server, for tests that cut it."""
    wire = Cut.before(url)
    await wire.start()
    yield wire
    await wire.close()


@pytest.fixture
async def rows(db) -> Rows:
    """An empty table, and what becomes of it."""
    rows = Rows(db)
    await rows.clear()
    return rows


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(datetime(2080, 1, 1, 12, tzinfo=UTC))


@pytest.fixture
def at_once(monkeypatch):
    """No pauses between the attempts."""
    monkeypatch.setattr(db_module, "PAUSE_MAX_S", 0.0)


@pytest.fixture
def logged():
    """What is logged during the test, and nowhere else."""
    with capture_logs() as lines:
        yield lines
