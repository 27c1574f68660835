"""After the storm: waiting until nothing is left to be done, and saying what still is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress

import aio_pika

from . import tables
from .broker import QUEUES
from .run import Run

LOOK_EVERY_S = 0.5
LOOK_MAX_S = 10.0

SETTLE_S = 2.0  # for messages that are still in hand

BOOKING = {
    "bookings not terminal": """SELECT COUNT(*) AS n FROM bookings
        WHERE status IN ('held', 'paying') OR (status <> 'confirmed' AND hold_open)""",
    "payments not at rest": """SELECT COUNT(*) AS n FROM payments
        WHERE status NOT IN ('captured', 'voided', 'refunded')""",
    "booking events not published": """SELECT COUNT(*) AS n FROM booking_outbox
        WHERE published_at IS NULL""",
    "flight changes not carried": """SELECT COUNT(*) AS n FROM flight_changes
        WHERE due_at IS NOT NULL""",
}
FLIGHT = {
    "holds still held": "SELECT COUNT(*) AS n FROM holds WHERE status = 'held'",
    "flight events not published": """SELECT COUNT(*) AS n FROM flight_outbox
        WHERE published_at IS NULL""",
}


class Quiet:
    """How far the system is from rest."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._booking = tables.reader(run.booking_db_url)
        self._flight = tables.reader(run.flight_db_url)
        self.left: Mapping[str, int] = {"not looked yet": 1}
        self.all_terminal_at: float | None = None

    async def comes(self, within_s: float) -> bool:
        """Whether everything came to rest in time."""
        give_up_at = time.monotonic() + within_s
        while self.left and time.monotonic() < give_up_at:
            await asyncio.sleep(LOOK_EVERY_S)
            with suppress(Exception):  # a database that is just coming back: looked at again
                async with asyncio.timeout(LOOK_MAX_S):
                    self.left = await self._look()
            if self.all_terminal_at is None and "bookings not terminal" not in self.left:
                self.all_terminal_at = time.time()
        if not self.left:
            await asyncio.sleep(SETTLE_S)
        await self._booking.dispose()
        await self._flight.dispose()
        return not self.left

    async def _look(self) -> Mapping[str, int]:
        left: dict[str, int] = {}
        for engine, questions in ((self._booking, BOOKING), (self._flight, FLIGHT)):
            async with tables.snapshot(engine) as connection:
                for what, statement in questions.items():
                    (row,) = await tables.rows(connection, statement)
                    left[what] = row["n"]
        if self._run.amqp_url and not any(left.values()):
            left |= await _waiting(self._run.amqp_url, self._run.amqp_prefix)
        return {what: count for what, count in left.items() if count}


async def _waiting(url: str, prefix: str) -> Mapping[str, int]:
    """How many messages the services' queues hold."""
    found = {}
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        for name in QUEUES:
            queue = await channel.declare_queue(f"{prefix}{name}", passive=True)
            found[f"messages in {name}"] = queue.declaration_result.message_count or 0
    return found
