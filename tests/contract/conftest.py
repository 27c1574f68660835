"""One suite for SQLite, MariaDB and PostgreSQL: what holds on one of them holds on all."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from booking_desk import a_user
from contract_stage import METADATA, Rows
from hypothesis import settings
from sqlalchemy import delete
from structlog.testing import capture_logs

from skyhold.booking.models.booking import Booking
from skyhold.booking.models.payment import Payment
from skyhold.booking.models.tables import Base
from skyhold.booking.repositories import bookings, payments, users
from skyhold.kernel import db as db_module
from skyhold.kernel.clock import FrozenClock
from skyhold.kernel.db import Database
from support.cut import Cut
from support.databases import (
    ENGINES,
    dialect_of,
    fresh_database,
    migrate,
    replicas_of,
    require,
    settle,
)

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
def dialect(engine) -> str:
    """Whose SQL the engine speaks."""
    return dialect_of(engine)


@pytest.fixture(scope="module")
def url(engine, tmp_path_factory) -> Iterator[str]:
    """A database with both services' schemas, for all tests of a module."""
    with fresh_database(engine, tmp_path_factory.mktemp("contract")) as url:
        migrate(url, with_reference=False)
        asyncio.run(_add_tables_of_the_tests(url))
        settle(engine)
        yield url


async def _add_tables_of_the_tests(url: str) -> None:
    db = Database(url)
    await db.run_sync(METADATA.create_all)
    await db.close()


@pytest.fixture
async def connect(engine, url):
    """Open the database, once for each replica; in the end every connection has come back.

    Where several nodes are one database, each replica is at the next node.
    """
    opened: list[Database] = []
    nodes = itertools.cycle(replicas_of(engine, url))

    def connect(at: str | None = None, **limits) -> Database:
        opened.append(Database(at or next(nodes), **limits))
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


# --- the booking database ------------------------------------------------------------------


@pytest.fixture
async def desk(db):
    """An empty booking database."""

    async def clear(tx):
        for table in reversed(Base.metadata.sorted_tables):
            await tx.run(delete(table))

    await db.transact(clear)
    return db


@pytest.fixture
def now(clock):
    return clock.now()


@pytest.fixture
async def ada(desk, now):
    user = a_user(now)
    await desk.transact(lambda tx: users.add(tx, user))
    return user


@pytest.fixture
def write(desk):
    """Write bookings and payments as they are handed in."""

    async def write(*what: Booking | Payment):
        async def work(tx):
            for one in what:
                if isinstance(one, Booking):
                    await bookings.add(tx, [one])
                else:
                    await payments.add(tx, one)

        await desk.transact(work)

    return write
