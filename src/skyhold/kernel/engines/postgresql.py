"""PostgreSQL, through asyncpg."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from .engine import Limits, Meaning, Pools, Unsafe
from .hosts import Host
from .servers import CONNECT_S, Doubt, drop_late, pooled, single, ways_to
from .ways import Driver

READ_ONLY = "25006"
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_MEANINGS = {
    "23505": Meaning.DUPLICATE,
    "23503": Meaning.DANGLING,
    "40001": Meaning.CONFLICT,  # serialization_failure
    "40P01": Meaning.CONFLICT,  # deadlock_detected
    "40003": Meaning.LOST,  # statement_completion_unknown: CockroachDB's ambiguous COMMIT
    "55P03": Meaning.CONFLICT,  # lock_not_available
    "57014": Meaning.CONFLICT,  # query_canceled: it took too long
    "53300": Meaning.CONFLICT,  # too_many_connections
    "57P03": Meaning.CONFLICT,  # cannot_connect_now: it is starting
    "53100": Meaning.UNWELL,  # disk_full
    "53200": Meaning.UNWELL,  # out_of_memory
    READ_ONLY: Meaning.UNWELL,  # read_only_sql_transaction
    "57P01": Meaning.LOST,  # admin_shutdown
    "57P02": Meaning.LOST,  # crash_shutdown
    "25P03": Meaning.LOST,  # idle_in_transaction_session_timeout
}
_CONNECTION_EXCEPTIONS = "08"
_WANTED = (
    ("fsync", "on", "a crash of the machine can destroy the database"),
    ("full_page_writes", "on", "a page that is half written cannot be repaired"),
    (
        "synchronous_commit",
        "on or remote_apply or remote_write",
        "a booking that was acknowledged can be lost in a crash",
    ),
    ("server_encoding", "UTF8", "names of passengers may not fit"),
    ("default_transaction_read_only", "off", "nothing can be written"),
)


class PostgreSQL:
    """READ COMMITTED with time limits on every connection; snapshots for readers."""

    is_server = True

    def __init__(self, hosts: tuple[Host, ...] = ()) -> None:
        self._hosts = hosts

    def pools(self, url: URL, limits: Limits) -> Pools:
        """Writers see what is committed, statement by statement; readers one snapshot."""
        arguments, doubt = _arguments(limits), Doubt()
        ways = ways_to(self._hosts, _DRIVER, limits.wait_s)
        reader = pooled(
            url,
            limits,
            size=limits.readers_max,
            isolation="REPEATABLE READ",
            connect_args=arguments,
            doubt=doubt,
            ways=ways,
            is_useless=self._is_useless,
        )
        reader = reader.execution_options(postgresql_readonly=True)
        writer = pooled(
            url,
            limits,
            size=limits.writers_max,
            isolation="READ COMMITTED",
            connect_args=arguments,
            doubt=doubt,
            ways=ways,
            is_useless=self._is_useless,
        )
        # Before who waits is cancelled: the driver then has the server cancel the statement, and a
        # COMMIT that waits for a standby would be seen by all though only this server has it.
        return Pools(writer, reader, drop_late(writer, _DRIVER.drop, limits.run_s))

    def migrator(self, url: URL) -> AsyncEngine:
        """A connection whose statements may take their time."""
        ways = ways_to(self._hosts, _DRIVER, CONNECT_S)
        return single(url, connect_args={"timeout": CONNECT_S}, ways=ways)

    @contextmanager
    def changing_schema(self, connection: Connection, name: str) -> Iterator[None]:
        """With an advisory lock, given back when the transaction ends."""
        lock = text("SELECT pg_advisory_xact_lock(:key)")
        with connection.begin():
            connection.execute(lock, {"key": _lock_key(name)})
            yield

    def meaning(self, error: DBAPIError) -> Meaning:
        """By the SQLSTATE."""
        if self._is_useless(error.orig):
            return Meaning.CONFLICT  # with this host, and not with the others
        known = _by_state(error.orig)
        return Meaning.LOST if known is Meaning.OTHER and error.connection_invalidated else known

    def _is_useless(self, error: BaseException | None) -> bool:
        return bool(self._hosts) and _state(error) == READ_ONLY

    def unsafe(self, connection: Connection) -> list[Unsafe]:
        """Durable commits, and an encoding that every name fits in."""
        return [
            Unsafe(name, value, wanted, because)
            for name, wanted, because in _WANTED
            if (value := str(connection.scalar(text(f"SHOW {name}")))) not in wanted.split(" or ")
        ]


def _state(error: BaseException | None) -> str:
    return getattr(error, "sqlstate", None) or ""


def _by_state(error: BaseException | None) -> Meaning:
    state = _state(error)
    lost = state.startswith(_CONNECTION_EXCEPTIONS)
    return _MEANINGS.get(state, Meaning.LOST if lost else Meaning.OTHER)


async def _connect(**how: Any) -> Any:  # noqa: ANN401 - what the driver takes and gives
    import asyncpg  # type: ignore[import-untyped]  # noqa: PLC0415 - as SQLAlchemy does

    return await asyncpg.connect(**how)


async def _why_not(connection: Any) -> str | None:  # noqa: ANN401 - the driver's own
    """A standby, or one that was made read-only, says so."""
    is_read_only = await connection.fetchval("SHOW transaction_read_only") == "on"
    return "it is read-only, as a standby is" if is_read_only else None


# asyncpg itself knows several hosts and `target_session_attrs`, but one time limit for all of
# them: a silent host would use up what the next one needs.
_DRIVER = Driver(
    connect=_connect,
    why_not=_why_not,
    close=lambda connection: connection.close(),
    drop=lambda connection: connection.terminate(),
    meaning=_by_state,
)


def _arguments(limits: Limits) -> dict[str, Any]:
    return {
        "timeout": CONNECT_S,
        "server_settings": {
            "application_name": "skyhold",
            "timezone": "UTC",
            "statement_timeout": f"{limits.statement_s * 1000:.0f}",
            "lock_timeout": f"{limits.wait_s * 1000:.0f}",
            "idle_in_transaction_session_timeout": f"{limits.statement_s * 1000:.0f}",
        },
    }


def _lock_key(name: str) -> int:
    """Advisory locks have numbers, not names."""
    return zlib.crc32(name.encode())
