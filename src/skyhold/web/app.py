"""The pages as an ASGI application, and how they stand in front of the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from skyhold.kernel.client import Transport
from skyhold.kernel.clock import Clock
from skyhold.kernel.http.doorkeeper import Edge
from skyhold.kernel.http.gateway import Gateway

from .api import Away, Refused, inside
from .forms import NotAForm
from .routes import PAGES
from .site import Site, TestToken, templates
from .sorry import sorry
from .static import Static
from .visit import Handler, Visit, is_for_anybody

HOME = "/"
# The first part of an address says whose it is; everything else is the API's.
OURS = frozenset({"static", *(path.split("/")[1] for path, _, _ in PAGES if path != HOME)})
SMALL = 500  # shorter answers are not packed
WAIT_S = 30.0  # a payment may take that long


def with_pages(
    api: ASGIApp,
    flights: Transport | None,
    clock: Clock,
    edge: Edge,
    test_tokens: Sequence[TestToken],
) -> ASGIApp:
    """The API with the pages before it. `flights` is the way to a flight service elsewhere."""
    static = Static.read()
    here = inside(api, timeout_s=WAIT_S)
    site = Site(here, flights or here, clock, templates(static), edge.secure, test_tokens)
    pages = Gateway(_application(site, static), service="pages", edge=edge)
    return Front(pages, api)


class Front:
    """Sends each request to the pages or to the API; starting and stopping is the API's."""

    def __init__(self, pages: ASGIApp, api: ASGIApp) -> None:
        self._pages = pages
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and _is_ours(scope["path"]):
            await self._pages(scope, receive, send)
        else:
            await self._api(scope, receive, send)


def _is_ours(path: str) -> bool:
    return path == HOME or path[1:].partition("/")[0] in OURS  # it may be *, of OPTIONS


def _application(site: Site, static: Static) -> Starlette:
    kinds: tuple[type[Exception], ...] = (Refused, Away, NotAForm, HTTPException, Exception)
    return Starlette(
        routes=[
            Route("/static/{name}", static.answer, methods=["GET"]),
            *(_route(site, *page) for page in PAGES),
        ],
        middleware=[Middleware(GZipMiddleware, minimum_size=SMALL)],
        exception_handlers={kind: _apology(site) for kind in kinds},
    )


@dataclass(frozen=True, slots=True)
class _Template:
    """What the gateway calls a page in its figures."""

    path_format: str


def _route(site: Site, path: str, method: str, handler: Handler) -> Route:
    template = _Template(path)

    async def endpoint(request: Request) -> Response:
        request.scope["route"] = template
        visit = request.state.visit = Visit(request, site)
        if not is_for_anybody(handler):
            await visit.arrive()
        return visit.keep(await handler(visit))

    return Route(path, endpoint, methods=[method])


async def _stranded(request: Request, site: Site) -> Visit:
    """Somebody at an address where there is nothing; they are who they are there, too."""
    visit = Visit(request, site)
    with suppress(Refused):
        await visit.arrive()
    return visit


def _apology(site: Site) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def apologise(request: Request, error: Exception) -> Response:
        visit = getattr(request.state, "visit", None) or await _stranded(request, site)
        # A session that went on with fresh tokens must not lose them because a page failed.
        return visit.keep(sorry(visit, error))

    return apologise
