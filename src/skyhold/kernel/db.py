"""The database: transactions as functions.

A transaction is a function that is run, and run again when the database asks for it:

    async def record(tx: Tx) -> None:
        await bookings.add(tx, booking)
        await outbox.add(tx, event)

    await db.transact(record)

So it must decide from what it reads inside, write with guarded statements, and call nobody else.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Executable, Row, event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from .driver_errors import error_name, is_dangling, is_duplicate, is_transient
from .errors import Problem, Unavailable
from .logging import get_logger
from .settings import SettingsError, make_private_folder

log = get_logger(__name__)

Out = TypeVar("Out")

ATTEMPTS_MAX = 8
PAUSE_FIRST_S = 0.005
PAUSE_MAX_S = 0.5


class Duplicate(Exception):
    """A unique key refused the row: someone else wrote it first."""


class Dangling(Exception):
    """A foreign key refused the row: what it refers to is not there."""


class LostRace(Problem):
    """Others were quicker, again and again; please try once more."""

    # Raised inside a transaction when a guarded write finds that its row has moved since it was
    # read: `transact` runs the function again. It reaches a caller only after ATTEMPTS_MAX runs.
    status = 503
    code = "lost_race"

    def __init__(self) -> None:
        super().__init__(retry_after_s=1)


class ReadTx:
    """A consistent view of the database; nothing can be written through it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def row(self, statement: Executable) -> Row[Any] | None:
        """The first row, or None."""
        return (await self._connection.execute(statement)).first()

    async def rows(self, statement: Executable) -> Sequence[Row[Any]]:
        """Every row; the caller's statement carries the limit."""
        return (await self._connection.execute(statement)).all()

    async def scalar(self, statement: Executable) -> Any:  # noqa: ANN401 - a column of any type
        """The first column of the first row, or None."""
        return await self._connection.scalar(statement)


class Tx(ReadTx):
    """A transaction in progress. It is committed by `transact`, never by who is handed it."""

    async def run(
        self,
        statement: Executable,
        rows: Iterable[Mapping[str, Any]] | None = None,
    ) -> int:
        """Execute a write: one statement, or an insert of many rows; answers how many it matched.

        Raises Duplicate when a unique key refuses a row; the transaction is then over.
        """
        try:
            if rows is None:
                return (await self._connection.execute(statement)).rowcount
            many = list(rows)
            if many:
                await self._connection.execute(statement, many)
            return len(many)
        except IntegrityError as error:
            if is_duplicate(error):
                raise Duplicate(str(error.orig)) from error
            if is_dangling(error):
                raise Dangling(str(error.orig)) from error
            raise


