"""MySQL and MariaDB, through asyncmy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

from skyhold.kernel.settings import SettingsError

from . import galera
from .engine import Limits, Meaning, Pools, Unsafe
from .hosts import Host
from .servers import CONNECT_S, Doubt, pooled, single, ways_to
from .ways import Driver

MIGRATION_WAIT_S = 60
AGGREGATE_BYTES_MAX = 1_000_000  # of GROUP_CONCAT; MySQL cuts off after 1,024, and says nothing
STRICT = (
    "STRICT_TRANS_TABLES,ONLY_FULL_GROUP_BY,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
)

NOT_READY = 1047
READ_ONLY = {1290, 1836}
# https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html and, for 1020 under
# innodb_snapshot_isolation, MariaDB's; for 8002 to 9007 https://docs.pingcap.com/tidb/stable/error-codes.
_MEANINGS = {
    1062: Meaning.DUPLICATE,
    1452: Meaning.DANGLING,  # what the row refers to is not there
    1451: Meaning.DANGLING,  # others refer to the row
    1020: Meaning.CONFLICT,  # the record has changed since it was read
    1040: Meaning.CONFLICT,  # too many connections
    NOT_READY: Meaning.CONFLICT,  # Galera: this node is not ready
    1203: Meaning.CONFLICT,  # too many connections of this user
    1205: Meaning.CONFLICT,  # waited too long for a lock
    1213: Meaning.CONFLICT,  # a deadlock; with Galera also a conflict at COMMIT
    3024: Meaning.CONFLICT,  # MySQL: the statement took too long
    1969: Meaning.CONFLICT,  # MariaDB: the statement took too long
    8002: Meaning.CONFLICT,  # TiDB: a conflict at COMMIT, after SELECT FOR UPDATE
    8005: Meaning.CONFLICT,  # TiDB: a write conflict, seen by TiDB
    8022: Meaning.CONFLICT,  # TiDB: COMMIT failed, and all was rolled back
    8028: Meaning.CONFLICT,  # TiDB: the schema has changed
    9007: Meaning.CONFLICT,  # TiDB: a write conflict, seen by TiKV
    1021: Meaning.UNWELL,  # the disk is full
    1114: Meaning.UNWELL,  # the table is full
    1290: Meaning.UNWELL,  # read-only
    1792: Meaning.UNWELL,  # a read-only transaction
    1836: Meaning.UNWELL,  # running in read-only mode
    1053: Meaning.LOST,  # shutting down
    1180: Meaning.LOST,  # the COMMIT failed; with Galera: the node lost the others in the middle
    1927: Meaning.LOST,  # the connection was killed
    2002: Meaning.LOST,  # cannot connect
    2003: Meaning.LOST,  # (the same, over TCP)
    2006: Meaning.LOST,  # the server has gone away
    2013: Meaning.LOST,  # the connection broke during the query
    2014: Meaning.LOST,  # out of step
    2055: Meaning.LOST,  # the connection broke
}


class MySQL:
    """READ COMMITTED and strict mode on every connection; snapshots for readers."""

    is_server = True

    def __init__(self, hosts: tuple[Host, ...] = ()) -> None:
        self._hosts = hosts

    def pools(self, url: URL, limits: Limits) -> Pools:
        """Writers see what is committed, statement by statement; readers one snapshot."""
        doubt, ways = Doubt(), ways_to(self._hosts, _DRIVER, limits.wait_s)
        writer = pooled(
            url,
            limits,
            size=limits.writers_max,
            isolation="READ COMMITTED",
            connect_args=_CONNECT,
            doubt=doubt,
            ways=ways,
            is_useless=self._is_useless,
            pool_reset_on_return=None,
        )
        _roll_back_what_is_open(writer)
        reader = pooled(
            url,
            limits,
            size=limits.readers_max,
            isolation="REPEATABLE READ",
            connect_args=_CONNECT,
            doubt=doubt,
            ways=ways,
            is_useless=self._is_useless,
        )
        _configure(writer, limits)
        _configure(reader, limits, "SESSION TRANSACTION READ ONLY")
        return Pools(writer, reader)

    def migrator(self, url: URL) -> AsyncEngine:
        """A connection whose statements may take their time."""
        ways = ways_to(self._hosts, _DRIVER, CONNECT_S)
        engine = single(url, connect_args=_CONNECT, ways=ways)
        unlimited = Limits(1, 1, wait_s=MIGRATION_WAIT_S, statement_s=0)
        _configure(engine, unlimited)
        return engine

    @contextmanager
    def changing_schema(self, connection: Connection, name: str) -> Iterator[None]:
        """With a named lock of the server's, as schema changes commit by themselves.

        The lock is given back when the connection closes. A cluster's servers have each their own
        locks, so there it takes one of all servers too.
        """
        lock = text("SELECT GET_LOCK(:name, :wait_s)")
        if connection.scalar(lock, {"name": name, "wait_s": MIGRATION_WAIT_S}) != 1:
            raise _others_migrate()
        everywhere = galera.locked(connection, name) if galera.is_one(connection) else nullcontext()
        connection.commit()
        try:
            with everywhere, connection.begin():
                yield
        except galera.Locked as error:
            raise _others_migrate() from error

    def meaning(self, error: DBAPIError) -> Meaning:
        """By the server's or the client library's error number."""
        code = _code(error.orig)
        if code == NOT_READY:  # its answer to a COMMIT says nothing: the others may have it
            return Meaning.LOST if error.statement is None else Meaning.CONFLICT
        if code in READ_ONLY and self._hosts:
            return Meaning.CONFLICT  # with it, and not with the others
        if error.connection_invalidated:
            return Meaning.LOST
        return _MEANINGS.get(code, Meaning.OTHER)

    def _is_useless(self, error: BaseException) -> bool:
        code = _code(error)
        return code == NOT_READY or (code in READ_ONLY and bool(self._hosts))

    def unsafe(self, connection: Connection) -> list[Unsafe]:
        """Durable commits, and engines that know transactions."""
        found = _variables(connection)
        return [
            Unsafe(name, found[name], wanted, because)
            for name, wanted, because in _WANTED
            if name in found and found[name].upper() not in wanted.split(" or ")
        ] + _unsafe_binlog(found)


def _others_migrate() -> SettingsError:
    return SettingsError(
        f"Another process has been migrating for {MIGRATION_WAIT_S} s; try again later. If none is,"
        f" one died: on a cluster its row in {galera.TABLE} counts for {galera.LEASE_S} s."
    )


_CONNECT: dict[str, Any] = {"charset": "utf8mb4", "connect_timeout": CONNECT_S}
_WANTED = (
    (
        "innodb_flush_log_at_trx_commit",
        "1",
        "a booking that was acknowledged can be lost when the server loses power",
    ),
    ("innodb_doublewrite", "ON or 1", "a page that is half written cannot be repaired"),
    ("innodb_force_recovery", "0", "the server is in recovery mode"),
    ("read_only", "OFF or 0", "nothing can be written"),
)


async def _connect(**how: Any) -> Any:  # noqa: ANN401 - what the driver takes and gives
    import asyncmy  # noqa: PLC0415 - as SQLAlchemy does: who has no such server need not load it

    return await asyncmy.connect(**how)


async def _why_not(connection: Any) -> str | None:  # noqa: ANN401 - the driver's own
    """A node that is not ready (it has lost the others) answers to SHOW and SET alone."""
    async with connection.cursor() as cursor:
        await cursor.execute(
            "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', 'wsrep_on')"
        )
        found = {str(name).lower(): str(value).upper() for name, value in await cursor.fetchall()}
        if found.get("read_only", "OFF") not in {"OFF", "0"}:
            return "it is read-only"
        if found.get("wsrep_on") != "ON":
            return None
        await cursor.execute("SHOW GLOBAL STATUS LIKE 'wsrep_ready'")
        ready = await cursor.fetchone()
        return None if ready and ready[1] == "ON" else "it is not ready (wsrep_ready)"


_DRIVER = Driver(
    connect=_connect,
    why_not=_why_not,
    close=lambda connection: connection.ensure_closed(),
    drop=lambda connection: connection.close(),
    meaning=lambda error: _MEANINGS.get(_code(error), Meaning.OTHER),
)


def _unsafe_binlog(found: dict[str, str]) -> list[Unsafe]:
    if found.get("log_bin", "OFF").upper() in {"OFF", "0"} or found.get("sync_binlog") == "1":
        return []
    because = "replicas and point-in-time recovery can miss bookings after a power loss"
    return [Unsafe("sync_binlog", found.get("sync_binlog", ""), "1", because)]


def _variables(connection: Connection) -> dict[str, str]:
    names = (*(name for name, _, _ in _WANTED), "log_bin", "sync_binlog")
    listed = ", ".join(f"'{name}'" for name in names)
    rows = connection.execute(text(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({listed})"))
    return {str(row[0]).lower(): str(row[1]) for row in rows}


def _code(error: BaseException | None) -> int:
    args = getattr(error, "args", ())
    return args[0] if args and isinstance(args[0], int) else 0


def _roll_back_what_is_open(engine: AsyncEngine) -> None:
    """A connection that comes back is in no transaction.

    The pool by itself would say ROLLBACK after every COMMIT, which costs as much as a statement.
    Whether there is anything to roll back, the server has said in its last answer.
    """

    @event.listens_for(engine.sync_engine, "reset")
    def _back(connection: Any, entry: ConnectionPoolEntry, state: PoolResetState) -> None:  # noqa: ANN401 - the driver's own
        if not state.asyncio_safe or state.transaction_was_reset:
            return
        if entry.driver_connection.get_transaction_status():  # type: ignore[union-attr]
            connection.rollback()


def _configure(engine: AsyncEngine, limits: Limits, *more: str) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def _session(connection: Any, _: ConnectionPoolEntry) -> None:  # noqa: ANN401 - the driver's own
        cursor = connection.cursor()
        # Not every server knows all of these; the first question is which.
        optional = {
            "innodb_snapshot_isolation": "ON",  # MariaDB: a stale read cannot be written over
            "max_statement_time": f"{limits.statement_s:g}",  # MariaDB, seconds
            "max_execution_time": f"{limits.statement_s * 1000:.0f}",  # MySQL, milliseconds
            "wsrep_sync_wait": "3",  # Galera: reads and writes see what was committed elsewhere
        }
        listed = ", ".join(f"'{name}'" for name in optional)
        cursor.execute(f"SHOW SESSION VARIABLES WHERE Variable_name IN ({listed})")
        known = {str(row[0]).lower() for row in cursor.fetchall()}
        lock_wait_s = max(1, round(limits.wait_s))
        settings = [
            f"sql_mode='{STRICT}'",
            "time_zone='+00:00'",
            "default_storage_engine=InnoDB",
            f"group_concat_max_len={AGGREGATE_BYTES_MAX}",
            f"innodb_lock_wait_timeout={lock_wait_s}",
            f"lock_wait_timeout={lock_wait_s}",
            *(f"{name}={value}" for name, value in optional.items() if name in known),
        ]
        cursor.execute("SET SESSION " + ", SESSION ".join(settings))
        for setting in more:
            cursor.execute(f"SET {setting}")
        cursor.close()
