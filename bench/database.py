"""Rows put straight into a database, past the services."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table, insert, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from skyhold.kernel.engines.urls import engine_for

ROWS_AT_ONCE = 5_000


def execute(url: str, *statements: str) -> None:
    """Run these, in one transaction."""
    asyncio.run(_execute(url, statements))


def ask(url: str, question: str) -> list[tuple[Any, ...]]:
    """The rows that answer it."""
    return asyncio.run(_ask(url, question))


def add(url: str, rows: Mapping[Table, Sequence[Mapping[str, Any]]]) -> None:
    """Insert these rows, table by table in this order."""
    asyncio.run(_add(url, rows))


async def _execute(url: str, statements: Sequence[str]) -> None:
    engine = _engine(url)
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await engine.dispose()


async def _ask(url: str, question: str) -> list[tuple[Any, ...]]:
    engine = _engine(url)
    async with engine.connect() as connection:
        found = [tuple(row) for row in await connection.execute(text(question))]
    await engine.dispose()
    return found


async def _add(url: str, rows: Mapping[Table, Sequence[Mapping[str, Any]]]) -> None:
    engine = _engine(url)
    async with engine.begin() as connection:
        for table, all_of_it in rows.items():
            for start in range(0, len(all_of_it), ROWS_AT_ONCE):
                some = all_of_it[start : start + ROWS_AT_ONCE]
                await connection.execute(insert(table), some)
    await engine.dispose()


def _engine(url: str) -> AsyncEngine:
    return create_async_engine(engine_for(url)[0], poolclass=NullPool)
