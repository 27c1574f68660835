"""SQLite: one file, one writer at a time."""

from __future__ import annotations

import sqlite3
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from skyhold.kernel.settings import make_private_folder

from .engine import Limits, Meaning, Pools, Unsafe

MIGRATION_WAIT_S = 60.0
WAL_PAUSE_S = 0.01


class SQLite:
    """WAL, synchronous=FULL, BEGIN IMMEDIATE."""

    is_server = False

    def pools(self, url: URL, limits: Limits) -> Pools:
        """One connection writes: the writers queue in order here, not on the file's lock."""
        make_private_folder(Path(url.database or "").parent)
        return Pools(
            writer=_engine(url, size=1, wait_s=limits.wait_s, read_only=False),
            reader=_engine(url, size=limits.readers_max, wait_s=limits.wait_s, read_only=True),
        )

    def migrator(self, url: URL) -> AsyncEngine:
        """A connection of its own, patient with other processes."""
        make_private_folder(Path(url.database or "").parent)
        return _engine(url, size=1, wait_s=MIGRATION_WAIT_S, read_only=False)

    def changing_schema(
        self,
        connection: Connection,
        name: str,  # noqa: ARG002 - it locks all of them
    ) -> AbstractContextManager[object]:
        """BEGIN IMMEDIATE locks all of it."""
        return connection.begin()

    def meaning(self, error: DBAPIError) -> Meaning:
        """By SQLite's extended result code: https://sqlite.org/rescode.html."""
        # The async adapter wraps the driver's exception in one of its own.
        orig: BaseException | None = error.orig
        while orig is not None and not isinstance(orig, sqlite3.Error):
            orig = orig.__cause__
        name: str = getattr(orig, "sqlite_errorname", "")
        if error.connection_invalidated or name.startswith("SQLITE_IOERR"):
            return Meaning.LOST
        if name in {"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"}:
            return Meaning.DUPLICATE
        if name == "SQLITE_CONSTRAINT_FOREIGNKEY":
            return Meaning.DANGLING
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return Meaning.CONFLICT
        if name.startswith(("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CANTOPEN")):
            return Meaning.UNWELL
        return Meaning.OTHER

    def unsafe(self, connection: Connection) -> list[Unsafe]:
        """Nothing: what matters is set on every connection."""
        del connection
        return []


def _engine(url: URL, *, size: int, wait_s: float, read_only: bool) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=wait_s,
        hide_parameters=True,  # they are people's data, and errors go to the log
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection: Any, _: ConnectionPoolEntry) -> None:  # noqa: ANN401
        connection.isolation_level = None  # we say BEGIN ourselves, below
        cursor = connection.cursor()
        _use_wal(cursor, wait_s)
        for pragma in (
            f"busy_timeout={int(wait_s * 1000)}",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"query_only={'ON' if read_only else 'OFF'}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _use_wal(cursor: Any, wait_s: float) -> None:  # noqa: ANN401 - the driver's own
    """Switch a new file to WAL. Of processes that open it together SQLite lets none wait here."""
    give_up_at = time.monotonic() + wait_s
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except Exception as error:
            locked = "database is locked" in str(error)
            if not locked or time.monotonic() > give_up_at:
                raise
            time.sleep(WAL_PAUSE_S)
        else:
            return
