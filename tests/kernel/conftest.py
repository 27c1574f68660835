from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import settings
from structlog.testing import capture_logs

from skyhold.kernel.clock import FrozenClock
from skyhold.kernel.db import Database
from skyhold.kernel.http.application import application
from skyhold.kernel.http.doorkeeper import Edge
from skyhold.kernel.http.gateway import Gateway
from skyhold.kernel.http.routes import Routes

# A busy machine is no reason to fail; the whole suite has a time limit of its own.
settings.register_profile("skyhold", deadline=None)
settings.load_profile("skyhold")


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(datetime(2026, 12, 1, 12, 0, tzinfo=UTC))


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """What is logged during the test, and nowhere else."""
    with capture_logs() as lines:
        yield lines


@pytest.fixture
async def db(tmp_path: Path):
    """An empty database in a file."""
    database = Database(f"sqlite:///{tmp_path / 'kernel.db'}", pool_max=3)
    yield database
    await database.close()


@pytest.fixture
async def serve():
    """Serve a router the way every service of ours is served; answers an HTTP client for it."""
    async with AsyncExitStack() as stack:

        async def start(
            *routers: Routes,
            doors: Any = None,
            ready: Any = _always,
            body_bytes_max: int = 1024,
            **edge: Any,
        ) -> httpx.AsyncClient:
            app = application("A service", routers, _no_lifespan, ready)
            app.state.doors = doors
            gateway = Gateway(
                app,
                service="a-service",
                edge=Edge(body_bytes_max, **edge),
                is_service=lambda token: token == "a service's",
            )
            return await stack.enter_async_context(client_of(gateway))

        yield start


def client_of(app: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://skyhold.test")


@asynccontextmanager
async def _no_lifespan(_: Any):
    yield


async def _always() -> None:
    pass
