"""The booking service for a command that asks it something, beside those that serve."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from skyhold import booking, embedded, flight
from skyhold.booking.settings import BookingSettings
from skyhold.booking.wiring import BookingService
from skyhold.flight.settings import FlightSettings


@asynccontextmanager
async def booking_service(
    bookings: BookingSettings, flights: FlightSettings
) -> AsyncIterator[BookingService]:
    """Wired, without its jobs.

    Without FLIGHT_SERVICE the flight service is in the process that serves, if any does; its
    database is asked here.
    """
    near = None if bookings.flight_service else flight.wiring.wire(flights)
    timeout_s = bookings.flight_timeout_s
    transport = None if near is None else embedded.to_flights(near, timeout_s=timeout_s)
    service = booking.wiring.wire(bookings, transport=transport)
    try:
        yield service
    finally:
        await service.close()
        if near is not None:
            await near.holds.close()
            await near.db.close()
