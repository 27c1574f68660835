"""The flight service as an ASGI application."""

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

from .controllers import airports, flights, holds
from .wiring import HISTORY, FlightService

ROUTERS = (airports.router, flights.router, holds.router)


def create_app(service: FlightService, *, owns_service: bool, jobs: bool = True) -> ASGIApp:
    """The application; with `owns_service` its lifespan starts and stops the service.

    The service then runs its jobs too, unless it is told not to.
    """
    lifespan = _running(service, jobs=jobs) if owns_service else _as_it_is
    app = application(
        "Skyhold flight service", ROUTERS, lifespan, lambda: check_ready(service), service.probes
    )
    app.state.flight = service
    app.state.doors = service
    return Gateway(
        app,
        service="flight",
        edge=Edge.of(service.settings),
        is_service=service.service_tokens.recognises,
    )


def create_worker(service: FlightService) -> ASGIApp:
    """The jobs by themselves: beside them it answers how it is, and no API."""
    lifespan = _running(service, jobs=True)
    app = application(
        "Skyhold flight worker", (), lifespan, lambda: check_ready(service), service.probes
    )
    return Gateway(app, service="flight-worker", edge=Edge.of(service.settings))


def _running(
    service: FlightService, *, jobs: bool
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running(jobs=jobs):
            yield
        await asyncio.to_thread(tracing.shutdown)  # which sends what is left

    return lifespan


@asynccontextmanager
async def _as_it_is(_: FastAPI) -> AsyncIterator[None]:
    yield


async def check_ready(service: FlightService) -> None:
    """Raises NotReady unless the database answers and has this version's schema."""
    if not await HISTORY.is_current(service.db):
        raise NotReady("The flight database does not have this version's schema.")
