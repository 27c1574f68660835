"""The outermost layer: request ids, the access log, headers, deadlines, the last resort."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from skyhold.kernel import deadline, tracing
from skyhold.kernel.errors import Unavailable
from skyhold.kernel.ids import UUID, new_id
from skyhold.kernel.logging import bound, get_logger
from skyhold.kernel.metrics import UNMATCHED, Requests

from . import draining, problems
from .doorkeeper import Edge, guarded
from .security_headers import SecurityHeaders

log = get_logger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
BOOKING_ID = re.compile(UUID.pattern, re.ASCII)
DEADLINE_MS = re.compile(r"[1-9][0-9]{0,6}", re.ASCII)  # up to 2 h 46 min; who would wait longer?
# What a supervisor asks: neither logged nor counted, or its questions would drown the others'.
QUIET_PATHS = frozenset({"/livez", "/readyz", "/metrics"})
SERVER_ERROR_MIN = 500


class DeadlineExceeded(Unavailable):
    """There was no answer in the time you gave for one; please try again shortly."""

    code = "deadline_exceeded"


class Gateway:
    """Wraps an ASGI application; every request passes through here first and last.

    What a caller may say of itself: `X-Request-ID`, for the logs; `baggage: booking_id=…` (W3C),
    likewise; `traceparent` (W3C). Another service may also say `X-Deadline-Ms`, for how many
    milliseconds it waits: then the work is cut off and answered with DeadlineExceeded. From
    anybody else that is not heeded: who may cut work off anywhere could leave holds behind, and
    make us believe that others do not answer. Anything that makes no sense is ignored.

    What `edge` does not let in is refused here, for every route alike; see the doorkeeper.
    `is_service` says of a bearer token whether a service shows it.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: str,
        edge: Edge,
        is_service: Callable[[str], bool] | None = None,
    ) -> None:
        self.app = guarded(app, edge, is_service)
        self.service = service
        self._security = SecurityHeaders(secure=edge.secure)
        self._is_service = is_service
        self._requests = Requests(service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; whatever goes wrong inside is logged here and goes no further."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._security)
        if exchange.is_quiet:
            await self._serve(exchange)
        elif tracing.is_on():
            with self._traced(exchange):
                await self._count(exchange)
        else:
            await self._count(exchange)

    async def _count(self, exchange: _Exchange) -> None:
        self._requests.in_flight.inc()
        try:
            await self._serve(exchange)
        finally:
            self._requests.in_flight.dec()
            self._requests.answered(
                exchange.method, exchange.route, exchange.status, exchange.seconds
            )

    async def _serve(self, exchange: _Exchange) -> None:
        known = _known_of(exchange)
        with bound(request_id=exchange.request_id, service=self.service, **known):
            try:
                await self._in_time(exchange)
            except Exception:
                log.exception("http.failed", method=exchange.method, path=exchange.scope["path"])
            finally:
                exchange.log_access()

    async def _in_time(self, exchange: _Exchange) -> None:
        seconds = self._deadline_s(exchange)
        if seconds is None:
            await self.app(exchange.scope, exchange.receive, exchange.send)
            return
        try:
            with deadline.within(seconds):
                async with asyncio.timeout(seconds) as exchange.limit:
                    await self.app(exchange.scope, exchange.receive, exchange.send)
        except TimeoutError:
            if exchange.limit is None or not exchange.limit.expired():
                raise  # it was not the caller's patience that ended
            if exchange.status is None:
                too_late = problems.answer_for(DeadlineExceeded())
                await too_late(exchange.scope, exchange.receive, exchange.send)

    def _deadline_s(self, exchange: _Exchange) -> float | None:
        given = exchange.said(b"x-deadline-ms")
        if not DEADLINE_MS.fullmatch(given) or self._is_service is None:
            return None
        scheme, _, token = exchange.said(b"authorization").partition(" ")
        heeded = scheme.lower() == "bearer" and self._is_service(token.strip())
        return int(given) / 1000 if heeded else None

    @contextmanager
    def _traced(self, exchange: _Exchange) -> Iterator[None]:
        method = exchange.method
        with (
            tracing.continue_from(exchange.said(b"traceparent")),
            tracing.span(method, "server", service=self.service) as span,
        ):
            try:
                yield
            finally:
                # Only now is it known which route it was; names by OpenTelemetry's conventions.
                span.rename(f"{method} {exchange.route}")
                span.set("http.request.method", method)
                span.set("http.route", exchange.route)
                span.set("url.path", exchange.scope["path"])
                if exchange.status is not None:
                    span.set("http.response.status_code", exchange.status)
                if exchange.status is None or exchange.status >= SERVER_ERROR_MIN:
                    span.fail(str(exchange.status or "no answer"))


class _Exchange:
    """One request and its answer, watched as they pass."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, security: SecurityHeaders
    ) -> None:
        self.scope = scope
        self.method = scope["method"]
        self.receive = receive
        self._send = send
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self._security = security
        self._started_at = time.perf_counter()
        self.is_quiet = scope["path"] in QUIET_PATHS
        self.request_id = _request_id(self)
        self.status: int | None = None
        self.limit: asyncio.Timeout | None = None

    def said(self, name: bytes) -> str:
        """What a header of the request says, nothing if it is missing."""
        value = self._headers.get(name)
        return "" if value is None else value.decode("latin-1")

    @property
    def route(self) -> str:
        """The template of the route that served it, never the path itself: those are endless."""
        template = getattr(self.scope.get("route"), "path_format", None)
        return template if isinstance(template, str) else UNMATCHED

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started_at

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.limit is not None and not self.limit.expired():
                self.limit.reschedule(None)  # an answer that has begun is not cut off
            headers = list(message.get("headers", ()))
            headers += self._security.missing(headers)
            headers.append((b"x-request-id", self.request_id.encode()))
            if draining.STATE.on:  # the next request had better go elsewhere
                headers.append((b"connection", b"close"))
            message["headers"] = headers
        await self._send(message)

    def log_access(self) -> None:
        if self.is_quiet:
            return
        log.info(
            "http.request",
            method=self.method,
            path=self.scope["path"],
            status=self.status,
            ms=round(self.seconds * 1000, 1),
        )


def _request_id(exchange: _Exchange) -> str:
    given = exchange.said(b"x-request-id")
    return given if REQUEST_ID.fullmatch(given) else new_id()


def _known_of(exchange: _Exchange) -> dict[str, str]:
    """What else every log line of this request carries."""
    known = {}
    if baggage := exchange.said(b"baggage"):
        known.update(_booking_id(baggage))
    if trace_id := tracing.trace_id():
        known["trace_id"] = trace_id
    return known


def _booking_id(baggage: str) -> dict[str, str]:
    """The member `booking_id` of a W3C baggage, if it is one of our ids."""
    for member in baggage.split(","):
        key, _, value = member.partition("=")
        given = value.partition(";")[0].strip()
        if key.strip() == "booking_id" and BOOKING_ID.fullmatch(given):
            return {"booking_id": given}
    return {}
