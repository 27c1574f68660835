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
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import Any, TypeVar

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, ResourceClosedError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from . import tracing
from .db_errors import (
    Dangling,
    DatabaseBusy,
    DatabaseUnwell,
    Duplicate,
    LostRace,
    NoConnection,
    OutcomeUnknown,
    trouble_of,
    trouble_of_writing,
    worse,
)
from .db_metrics import Pool, Transactions
from .engines import Limits, Unsafe, engine_for, pool_of
from .errors import Problem
from .logging import get_logger
from .tx import ReadTx, Tx

__all__ = [
    "Dangling",
    "Database",
    "DatabaseBusy",
    "DatabaseUnwell",
    "Duplicate",
    "LostRace",
    "NoConnection",
    "OutcomeUnknown",
    "ReadTx",
    "Tx",
]

log = get_logger(__name__)

Out = TypeVar("Out")

ATTEMPTS_MAX = 8
PAUSE_FIRST_S = 0.005
PAUSE_MAX_S = 0.5
# What a connection that breaks may raise; RuntimeError is uvloop's, of a transport that is gone.
_BROKEN = (DBAPIError, OSError, TimeoutError, RuntimeError)


class Database:
    """One database of one service."""

    def __init__(
        self,
        url: str,
        *,
        name: str = "main",
        pool_max: int = 10,
        writers_max: int = 10,
        wait_s: float = 5.0,
        statement_s: float = 15.0,
    ) -> None:
        self.url, self._engine = engine_for(url)
        self._wait_s = wait_s
        limits = Limits(pool_max, writers_max, wait_s, statement_s)
        self._run_s = limits.run_s if self._engine.is_server else None
        self._hand_over_s = wait_s if self._engine.is_server else None
        self._running: set[asyncio.Task[Any]] = set()
        pools = self._engine.pools(self.url, limits)
        self._writer, self._reader = pools.writer, pools.reader
        self._drop_writers = pools.drop_writers
        self._transactions = Transactions(name)
        self._metrics = {
            pools.writer: Pool(name, "write", pool_of(pools.writer).size()),
            pools.reader: Pool(name, "read", pool_of(pools.reader).size()),
        }

    @property
    def is_server(self) -> bool:
        """Whether it is a server's, and not a file of this machine."""
        return self._engine.is_server

    @property
    def checked_out(self) -> int:
        """How many connections are in use just now."""
        return sum(pool_of(engine).checkedout() for engine in (self._writer, self._reader))

    async def transact(self, work: Callable[[Tx], Awaitable[Out]]) -> Out:
        """Run `work` in a transaction and commit it; on a conflict run all of it again.

        Runs are at most ATTEMPTS_MAX, and none begins later than `wait_s` after the first. Raises
        Duplicate when a unique key refused a row, DatabaseBusy or LostRace when no run got through,
        and whatever `work` raised; then nothing was written, unless an earlier run's outcome was
        unknown. OutcomeUnknown says that nobody knows.

        A caller that is cancelled no longer waits, but the transaction goes on to its end: one that
        is cut off in the middle of a statement would keep SQLite's only write lock.
        """
        running = asyncio.create_task(self._observed(work), name="transaction")
        self._running.add(running)
        running.add_done_callback(self._finished)
        return await asyncio.shield(running)

    def _finished(self, transaction: asyncio.Task[Any]) -> None:
        self._running.discard(transaction)
        if not transaction.cancelled():
            transaction.exception()  # seen: whoever still waits for it is told, too

    async def _observed(self, work: Callable[[Tx], Awaitable[Out]]) -> Out:
        with tracing.span("db.transaction", "client"), self._transactions.one():
            return await self._transact(work)

    async def _transact(self, work: Callable[[Tx], Awaitable[Out]]) -> Out:
        failure: Problem = DatabaseBusy()
        give_up_at = time.monotonic() + self._wait_s
        for attempt in range(ATTEMPTS_MAX):
            if attempt:
                await asyncio.sleep(_pause_s(attempt))
                if time.monotonic() >= give_up_at:
                    break
            self._transactions.run()
            try:
                return await self._run(work)
            except LostRace as error:
                failure = worse(failure, error)
            except Duplicate as error:
                error.after_unknown = isinstance(failure, OutcomeUnknown)
                raise
            except DatabaseBusy as error:
                failure = worse(failure, error)
                if not error.worth_another_run:
                    break
            except Exception as error:
                if isinstance(failure, OutcomeUnknown):  # then nobody may say that it was not done
                    raise failure from error
                raise
            self._transactions.retry(failure.code)
            log.info("db.retry", attempt=attempt + 1, failure=failure.code)
        raise failure

    async def _run(self, work: Callable[[Tx], Awaitable[Out]]) -> Out:
        """One run of a transaction. Raises DatabaseBusy or one of its kinds for any trouble."""
        async with self._connected(self._writer) as connection:
            try:
                async with asyncio.timeout(self._run_s), connection.begin():
                    return await work(Tx(connection, self._engine))
            except DBAPIError as error:
                at_commit = error.statement is None
                trouble = trouble_of_writing(self._engine.meaning(error), at_commit=at_commit)
                if trouble is None:
                    raise
                raise trouble from error
            except (OSError, TimeoutError) as error:  # in the middle: it may have been the COMMIT
                await connection.invalidate()
                raise OutcomeUnknown from error

    @asynccontextmanager
    async def _connected(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        """A connection from the pool. Raises NoConnection when there is none to be had."""
        with self._metrics[engine].use() as use:
            connection = await self._connect(engine)
            use.got()
            try:
                yield connection
            finally:
                await self._give_back(connection)

    async def _give_back(self, connection: AsyncConnection) -> None:
        """Roll back what is not committed; who does not even answer that is thrown away."""
        try:
            async with asyncio.timeout(self._hand_over_s):
                await connection.close()
        except _BROKEN:
            # What was read has been read, and what was committed is; only the connection is lost.
            with suppress(ResourceClosedError, *_BROKEN):
                await connection.invalidate()
                await connection.close()

    async def _connect(self, engine: AsyncEngine) -> AsyncConnection:
        try:
            async with asyncio.timeout(self._hand_over_s):
                return await self._connect_patiently(engine)
        except TimeoutError as error:  # it took our greeting, and says nothing
            raise NoConnection from error

    async def _connect_patiently(self, engine: AsyncEngine) -> AsyncConnection:
        """A server that is being restarted is waited for, as long as for a busy one."""
        give_up_at = time.monotonic() + self._wait_s
        attempt = 0
        while True:
            attempt += 1
            try:
                return await engine.connect()
            except PoolTimeout as error:
                raise NoConnection from error
            except _BROKEN as error:
                if (
                    isinstance(error, DBAPIError)
                    and trouble_of(self._engine.meaning(error)) is None
                ):
                    raise
                pause_s = _pause_s(min(attempt, ATTEMPTS_MAX))
                if time.monotonic() + pause_s > give_up_at:
                    raise NoConnection from error
            await asyncio.sleep(pause_s)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadTx]:
        """A consistent view, without any lock that a writer would wait for."""
        with tracing.step("db.read", "client"):
            async with self._reading() as tx:
                yield tx

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[ReadTx]:
        async with self._connected(self._reader) as connection:
            try:
                async with asyncio.timeout(self._run_s):
                    yield ReadTx(connection, self._engine)
            except DBAPIError as error:
                trouble = trouble_of(self._engine.meaning(error))
                if trouble is None:
                    raise
                # Nothing was written, so nothing is unknown when the answer is lost.
                raise (DatabaseBusy() if trouble.worth_another_run else trouble) from error
            except (OSError, TimeoutError) as error:
                await connection.invalidate()
                raise DatabaseBusy from error

    async def run_sync(self, work: Callable[[Connection], Out], *, lock: str = "") -> Out:
        """Run synchronous code (migrations) on a connection and in a transaction of its own.

        With `lock` nobody else runs anything under the same lock meanwhile.
        """

        def run(connection: Connection) -> Out:
            alone = self._engine.changing_schema(connection, lock) if lock else connection.begin()
            with alone:
                return work(connection)

        engine = self._engine.migrator(self.url)
        try:
            async with engine.connect() as connection:
                return await connection.run_sync(run)
        finally:
            await engine.dispose()

    async def check_settings(self) -> list[Unsafe]:
        """Ask the server for what would break a promise of ours, and log a warning for each."""
        unsafe = await self.run_sync(self._engine.unsafe)
        for found in unsafe:
            log.warning("db.unsafe", **asdict(found))
        return unsafe

    async def close(self) -> None:
        """Close every connection, once transactions that nobody waits for any more have ended.

        One that has not ended after `wait_s` is cut off.
        """
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=self._wait_s)
            if late:
                self._drop_writers()
            for transaction in late:
                transaction.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._writer.dispose()
        await self._reader.dispose()


def _pause_s(attempt: int) -> float:
    return random.uniform(0, min(PAUSE_MAX_S, PAUSE_FIRST_S * 2**attempt))  # noqa: S311 - jitter
