"""Finds what is due and takes it further.

This is "periodically cancel bookings unpaid for 15 minutes", and with the same few lines every
recovery: an interrupted payment, a refund, seats to be given back, travellers to be told of a
changed flight.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from enum import StrEnum

from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.repositories import bookings, flight_changes, payments
from skyhold.booking.services.advance import Driver
from skyhold.booking.services.flight_changes import FlightChanges
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database
from skyhold.kernel.logging import get_logger

log = get_logger(__name__)

ROUND_S = 0.5


class Lane(StrEnum):
    """Kinds of work that wait for different parties; a full lane holds up no other."""

    EXPIRE = "expire"  # waits for nobody
    RELEASE = "release"  # the flight service
    PAY = "pay"  # the provider and the flight service
    SETTLE = "settle"  # the provider: voids and refunds
    TELL = "tell"  # nobody: flights that have changed


_STATUSES = {
    Lane.EXPIRE: (BookingStatus.HELD,),
    Lane.RELEASE: (BookingStatus.EXPIRED, BookingStatus.CANCELLED),
    Lane.PAY: (BookingStatus.PAYING,),
}


class Drive:
    """The driver's job.

    A round lasts ROUND_S at most: what has not come back by then, because the other side is
    silent, is left running beside the next round. At most `lane_max` steps of a kind are under way.
    """

    def __init__(
        self, db: Database, driver: Driver, changes: FlightChanges, clock: Clock, *, lane_max: int
    ) -> None:
        self._db = db
        self._driver = driver
        self._changes = changes
        self._clock = clock
        self._lane_max = lane_max
        self._running: dict[Lane, dict[str, asyncio.Task[bool]]] = {lane: {} for lane in Lane}

    async def run_once(self) -> int:
        """Start what is due and not under way already; how many rows moved by the round's end."""
        now = self._clock.now()
        async with self._db.read() as tx:
            for lane, statuses in _STATUSES.items():
                due = await bookings.due(tx, statuses, now, self._lane_max)
                self._start(lane, due, self._driver.advance)
            owing = await payments.due(tx, now, self._lane_max)
            changed = await flight_changes.due(tx, now, self._lane_max)
        self._start(Lane.SETTLE, owing, self._driver.settler.advance)
        self._start(Lane.TELL, changed, self._changes.apply)
        tasks = self._tasks()
        if not tasks:
            return 0
        done, _ = await asyncio.wait(tasks, timeout=ROUND_S)
        return sum(task.result() for task in done)

    async def close(self, timeout_s: float) -> None:
        """Wait for steps under way, at most `timeout_s`; whatever is cut off is still due."""
        if not self._tasks():
            return
        _, late = await asyncio.wait(self._tasks(), timeout=timeout_s)
        for task in late:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _tasks(self) -> list[asyncio.Task[bool]]:
        return [task for lane in self._running.values() for task in lane.values()]

    def _start(
        self, lane: Lane, ids: Collection[str], step: Callable[[str], Awaitable[bool]]
    ) -> None:
        running = self._running[lane]
        for id_ in ids:
            if id_ not in running and len(running) < self._lane_max:
                running[id_] = asyncio.create_task(_guarded(step, id_), name=f"{lane}:{id_}")
                running[id_].add_done_callback(lambda _, id_=id_: running.pop(id_, None))  # type: ignore[misc]


async def _guarded(step: Callable[[str], Awaitable[bool]], id_: str) -> bool:
    """One step; one that fails stays due and stops nobody else's."""
    try:
        return await step(id_)
    except Exception:
        log.exception("drive.failed", id=id_)
        return False
