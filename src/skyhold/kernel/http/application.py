"""A FastAPI application with what all of ours share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi_swagger import patch_fastapi  # type: ignore[import-untyped]

from skyhold.kernel.observatory import Observatory, Probe

from . import problems
from .health import health
from .metrics import metrics

DESCRIPTION = """
Errors are problem+json (RFC 9457) with a stable `code`; `/problems` explains them all. Money is
`{"amount": "129.00", "currency": "USD"}`, times carry their offset, lists are pages:
`{"data": […], "next": …}`. Log in at `/api/v1/users/login` and send the token as a bearer token.
"""


def application(
    title: str,
    routers: Iterable[APIRouter],
    lifespan: Callable[[FastAPI], Any],
    ready: Callable[[], Awaitable[None]],
    probes: Mapping[str, Probe] | None = None,
) -> FastAPI:
    """Problems as problem+json, health and metrics, interactive documents at /docs, no redirects.

    `probes` are asked for what /metrics shows besides what is counted anyway.
    """
    app = FastAPI(
        title=title,
        version=version("skyhold"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
    )
    patch_fastapi(app, docs_url="/docs")
    for router in routers:
        app.include_router(router)
    app.include_router(health(ready))
    app.include_router(metrics(Observatory(probes or {})))
    problems.install(app)
    return app
