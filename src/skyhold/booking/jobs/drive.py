"""Finds what is due and takes it one step further.

This is "periodically cancel bookings unpaid for 15 minutes", and with the same few lines every
recovery: an interrupted payment, a refund, seats to be given back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress

from skyhold.booking.repositories import bookings, payments
from skyhold.booking.services.advance import Driver
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database
from skyhold.kernel.logging import get_logger

log = get_logger(__name__)

IN_FLIGHT_MAX = 64
ROUND_S = 0.5


class Drive:
    """The driver's job.

    A step that waits for a silent provider holds up nothing but itself: a round lasts ROUND_S at
    most, and what has not come back by then is left running beside the next round.
    """

    def __init__(self, db: Database, driver: Driver, clock: Clock, *, batch_max: int) -> None:
        self._db = db
        self._driver = driver
        self._clock = clock
        self._batch_max = batch_max
        self._running: dict[str, asyncio.Task[bool]] = {}

    async def run_once(self) -> int:
        """Advance what is due, at most `batch_max` bookings and payments; how many moved."""
        now = self._clock.now()
        async with self._db.read() as tx:
            due_bookings = await bookings.due(tx, now, self._batch_max)
            due_payments = await payments.due(tx, now, self._batch_max)
        self._start(due_bookings, self._driver.advance)
        self._start(due_payments, self._driver.advance_payment)
        if not self._running:
            return 0
        done, _ = await asyncio.wait(self._running.values(), timeout=ROUND_S)
        return sum(task.result() for task in done)

    async def close(self, timeout_s: float) -> None:
        """Wait for steps in flight, at most `timeout_s`; whatever is cut off is still due."""
        if not self._running:
            return
        _, late = await asyncio.wait(self._running.values(), timeout=timeout_s)
        for task in late:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _start(self, ids: Collection[str], step: Callable[[str], Awaitable[bool]]) -> None:
        for id_ in ids:
            if id_ not in self._running and len(self._running) < IN_FLIGHT_MAX:
                task = asyncio.create_task(_guarded(step, id_), name=f"drive:{id_}")
                self._running[id_] = task
                task.add_done_callback(lambda _, id_=id_: self._running.pop(id_, None))  # type: ignore[misc]


async def _guarded(step: Callable[[str], Awaitable[bool]], id_: str) -> bool:
    """One step; one that fails stays due and stops nobody else's."""
    try:
        return await step(id_)
    except Exception:
        log.exception("drive.failed", id=id_)
        return False
