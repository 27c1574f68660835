"""What others are told about a flight: that it does not go, or goes at another time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from skyhold.flight.models.flight import Flight, FlightStatus
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Tx
from skyhold.kernel.ids import new_id
from skyhold.kernel.messaging import Event
from skyhold.kernel.outbox import Outbox


class Happened(StrEnum):
    """The kinds of event."""

    CANCELLED = "flight.cancelled"
    RESCHEDULED = "flight.rescheduled"


@dataclass(frozen=True, slots=True)
class News:
    """Writes events into the outbox, in the transaction of what they tell of."""

    outbox: Outbox
    clock: Clock

    async def tell(self, tx: Tx, before: Flight, after: Flight) -> None:
        """Tell of a change, if it is one that concerns people who have booked; fares do not."""
        what = _what(before, after)
        if what is None:
            return
        event = Event(
            id=new_id(),
            type=what,
            subject=after.id,
            sequence=after.ver,
            data={
                "flight_id": after.id,
                "flight_number": after.flight_number,
                "status": after.status,
                **_times(after),
                "was": _times(before),
            },
            occurred_at=self.clock.now(),
        )
        await self.outbox.add(tx, event)


def _what(before: Flight, after: Flight) -> Happened | None:
    if before.status is FlightStatus.CANCELLED:
        return None
    if after.status is FlightStatus.CANCELLED:
        return Happened.CANCELLED
    moved = (before.departing_at, before.arriving_at) != (after.departing_at, after.arriving_at)
    return Happened.RESCHEDULED if moved else None


def _times(flight: Flight) -> dict[str, str]:
    """The flight's times on the clocks of its airports."""
    return {
        "departing_at": flight.departing_local.isoformat(),
        "arriving_at": flight.arriving_local.isoformat(),
    }
