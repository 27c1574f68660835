"""The booking service as an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp

from skyhold.kernel import tracing
from skyhold.kernel.errors import NotReady
from skyhold.kernel.http.application import application
from skyhold.kernel.http.doorkeeper import Edge
from skyhold.kernel.http.gateway import Gateway

from .controllers import account, bookings, desk, payments, sessions, users, webhooks
from .wiring import HISTORY, BookingService

# They are asked in this order: first what is asked most.
ROUTERS = (
    payments.router,
    bookings.router,
    users.router,
    account.router,
    sessions.router,
    webhooks.router,
    desk.router,
)


def create_app(service: BookingService, *, jobs: bool = True) -> ASGIApp:
    """The application; its lifespan starts and stops the service, with its jobs or without."""
    lifespan = _running(service, jobs=jobs)
    app = application(
        "Skyhold booking service",
        (*ROUTERS, sessions.services_router, *service.routers),
        lifespan,
        lambda: check_ready(service),
        service.probes,
    )
    app.state.booking = service
    app.state.doors = service
    return Gateway(
        app,
        service="booking",
        edge=Edge.of(service.settings),
        is_service=service.service_tokens.recognises,
    )


def create_worker(service: BookingService) -> ASGIApp:
    """The jobs by themselves: beside them it answers how it is, and no API."""
    lifespan = _running(service, jobs=True)
    app = application(
        "Skyhold booking worker", (), lifespan, lambda: check_ready(service), service.probes
    )
    return Gateway(app, service="booking-worker", edge=Edge.of(service.settings))


def _running(
    service: BookingService, *, jobs: bool
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running(jobs=jobs):
            yield
        await asyncio.to_thread(tracing.shutdown)  # which sends what is left

    return lifespan


async def check_ready(service: BookingService) -> None:
    """Raises NotReady unless the database answers and has this version's schema."""
    if not await HISTORY.is_current(service.db):
        raise NotReady("The booking database does not have this version's schema.")
