"""What it costs to expire a booking, and to find out which are due."""

from __future__ import annotations

import asyncio
import statistics
import time
from datetime import UTC, datetime
from typing import Any

from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.repositories import bookings
from skyhold.kernel.db import Database

from . import database
from .proc import cpu_of, wait_until_quiet
from .rounds import Bench
from .wrk import run_wrk

DUE = 300
MAKE_S, LOOK_EVERY_S, EXPIRE_MAX_S = 3, 0.2, 60.0
ASKED = 200
BATCH = 64  # as the driver asks
OVERDUE = (
    "UPDATE bookings SET due_at = created_at, payment_required_by = created_at "
    "WHERE due_at IS NOT NULL AND status = 'held'"
)
STILL_DUE = "SELECT COUNT(*) FROM bookings WHERE due_at IS NOT NULL"


def measure_expiry(bench: Bench) -> dict[str, Any]:
    """Let the same number of bookings fall due: CPU for each, and how long the question takes."""
    url, pids = bench.system.database.booking_url, bench.system.pids
    _make(bench)
    wait_until_quiet(pids)
    question_ms = asyncio.run(_question_ms(url))
    before = cpu_of(pids)
    database.execute(url, OVERDUE)
    began_at = time.monotonic()
    while database.ask(url, STILL_DUE)[0][0]:
        if time.monotonic() - began_at > EXPIRE_MAX_S:
            raise SystemExit("what is due does not expire")
        time.sleep(LOOK_EVERY_S)
    took_s = time.monotonic() - began_at
    wait_until_quiet(pids)
    after = cpu_of(pids)
    bench.world.tidy()
    return {
        "cpu_ms": round(1e3 * sum(after[it] - before[it] for it in pids) / DUE, 4),
        "question_ms": round(question_ms, 4),
        "took_s": round(took_s, 2),
        "due": DUE,
    }


def _make(bench: Bench) -> None:
    """Exactly so many bookings that are held."""
    world = bench.world.write(bench.world.fresh_flights())
    load = run_wrk(bench.system.booking, "create", MAKE_S, world=world)
    if load.done < DUE:
        raise SystemExit(f"{load.done} bookings in {MAKE_S} s are too few: {load.sample}")
    url = bench.system.database.booking_url
    held = database.ask(
        url,
        "SELECT id FROM bookings WHERE due_at IS NOT NULL AND status = 'held' "
        f"ORDER BY id LIMIT {DUE}",
    )
    database.execute(
        url,
        "UPDATE bookings SET status = 'cancelled', hold_open = false, due_at = NULL "
        f"WHERE due_at IS NOT NULL AND status = 'held' AND id > '{held[-1][0]}'",
    )


async def _question_ms(url: str) -> float:
    """The median time of the driver's question, asked one at a time, while nothing is due."""
    took = []
    db = Database(url, name="bench")
    try:
        async with db.read() as tx:
            for _ in range(ASKED):
                began_at = time.perf_counter()
                await bookings.due(tx, [BookingStatus.HELD], datetime.now(UTC), BATCH)
                took.append(1e3 * (time.perf_counter() - began_at))
    finally:
        await db.close()
    return statistics.median(took)
