"""The flight service as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp

from skyhold.kernel.errors import NotReady
from skyhold.kernel.http.application import application
from skyhold.kernel.http.gateway import Gateway

from .controllers import airports, flights, holds
from .wiring import HISTORY, FlightService

ROUTERS = (airports.router, flights.router, holds.router)


def create_app(service: FlightService, *, owns_service: bool) -> ASGIApp:
    """The application; with `owns_service` its lifespan starts and stops the service's jobs."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if not owns_service:
            yield
            return
        async with service.running():
            yield

    app = application("Skyhold flight service", ROUTERS, lifespan, lambda: check_ready(service))
    app.state.flight = service
    app.state.doors = service
    return Gateway(app, service="flight", body_bytes_max=service.settings.body_bytes_max)


async def check_ready(service: FlightService) -> None:
    """Raises NotReady unless the database answers and has this version's schema."""
    if not await HISTORY.is_current(service.db):
        raise NotReady("The flight database does not have this version's schema.")
