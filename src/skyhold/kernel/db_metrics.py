"""What is counted and measured of databases: their pools and their transactions."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from .errors import Problem, Unavailable
from .metrics import SHORT_S, counter, histogram, total_gauge

DB_POOL_MAX = total_gauge(
    "skyhold_db_pool_connections_max", "Connections a pool may open", "database", "pool"
)
DB_POOL_IN_USE = total_gauge(
    "skyhold_db_pool_connections_in_use", "Connections in use just now", "database", "pool"
)
DB_POOL_WAIT = histogram(
    "skyhold_db_pool_wait_seconds",
    "How long a connection was waited for",
    *("database", "pool"),
    buckets=SHORT_S,
)
DB_POOL_TIMEOUTS = counter(
    "skyhold_db_pool_timeouts_total", "Nobody got a connection in time", "database", "pool"
)
DB_TRANSACTIONS = counter(
    "skyhold_db_transactions_total",
    "Transactions: committed, refused (by a rule or a unique key), or failed (the database)",
    *("database", "outcome"),
)
DB_RUNS = counter(
    "skyhold_db_transaction_runs_total", "Runs of transactions, repeats included", "database"
)
DB_RETRIES = counter(
    "skyhold_db_transaction_retries_total",
    "Runs of transactions that failed for now, by the code of the failure",
    *("database", "failure"),
)
DB_DURATION = histogram(
    "skyhold_db_transaction_duration_seconds",
    "From the begin of the first run to the end of the last",
    "database",
    buckets=SHORT_S,
)


class Transactions:
    """The transactions of one database, each `with transactions.one():`."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._runs = DB_RUNS.labels(database)
        self.duration = DB_DURATION.labels(database)
        self.outcomes = {
            outcome: DB_TRANSACTIONS.labels(database, outcome)
            for outcome in ("committed", "refused", "failed")
        }

    def one(self) -> _Transaction:
        """A context for a transaction with all its runs: how long, and how it ended."""
        return _Transaction(self)

    def run(self) -> None:
        """A run begins."""
        self._runs.inc()

    def retry(self, failure: str) -> None:
        """A run failed; `failure` is the code of one of our problems."""
        DB_RETRIES.labels(self._database, failure).inc()


class _Transaction:
    __slots__ = ("_began_at", "_of")

    def __init__(self, of: Transactions) -> None:
        self._of = of

    def __enter__(self) -> Self:
        self._began_at = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._of.duration.observe(time.perf_counter() - self._began_at)
        self._of.outcomes[_outcome(error)].inc()


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return "committed"
    out_of_order = isinstance(error, Problem) and error.status == Unavailable.status
    return "failed" if out_of_order else "refused"


class Pool:
    """The connections of one pool, each `with pool.use() as use:` and `use.got()` inside."""

    def __init__(self, database: str, pool: str, connections_max: int) -> None:
        DB_POOL_MAX.labels(database, pool).set(connections_max)
        self.in_use = DB_POOL_IN_USE.labels(database, pool)
        self.wait = DB_POOL_WAIT.labels(database, pool)
        self.timeouts = DB_POOL_TIMEOUTS.labels(database, pool)

    def use(self) -> _Use:
        """A context from the wish for a connection to its return."""
        return _Use(self)


class _Use:
    __slots__ = ("_asked_at", "_has", "_pool")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._has = False

    def got(self) -> None:
        """The connection is there."""
        self._has = True
        self._pool.wait.observe(time.perf_counter() - self._asked_at)
        self._pool.in_use.inc()

    def __enter__(self) -> Self:
        self._asked_at = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._has:
            self._pool.in_use.dec()
        elif isinstance(error, Exception):  # not when the caller went away
            self._pool.timeouts.inc()
