"""What the tests of this folder write, and how they look at it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import Phase
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    Table,
    delete,
    insert,
    select,
    update,
)

from skyhold.kernel.columns import ExactText, Instant, Key, metadata
from skyhold.kernel.db import Database
from support.databases import SERVER_ENGINES, dialect_of

METADATA = metadata()
NOTES = Table(
    "notes",
    METADATA,
    Column("id", Key(36), primary_key=True),
    Column("number", Integer, nullable=False),
)
REPLIES = Table(
    "replies",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("note_id", Key(36), ForeignKey("notes.id"), nullable=False),
)
VALUES = Table(
    "values_of_all_kinds",
    METADATA,
    Column("id", Key(64), primary_key=True),
    Column("text", ExactText(200), unique=True),
    Column("at", Instant),
    Column("flag", Boolean),
    Column("data", JSON),
    Column("amount", BigInteger),
)

# All but the last one, which traces every line to explain a failure; that and greenlets, on which
# SQLAlchemy runs the drivers, bring the interpreter down.
PHASES = [phase for phase in Phase if phase is not Phase.explain]

MARIADB = [engine for engine in SERVER_ENGINES if dialect_of(engine) == "mariadb"]
mariadb_only = pytest.mark.parametrize("engine", MARIADB, indirect=True, scope="module")
# For what only a server can do, or suffer.
servers_only = pytest.mark.parametrize("engine", SERVER_ENGINES, indirect=True, scope="module")


@dataclass(frozen=True)
class Rows:
    """The notes, seen from outside of every transaction."""

    db: Database

    async def clear(self) -> None:
        for table in (REPLIES, NOTES):
            await self.db.transact(lambda tx, table=table: tx.run(delete(table)))

    async def add(self, *ids: str, number: int = 0) -> None:
        await self.db.transact(
            lambda tx: tx.run(insert(NOTES), [{"id": id, "number": number} for id in ids])
        )

    async def all(self) -> dict[str, int]:
        async with self.db.read() as tx:
            return dict(map(tuple, await tx.rows(select(NOTES.c.id, NOTES.c.number))))


def note(id: str, number: int = 0):
    return insert(NOTES).values(id=id, number=number)


def raised(id: str):
    """One more on this note."""
    return update(NOTES).where(NOTES.c.id == id).values(number=NOTES.c.number + 1)


async def becomes(check, *, within_s: float = 5) -> None:
    """Until `check` is true; it is asked in between of what the others do."""
    async with asyncio.timeout(within_s):
        while not check():  # noqa: ASYNC110 - there is no event for what a pool or a server does
            await asyncio.sleep(0.005)
