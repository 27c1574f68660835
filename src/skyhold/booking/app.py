"""The booking service as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp

from skyhold.kernel.errors import NotReady
from skyhold.kernel.http.application import application
from skyhold.kernel.http.gateway import Gateway

from .controllers import bookings, payments, users
from .wiring import HISTORY, BookingService

ROUTERS = (users.router, payments.router, bookings.router)


def create_app(service: BookingService) -> ASGIApp:
    """The application; its lifespan starts and stops the service's jobs."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = application("Skyhold booking service", ROUTERS, lifespan, lambda: check_ready(service))
    app.state.booking = service
    app.state.doors = service
    return Gateway(app, service="booking", body_bytes_max=service.settings.body_bytes_max)


async def check_ready(service: BookingService) -> None:
    """Raises NotReady unless the database answers and has this version's schema."""
    if not await HISTORY.is_current(service.db):
        raise NotReady("The booking database does not have this version's schema.")
