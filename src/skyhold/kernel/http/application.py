"""A FastAPI application with what all of ours share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from skyhold.kernel.observatory import Observatory, Probe

from . import problems
from .docs import docs
from .health import health
from .metrics import metrics
from .openapi import Contract
from .routes import Routes

DESCRIPTION = """
Errors are problem+json (RFC 9457) with a stable `code`; `/problems` explains them all. Money is
`{"amount": "129.00", "currency": "USD"}`, times carry their offset, lists are pages:
`{"data": […], "next": …}`. What is not there, or not yours, is 404; an id of the wrong shape, and a
field or a query parameter that is not known or given twice, is 422. Log in at
`/api/v1/users/login` and send the token as a bearer token.
"""


def application(
    title: str,
    routers: Iterable[Routes],
    lifespan: Callable[[FastAPI], Any],
    ready: Callable[[], Awaitable[None]],
    probes: Mapping[str, Probe] | None = None,
) -> FastAPI:
    """Problems as problem+json, health and metrics, interactive documents at /docs, no redirects.

    `probes` are asked for what /metrics shows besides what is counted anyway.
    """
    app = Contract(
        title=title,
        version=version("skyhold"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # the gateway does that
        generate_unique_id_function=lambda route: route.name,
    )
    for router in routers:
        app.router.routes.extend(router.routes)
    app.include_router(docs(title, "/openapi.json"))
    app.include_router(health(ready))
    app.include_router(metrics(Observatory(probes or {})))
    problems.install(app)
    return app
