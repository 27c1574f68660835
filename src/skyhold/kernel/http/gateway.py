"""The outermost layer: request ids, the access log, the body limit, the last resort."""

from __future__ import annotations

import re
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from skyhold.kernel.ids import new_id
from skyhold.kernel.logging import get_logger

log = get_logger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
QUIET_PATHS = frozenset({"/livez", "/readyz"})


class Gateway:
    """Wraps an ASGI application; every request passes through here first and last."""

    def __init__(self, app: ASGIApp, *, service: str, body_bytes_max: int) -> None:
        self.app = app
        self.service = service
        self.body_bytes_max = body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; whatever goes wrong inside is logged here and goes no further."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        with bound_contextvars(request_id=request_id, service=self.service):
            exchange = _Exchange(scope, receive, send, request_id, self.body_bytes_max)
            try:
                await self.app(scope, exchange.receive, exchange.send)
            except Exception:
                log.exception("http.failed", method=scope["method"], path=scope["path"])
            finally:
                exchange.log_access()


class _Exchange:
    """One request and its answer, watched as they pass."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, request_id: str, body_bytes_max: int
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._request_id = request_id
        self._body_bytes_left = body_bytes_max
        self._started_at = time.perf_counter()
        self.status: int | None = None

    async def receive(self) -> Message:
        message = await self._receive()
        self._body_bytes_left -= len(message.get("body", b""))
        if self._body_bytes_left < 0:
            raise HTTPException(413, "The body is larger than this service accepts.")
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self._request_id
            headers["X-Content-Type-Options"] = "nosniff"
        await self._send(message)

    def log_access(self) -> None:
        path = self._scope["path"]
        if path in QUIET_PATHS:
            return
        log.info(
            "http.request",
            method=self._scope["method"],
            path=path,
            status=self.status,
            ms=round((time.perf_counter() - self._started_at) * 1000, 1),
        )


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else new_id()
