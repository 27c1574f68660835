"""Databases for tests: on SQLite always, on the servers where they can be reached."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from skyhold.booking.wiring import HISTORY as BOOKING_HISTORY
from skyhold.flight.services import reference
from skyhold.flight.wiring import HISTORY as FLIGHT_HISTORY
from skyhold.kernel.db import Database

# Which the tests run on; "galera" is left to `make galera`, which has a cluster.
ENGINES = tuple(os.environ.get("SKYHOLD_TEST_ENGINES", "sqlite,mariadb,postgresql").split(","))
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Server:
    """A database server that tests may use, and how to start one."""

    variable: str
    default: str
    driver: str
    admin_database: str
    start: str

    @property
    def url(self) -> URL:
        """As administrator."""
        return self.nodes[0]

    @property
    def nodes(self) -> list[URL]:
        """Those that are one database; mostly there is one."""
        return list(map(make_url, os.environ.get(self.variable, self.default).split(",")))


SERVERS = {
    "mariadb": Server(
        "SKYHOLD_TEST_MYSQL_URL",
        "mysql://root@127.0.0.1:3306",
        "mysql+asyncmy",
        "",
        "apt-get install mariadb-server && service mariadb start",
    ),
    "postgresql": Server(
        "SKYHOLD_TEST_POSTGRESQL_URL",
        "postgresql://postgres@127.0.0.1:5432",
        "postgresql+asyncpg",
        "postgres",
        "apt-get install postgresql && service postgresql start",
    ),
    "galera": Server(
        "SKYHOLD_TEST_GALERA_URLS",
        "mysql://root@127.0.0.1:1",  # nobody: a cluster is not just there
        "mysql+asyncmy",
        "",
        "make galera",
    ),
}
SERVER_ENGINES = tuple(engine for engine in ENGINES if engine in SERVERS)


def dialect_of(engine: str) -> str:
    """Whose SQL it speaks."""
    return "mariadb" if engine == "galera" else engine


def replicas_of(engine: str, url: str) -> list[str]:
    """The same database, at each node that has it."""
    if engine not in SERVERS:
        return [url]
    nodes = [make_url(url).set(host=at.host, port=at.port) for at in SERVERS[engine].nodes]
    return [node.render_as_string(hide_password=False) for node in nodes]


def require(engine: str) -> None:
    """Skip this test where the engine's server is missing; fail where nothing may be missing."""
    if engine not in SERVERS or _reachable(engine):
        return
    server = SERVERS[engine]
    missing = (
        f"no {engine} at {server.url.render_as_string(hide_password=True)}: start one "
        f"({server.start}) or set {server.variable}"
    )
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


@contextmanager
def fresh_database(engine: str, folder: Path, *, made_with: str = "") -> Iterator[str]:
    """The URL of a new and empty database, gone afterwards; `made_with` are options of a server."""
    require(engine)
    name = f"skyhold_test_{os.getpid()}_{next(_numbers)}"
    if engine == "sqlite":
        yield f"sqlite:///{folder / name}.db"
        return
    _outside(_admin(engine, f"CREATE DATABASE {name} {made_with}"))
    settle(engine)
    try:
        url = SERVERS[engine].url.set(database=name)
        yield url.render_as_string(hide_password=False)
    finally:
        _outside(_admin(engine, _drop(engine, name)))


@contextmanager
def databases(engine: str, folder: Path) -> Iterator[dict[str, str]]:
    """The settings that give each service an empty database of its own on this engine."""
    if engine == "sqlite":
        yield {}  # a file each, in the data folder
        return
    with fresh_database(engine, folder) as bookings, fresh_database(engine, folder) as flights:
        yield {"database_url": bookings, "flight_database_url": flights}


def at_node(engine: str, number: int, where: Mapping[str, str]) -> dict[str, str]:
    """Those settings for the processes that talk to this node, of those that the engine has."""
    return {name: _nth(replicas_of(engine, url), number) for name, url in where.items()}


def _nth(replicas: list[str], number: int) -> str:
    return replicas[number % len(replicas)]


def migrate(url: str, *, with_reference: bool = True) -> None:
    """Both services' schemas, and what a flight schedule needs first."""
    _outside(_migrate(url, with_reference=with_reference))


async def _migrate(url: str, *, with_reference: bool) -> None:
    db = Database(url)
    try:
        await BOOKING_HISTORY.upgrade(db)
        await FLIGHT_HISTORY.upgrade(db)
        if with_reference:
            await reference.load(db)
    finally:
        await db.close()


def _drop(engine: str, name: str) -> str:
    # Processes that a test killed may have left their connections behind.
    return f"DROP DATABASE IF EXISTS {name}" + (" WITH (FORCE)" if engine == "postgresql" else "")


_found: dict[str, bool] = {}


def _reachable(engine: str) -> bool:
    if engine not in _found:
        try:
            _outside(_admin(engine, "SELECT 1"))
        except (OSError, DBAPIError, TimeoutError):
            _found[engine] = False
        else:
            _found[engine] = True
    return _found[engine]


def _outside(work: Coroutine[Any, Any, None]) -> None:
    """Run to its end, wherever it is asked for: in a test that is itself in an event loop, too."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


def settle(engine: str) -> None:
    """Until every node has what was made on any: to connect is not to ask, nor is to insert."""
    if engine == "galera":
        _outside(_settle(engine))


async def _settle(engine: str) -> None:
    for node in SERVERS[engine].nodes:
        await _admin(engine, "SET SESSION wsrep_sync_wait = 15", "SELECT 1", at=node)


async def _admin(engine: str, *statements: str, at: URL | None = None) -> None:
    server = SERVERS[engine]
    url = (at or server.url).set(drivername=server.driver, database=server.admin_database)
    admin = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        async with admin.connect() as connection:
            for statement in statements:
                await connection.execute(text(statement))
    finally:
        await admin.dispose()
