"""Reading a service's database from outside: plain SQL text, one snapshot, on three engines.

Nothing here knows the services' own code: what a column means is said once more, so that a mistake
there cannot hide itself here.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from .living import by_a_living_one, one_of

Row = dict[str, Any]

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "mysql": "mysql+asyncmy",
    "mariadb": "mysql+asyncmy",
    "postgresql": "postgresql+asyncpg",
}
# What comes out of a plain SELECT differs from engine to engine for these.
_JSON = {"segments", "changes", "data", "times", "next_action"}
_INSTANTS = {
    "payment_required_by",
    "due_at",
    "created_at",
    "changed_at",
    "expires_at",
    "resolved_at",
    "occurred_at",
    "published_at",
    "received_at",
    "departing_at",
    "arriving_at",
    "at",
}
_TRUTHS = {"hold_open"}


def reader(url: str) -> AsyncEngine:
    """An engine that reads one snapshot per transaction and keeps no connection in between.

    A server that was killed meanwhile is therefore simply connected to anew.
    """
    url, nodes = one_of(url)
    parsed = make_url(url)
    kind = parsed.drivername.partition("+")[0]
    options: dict[str, Any] = {}
    if kind != "sqlite":
        options["isolation_level"] = "REPEATABLE READ"
        timeout = "timeout" if kind == "postgresql" else "connect_timeout"
        options["connect_args"] = {timeout: 3.0}
    if nodes:
        options["connect_args"]["async_creator_fn"] = by_a_living_one(nodes)
        options["pool_reset_on_return"] = None  # it is closed, and may refuse even that by then
    engine = create_async_engine(
        parsed.set(drivername=_DRIVERS[kind]), poolclass=NullPool, **options
    )
    if kind == "sqlite":
        _begin_by_hand(engine)
    return engine


def _begin_by_hand(engine: AsyncEngine) -> None:
    """The driver begins a transaction only before a write; a snapshot needs one for reading."""

    @event.listens_for(engine.sync_engine, "connect")
    def _by_hand(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout=3000")
        cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")


@asynccontextmanager
async def snapshot(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction: everything read inside is of one moment."""
    async with engine.connect() as connection, connection.begin():
        yield connection


async def rows(connection: AsyncConnection, statement: str) -> list[Row]:
    """What a statement finds, the same on every engine."""
    found = await connection.execute(text(statement))
    return [plain(row) for row in found.mappings()]


def plain(row: Mapping[str, Any]) -> Row:
    """JSON as objects, instants as Unix seconds, truths as truths."""
    return {name: _plain(name, value) for name, value in row.items()}


def _plain(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _JSON:
        return json.loads(value) if isinstance(value, str | bytes) else value
    if name in _INSTANTS:
        return unix(value)
    if name in _TRUTHS:
        return bool(value)
    return value


def unix(value: datetime | str) -> float:
    """Unix seconds of an instant as the databases keep it: UTC, without saying so."""
    instant = datetime.fromisoformat(value) if isinstance(value, str) else value
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
