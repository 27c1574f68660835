"""Both services in one process, on one port.

The booking service still reaches the flight service through HTTP requests; only the wire between
them is missing. So nothing that holds for two processes is different here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp

from skyhold import booking, flight
from skyhold.booking import app as booking_app
from skyhold.booking.settings import BookingSettings
from skyhold.booking.wiring import BookingService
from skyhold.flight import app as flight_app
from skyhold.flight.settings import FlightSettings
from skyhold.flight.wiring import FlightService
from skyhold.front import with_pages
from skyhold.kernel import tracing
from skyhold.kernel.client import PyreqwestTransport, Transport
from skyhold.kernel.clock import Clock
from skyhold.kernel.http.application import application
from skyhold.kernel.http.doorkeeper import Edge
from skyhold.kernel.http.gateway import Gateway
from skyhold.kernel.http.identity import FrontDoors
from skyhold.kernel.messaging import MemoryBus

Services = tuple[BookingService, FlightService]


def wire(
    booking_settings: BookingSettings,
    flight_settings: FlightSettings,
    clock: Clock | None = None,
) -> Services:
    """Build both services, the one calling the other inside this process."""
    # Without a broker one bus inside this process serves both.
    bus = MemoryBus() if booking_settings.amqp_url is None else None
    flights = flight.wiring.wire(flight_settings, clock, bus=bus)
    transport = to_flights(flights, timeout_s=booking_settings.flight_timeout_s)
    return booking.wiring.wire(booking_settings, clock=clock, transport=transport, bus=bus), flights


def to_flights(flights: FlightService, *, timeout_s: float) -> Transport:
    """The way to the flight service inside this process; its HTTP interface is the same."""
    served = flight_app.create_app(flights, owns_service=False)
    return PyreqwestTransport("http://flight.internal", timeout_s=timeout_s, app=served)


def create_app(services: Services) -> ASGIApp:
    """One application with the routes of both."""
    bookings, flights = services

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with flights.running(), bookings.running():
            yield
        await asyncio.to_thread(tracing.shutdown)  # which sends what is left

    async def ready() -> None:
        await flight_app.check_ready(flights)
        await booking_app.check_ready(bookings)

    routers = (*booking_app.ROUTERS, *bookings.routers, *flight_app.ROUTERS)
    app = application("Skyhold", routers, lifespan, ready, {**bookings.probes, **flights.probes})
    app.state.booking = bookings
    app.state.flight = flights
    # Sessions are the booking service's, and holds are called by it with tokens for the other one.
    app.state.doors = FrontDoors(bookings.people, flights.service_tokens)
    api = Gateway(app, service="skyhold", edge=Edge.of(bookings.settings))
    return with_pages(api, bookings, flights=None)
