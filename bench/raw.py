"""The other floor: one row and its durable commit, by the bare driver, from 32 connections."""

from __future__ import annotations

import asyncio
import json
import resource
import sqlite3
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncmy
import asyncpg
from sqlalchemy.engine import make_url

from .wrk import CONNECTIONS

Commit = Callable[[], Awaitable[object]]
TEXT = "x" * 300  # about as much as a booking's row
TABLE = "CREATE TABLE IF NOT EXISTS bench_raw (id {id}, text VARCHAR(300) NOT NULL)"
HUNDRED = 100


async def main() -> None:
    """Commit for so many seconds to this address, and print what it took."""
    url, seconds = sys.argv[1], float(sys.argv[2])
    commits = await {"mysql": _mysql, "postgresql": _postgresql, "sqlite": _sqlite}[
        url.partition(":")[0]
    ](url)
    began_at, cpu_before_s = time.perf_counter(), _cpu_s()
    waits = await asyncio.gather(*(_repeat(it, began_at + seconds) for it in commits))
    took_s, cpu_s = time.perf_counter() - began_at, _cpu_s() - cpu_before_s
    all_ms = [1e3 * wait for some in waits for wait in some]
    hundredths = statistics.quantiles(all_ms, n=HUNDRED)
    told = {
        "done": len(all_ms),
        "seconds": took_s,
        "cpu_s": cpu_s,
        "p50_ms": hundredths[49],
        "p99_ms": hundredths[98],
    }
    sys.stdout.write(json.dumps(told) + "\n")


async def _repeat(commit: Commit, until: float) -> list[float]:
    waits = []
    while (began_at := time.perf_counter()) < until:
        await commit()
        waits.append(time.perf_counter() - began_at)
    return waits


async def _mysql(url: str) -> list[Commit]:
    to = make_url(url)
    connections = [
        await asyncmy.connect(
            host=to.host, port=to.port, user=to.username, database=to.database, autocommit=True
        )
        for _ in range(CONNECTIONS)
    ]
    cursors = [connection.cursor() for connection in connections]
    await cursors[0].execute(TABLE.format(id="BIGINT AUTO_INCREMENT PRIMARY KEY"))
    insert = "INSERT INTO bench_raw (text) VALUES (%s)"
    return [lambda it=it: it.execute(insert, (TEXT,)) for it in cursors]  # type: ignore[misc]


async def _postgresql(url: str) -> list[Commit]:
    connections = [await asyncpg.connect(url) for _ in range(CONNECTIONS)]
    await connections[0].execute(TABLE.format(id="BIGSERIAL PRIMARY KEY"))
    insert = "INSERT INTO bench_raw (text) VALUES ($1)"
    return [lambda it=it: it.execute(insert, TEXT) for it in connections]  # type: ignore[misc]


async def _sqlite(url: str) -> list[Commit]:
    """One connection: there is one writer, whoever waits."""
    path = Path(make_url(url).database or "").with_name("raw.db")
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(TABLE.format(id="INTEGER PRIMARY KEY"))

    async def commit() -> None:
        connection.execute("INSERT INTO bench_raw (text) VALUES (?)", (TEXT,))

    return [commit]


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    asyncio.run(main())
