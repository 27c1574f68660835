"""What the booking service answers when /metrics asks how much is waiting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.change import ChangeKind
from skyhold.booking.models.payment import AT_REST, PaymentStatus
from skyhold.booking.repositories import backlog
from skyhold.kernel.backlog import DUE_ROWS, OLDEST_AGE, OVERDUE_ROWS, UNPUBLISHED, Due
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database
from skyhold.kernel.observatory import Readings

SERVICE = "booking"
# What can wait, so that there is a zero when nothing does.
KINDS: Mapping[str, Iterable[str]] = {
    "booking": [status for status in BookingStatus if status is not BookingStatus.CONFIRMED],
    "payment": [status for status in PaymentStatus if status not in AT_REST],
    "flight_change": list(ChangeKind),
}


@dataclass(frozen=True, slots=True)
class Backlog:
    """Counts what the driver and the relay have before them."""

    db: Database
    clock: Clock

    async def look(self) -> Readings:
        """Rows due and overdue, and events that are still to be published."""
        now = self.clock.now()
        async with self.db.read() as tx:
            found = {
                "booking": await backlog.bookings(tx, now),
                "payment": await backlog.payments(tx, now),
                "flight_change": await backlog.flight_changes(tx, now),
            }
            untold = await backlog.events(tx)
        counts = {
            (kind, status): found[kind].get(status, Due())
            for kind, statuses in KINDS.items()
            for status in statuses
        }
        return {
            DUE_ROWS: {labels: count.due for labels, count in counts.items()},
            OVERDUE_ROWS: {labels: count.overdue for labels, count in counts.items()},
            UNPUBLISHED: {(SERVICE,): untold.count},
            OLDEST_AGE: {(SERVICE,): untold.age_s(now)},
        }
