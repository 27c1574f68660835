"""What stands between every request and the application, so that no route can forget it.

    431 414 400 413    the line and the headers                  heads
    403                another site sent it                      csrf
    429                they are too many                         rates
    413 415 400        the body, while it is read                bodies

HEAD is answered as GET would be, without the body.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from skyhold.kernel.quotas import OFF
from skyhold.kernel.settings import KernelSettings

from . import heads, problems
from .bodies import CheckedBody, CheckedForm
from .cors import Cors
from .csrf import CrossSiteRequest, Guard
from .rates import RateLimited, Rates


@dataclass(frozen=True, slots=True)
class Edge:
    """How far a request may go. `secure` where browsers come over https only.

    With `forms` the bodies are those of a browser's forms, otherwise JSON.
    """

    body_bytes_max: int
    header_bytes_max: int = 16_384
    origins: frozenset[str] = frozenset()
    secure: bool = False
    per_address: str = OFF
    per_user: str = OFF
    forms: bool = False

    @classmethod
    def of(cls, settings: KernelSettings, *, forms: bool = False) -> Edge:
        """As the settings say."""
        return cls(
            body_bytes_max=settings.body_bytes_max,
            header_bytes_max=settings.header_bytes_max,
            origins=settings.origins,
            secure=settings.cookie_secure,
            per_address=settings.requests_per_address,
            per_user=settings.requests_per_user,
            forms=forms,
        )


def guarded(app: ASGIApp, edge: Edge, is_service: Callable[[str], bool] | None = None) -> ASGIApp:
    """The application behind a doorkeeper; what that refuses is told to other origins, too.

    `is_service` says of a bearer token whether a service shows it: their requests are not counted.
    """
    counted = RateLimited(app, Rates(edge.per_address, edge.per_user), is_service)
    doorkeeper = Doorkeeper(counted, edge)
    return Cors(doorkeeper, edge.origins) if edge.origins else doorkeeper


class Doorkeeper:
    """Wraps an ASGI application, and lets in what it may see."""

    def __init__(self, app: ASGIApp, edge: Edge) -> None:
        self._app = app
        self._edge = edge
        self._guard = Guard(edge.origins, secure=edge.secure, forms=edge.forms)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or say why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        problem = heads.refusal(
            scope,
            headers,
            header_bytes_max=self._edge.header_bytes_max,
            body_bytes_max=self._edge.body_bytes_max,
        )
        if problem is None and self._guard.refuses(scope["method"], headers):
            problem = CrossSiteRequest()
        if problem is not None:
            await problems.answer_for(problem)(scope, receive, send)
            return
        checked = CheckedForm if self._edge.forms else CheckedBody
        body = checked(headers, receive, self._edge.body_bytes_max)
        if scope["method"] == "HEAD":
            await self._as_get(scope, body, send)
        else:
            await self._app(scope, body, send)

    async def _as_get(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The server goes on believing that it is HEAD, and leaves the body out.
        inside = {**scope, "method": "GET"}
        try:
            await self._app(inside, receive, send)
        finally:
            scope["route"] = inside.get("route")
