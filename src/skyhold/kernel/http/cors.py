"""What a browser lets the pages of other origins do (Fetch, CORS protocol)."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from skyhold.kernel.errors import BadRequest

from . import problems

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "X-Request-ID",
    "traceparent",
)
EXPOSED = (
    "Location",
    "Idempotent-Replayed",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Request-ID",
)
PREFLIGHT_REFUSED_MIN = 400


class Cors(CORSMiddleware):
    """For these origins alone, with the user's cookie; to all others it says nothing."""

    def __init__(self, app: ASGIApp, origins: frozenset[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=REQUEST_HEADERS,
            allow_credentials=True,
            expose_headers=EXPOSED,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Whether the browser may send the request that it asks about."""
        response = super().preflight_response(request_headers)
        if response.status_code < PREFLIGHT_REFUSED_MIN:
            return response
        refused = problems.answer_for(BadRequest("Pages of that origin may not send this request."))
        refused.headers["Vary"] = response.headers["Vary"]
        return refused