class Database:
    """One database of one service."""

    def __init__(self, url: str, *, pool_max: int = 10, wait_s: float = 5.0) -> None:
        self.url = async_url(url)
        self._wait_s = wait_s
        self._running: set[asyncio.Task[Any]] = set()
        make_private_folder(Path(self.url.database or "").parent)
        # SQLite has one writer at a time whatever we do. One connection for it makes the writers
        # queue in order here instead of spinning on the file's lock.
        self._writer = self._sqlite_engine(pool_size=1, read_only=False)
        self._reader = self._sqlite_engine(pool_size=pool_max, read_only=True)

    def _sqlite_engine(self, *, pool_size: int, read_only: bool) -> AsyncEngine:
        engine = create_async_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=self._wait_s,
            hide_parameters=True,  # they are people's data, and errors go to the log
        )

        @event.listens_for(engine.sync_engine, "connect")
        def _configure(connection: Any, _: ConnectionPoolEntry) -> None:  # noqa: ANN401
            connection.isolation_level = None  # we say BEGIN ourselves, below
            cursor = connection.cursor()
            for pragma in (
                f"busy_timeout={int(self._wait_s * 1000)}",
                "journal_mode=WAL",
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

    async def transact(self, work: Callable[[Tx], Awaitable[Out]]) -> Out:
        """Run `work` in a transaction and commit it; on a conflict run all of it again.

        Runs are at most ATTEMPTS_MAX, and none begins later than `wait_s` after the first. Raises
        Duplicate when a unique key refused a row, DatabaseBusy or LostRace when no run got through,
        and whatever `work` raised; then nothing was written, unless an earlier run's outcome was
        unknown. OutcomeUnknown says that nobody knows.

        A caller that is cancelled no longer waits, but the transaction goes on to its end: one that
        is cut off in the middle of a statement would keep SQLite's only write lock.
        """
        running = asyncio.create_task(self._transact(work), name="transaction")
        self._running.add(running)
        running.add_done_callback(self._finished)
        return await asyncio.shield(running)

    def _finished(self, transaction: asyncio.Task[Any]) -> None:
        self._running.discard(transaction)
        if not transaction.cancelled():
            transaction.exception()  # seen: whoever still waits for it is told, too

    async def _transact(self, work: Callable[[Tx], Awaitable[Out]]) -> Out:
        failure: Problem = DatabaseBusy()
        give_up_at = time.monotonic() + self._wait_s
        for attempt in range(ATTEMPTS_MAX):
            if attempt:
                await asyncio.sleep(_pause_s(attempt))
                if time.monotonic() >= give_up_at:
                    break
            try:
                async with self._writer.begin() as connection:
                    return await work(Tx(connection))
            except LostRace as error:
                failure = _worse(failure, error)
            except PoolTimeout:
                failure = _worse(failure, DatabaseBusy())
                break
            except DBAPIError as error:
                trouble = _trouble(error)
                if trouble is None:
                    raise
                failure = _worse(failure, trouble)
                if not is_transient(error):
                    break
            log.info("db.retry", attempt=attempt + 1, failure=failure.code)
        raise failure

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadTx]:
        """A consistent view, without any lock that a writer would wait for."""
        try:
            async with self._reader.connect() as connection:
                yield ReadTx(connection)
        except PoolTimeout as error:
            raise DatabaseBusy from error
        except DBAPIError as error:
            if is_transient(error):
                raise DatabaseBusy from error
            raise

    async def run_sync(self, work: Callable[[Connection], Out]) -> Out:
        """Run synchronous code (migrations) on a connection of its own transaction."""
        async with self._writer.begin() as connection:
            return await connection.run_sync(work)

    async def close(self) -> None:
        """Close every connection, once transactions that nobody waits for any more have ended.

        One that has not ended after `wait_s` is cut off.
        """
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=self._wait_s)
            for transaction in late:
                transaction.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._writer.dispose()
        await self._reader.dispose()


class DatabaseBusy(Unavailable):
    """The database is busy or out of reach just now; please try again shortly."""

    code = "database_busy"


class DatabaseUnwell(DatabaseBusy):
    """The database cannot be written just now; please try again later."""

    # Its disk is full, or its file read-only: somebody has to look. Nothing was written.
    code = "database_unwell"


class OutcomeUnknown(DatabaseBusy):
    """The database went away in the middle; please try again shortly."""

    # Unlike DatabaseBusy this may mean that the transaction did commit.
    code = "database_outcome_unknown"


def async_url(url: str) -> URL:
    """The URL with the driver this project uses. Raises SettingsError for any other database."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The address itself is not repeated: it may hold a password.
        msg = "The database's URL cannot be read; it should look like sqlite:///path/to/file."
        raise SettingsError(msg) from None
    if parsed.get_backend_name() != "sqlite":
        msg = (
            f"{parsed.get_backend_name()} is not supported by this version, which runs on SQLite: "
            "leave DATABASE_URL and DB_HOST unset, or use sqlite:///path/to/file."
        )
        raise SettingsError(msg)
    if not parsed.database or parsed.database == ":memory:":
        msg = "A SQLite database needs a file: sqlite:///path/to/file."
        raise SettingsError(msg)
    return parsed.set(drivername="sqlite+aiosqlite")


def _trouble(error: DBAPIError) -> DatabaseBusy | None:
    """What the database's trouble of the moment is called; None for a mistake of ours."""
    name = error_name(error)
    if error.connection_invalidated or name.startswith("SQLITE_IOERR"):
        return OutcomeUnknown()
    if name.startswith(("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CANTOPEN")):
        return DatabaseUnwell()
    return DatabaseBusy() if is_transient(error) else None


def _worse(before: Problem, now: Problem) -> Problem:
    """The failure to tell: once one run may have committed, no later one can deny it."""
    return before if isinstance(before, OutcomeUnknown) else now


def _pause_s(attempt: int) -> float:
    return random.uniform(0, min(PAUSE_MAX_S, PAUSE_FIRST_S * 2**attempt))  # noqa: S311 - jitter
