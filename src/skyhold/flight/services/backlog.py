"""What the flight service answers when /metrics asks how much is waiting."""

from __future__ import annotations

from dataclasses import dataclass

from skyhold.contracts.holds import HoldStatus
from skyhold.flight.repositories import backlog
from skyhold.kernel.backlog import DUE_ROWS, OLDEST_AGE, OVERDUE_ROWS, UNPUBLISHED
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database
from skyhold.kernel.observatory import Readings

SERVICE = "flight"


@dataclass(frozen=True, slots=True)
class Backlog:
    """Counts what the sweeper and the relay have before them."""

    db: Database
    clock: Clock

    async def look(self) -> Readings:
        """Holds due and overdue, and events that are still to be published."""
        now = self.clock.now()
        async with self.db.read() as tx:
            holds = await backlog.holds(tx, now)
            untold = await backlog.events(tx)
        held = ("hold", HoldStatus.HELD)
        return {
            DUE_ROWS: {held: holds.due},
            OVERDUE_ROWS: {held: holds.overdue},
            UNPUBLISHED: {(SERVICE,): untold.count},
            OLDEST_AGE: {(SERVICE,): untold.age_s(now)},
        }
