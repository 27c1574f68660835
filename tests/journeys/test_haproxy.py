"""HAProxy as configured in deploy/ (before a real cluster it stands in tests/galera)."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from skyhold.kernel.db import Database
from support import haproxy
from support.databases import SERVERS, fresh_database, require
from support.system import eventually


def test_the_configuration_is_valid():
    assert haproxy.complaints(haproxy.CONFIGURATION) == ""


@asynccontextmanager
async def greeting(words):
    """A server that says this to whoever comes."""

    async def greet(reader, writer):
        await reader.read(1)
        writer.write(words)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
async def greeted():
    """Whom the configuration asks PostgreSQL as."""
    require("postgresql")
    server = SERVERS["postgresql"]
    url = server.url.set(drivername=server.driver, database=server.admin_database)
    admin = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with admin.connect() as connection:
        made = not await connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname='haproxy'"))
        if made:
            await connection.execute(text("CREATE ROLE haproxy LOGIN"))
        yield server.url.port
        if made:
            await connection.execute(text("DROP ROLE haproxy"))
    await admin.dispose()


async def test_a_postgresql_that_is_a_standby_is_passed_over(greeted, tmp_path):
    with fresh_database("postgresql", tmp_path) as url:
        async with greeting(b"S\0\0\0\x16in_hot_standby\0on\0") as standby:
            with haproxy.balancer(tmp_path / "haproxy", "postgresql", [standby, greeted]) as by:
                await eventually(by.has("b"))
                parsed = make_url(url).set(port=by.port)
                db = Database(parsed.render_as_string(hide_password=False))
                name = await db.transact(lambda tx: tx.scalar(text("SELECT current_database()")))
                assert name == parsed.database
                await db.close()
