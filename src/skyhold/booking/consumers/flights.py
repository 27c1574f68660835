"""Events of the flight service: a flight that does not go, or goes at another time."""

from __future__ import annotations

from skyhold.booking.schemas.flight_events import news_of
from skyhold.booking.services.flight_changes import FlightChanges
from skyhold.contracts.queues import FLIGHT_CHANGES
from skyhold.kernel.messaging import Bus, Event


def listen(bus: Bus, changes: FlightChanges) -> None:
    """Note down whatever the flight service tells."""

    async def hear(event: Event) -> None:
        await changes.note(event, news_of(event, changes.clock.now()))

    bus.subscribe(FLIGHT_CHANGES, hear)
