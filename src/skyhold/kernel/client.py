"""Calls to another service over HTTP: bounded in time, repeated only where that is harmless.

The answer is a `Reply`, or the exception `Unknown`: the other side may or may not have done what
it was asked. Nothing in between; a caller changes no state on Unknown.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Protocol

from pydantic_core import from_json, to_json
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.middleware.asgi import ASGITestMiddleware
from pyreqwest.request import Request
from starlette.types import ASGIApp
from structlog.contextvars import get_contextvars

from . import tracing
from .breaker import Breaker, LeftAlone
from .deadline import remaining_s, within
from .logging import get_logger
from .metrics import Calls

log = get_logger(__name__)

ATTEMPTS_MAX = 3
PAUSE_FIRST_S = 0.05
CLIENT_ERRORS = range(400, 500)
SERVER_ERRORS = range(500, 600)
REPLY_BYTES_MAX = 1_048_576

ScopeUpdate = Callable[[dict[str, Any], Request], Awaitable[None]]


class Unknown(Exception):
    """No clear answer: lost, late, a server error, or something that makes no sense."""


class NotTried(Unknown):
    """The other side has not answered for a while, so it was not even asked: nothing was done."""


class Busy(Unknown):
    """The other side asked for patience (503); asking again at once would only add to its load."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A clear answer: its status and its JSON object."""

    status: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RawReply:
    """What came over the wire."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict, compare=False)


class Transport(Protocol):
    """One HTTP exchange; raises Unknown when it did not complete."""

    async def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> RawReply:
        """Send one request and read the whole answer."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class PyreqwestTransport:
    """HTTP/1.1 over pooled connections, or straight into an ASGI app of this process.

    `scope_update` may change what that app sees of a request.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout_s: float,
        app: ASGIApp | None = None,
        scope_update: ScopeUpdate | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        builder = (
            ClientBuilder()
            .base_url(base_url.rstrip("/") + "/")
            .timeout(timedelta(seconds=timeout_s))
            .connect_timeout(timedelta(seconds=min(timeout_s, 2.0)))
            .follow_redirects(enable=False)
            .no_proxy()
        )
        if app is not None:
            # The name says Test; it is the library's in-process transport, and all we need of one.
            deadline = timedelta(seconds=timeout_s)
            inside = ASGITestMiddleware(app, timeout=deadline, scope_update=scope_update)
            builder = builder.with_middleware(inside)
        self._client: Client = builder.build()

    async def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> RawReply:
        """Send one request; Unknown on any failure or after the time-out."""
        request = self._client.request(method, path).headers(dict(headers))
        if body is not None:
            request = request.body_bytes(body)
        try:
            async with asyncio.timeout(self._timeout_s), request.build_streamed() as reply:
                # Whoever sends without end, or a little that unpacks to a lot, is not heard out.
                read = await reply.body_reader.read(REPLY_BYTES_MAX + 1)
                body = b"" if read is None else bytes(read)
                return RawReply(reply.status, body, reply.headers)
        except Exception as error:  # the library's own, or whatever an app in this process raised
            raise Unknown(repr(error)) from error

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()


class ServiceClient:
    """Calls one other service.

    Only idempotent calls go through it, so each is tried up to ATTEMPTS_MAX times within
    `deadline_s`, or what our own caller has left of patience: a lost answer costs a repeat. What is
    left of that time goes along (X-Deadline-Ms), as do the request id and the booking id of the
    log context (X-Request-ID, W3C Baggage) and the trace (W3C Trace Context).
    """

    def __init__(
        self,
        transport: Transport,
        *,
        party: str,
        breaker: Breaker,
        authorize: Callable[[], str],
        deadline_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._transport = transport
        self._party = party
        self._breaker = breaker
        self._calls = Calls(party)
        self._authorize = authorize
        self._deadline_s = deadline_s
        self._sleep = sleep

    async def call(self, method: str, path: str, body: object = None) -> Reply:
        """One idempotent call. Raises Unknown when no attempt got a clear answer in time.

        NotTried, which is an Unknown too, says that there was not even an attempt.
        """
        content = None if body is None else to_json(body)
        began_at = time.perf_counter()
        outcome = "unknown"
        with tracing.span(f"{method} {self._party}", "client"):
            try:
                async with self._breaker.guard():
                    reply = await self._in_time(method, path, content)
            except LeftAlone as error:
                outcome = "open"
                msg = f"the {self._party} service is left alone for a while"
                raise NotTried(msg) from error
            except Busy:
                outcome = "busy"
                raise
            else:
                outcome = "refused" if reply.status in CLIENT_ERRORS else "ok"
                return reply
            finally:
                self._calls.ended(outcome, time.perf_counter() - began_at)

    async def _in_time(self, method: str, path: str, content: bytes | None) -> Reply:
        patience_s = remaining_s()
        left_s = self._deadline_s if patience_s is None else min(self._deadline_s, patience_s)
        try:
            with within(left_s):
                async with asyncio.timeout(left_s):
                    return await self._attempts(method, path, content)
        except TimeoutError as error:
            msg = f"no answer within {left_s:.3g} s"
            raise Unknown(msg) from error

    async def close(self) -> None:
        """Close every connection."""
        await self._transport.close()

    async def _attempts(self, method: str, path: str, content: bytes | None) -> Reply:
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                return _read(
                    await self._transport.send(method, path, self._headers(content), content)
                )
            except Unknown as error:
                log.warning(
                    "client.unknown", method=method, path=path, attempt=attempt, error=str(error)
                )
                if attempt == ATTEMPTS_MAX or isinstance(error, Busy):
                    raise
            await self._sleep(PAUSE_FIRST_S * 2**attempt * random.uniform(0.5, 1))  # noqa: S311
        raise AssertionError

    def _headers(self, content: bytes | None) -> dict[str, str]:
        headers = {"accept": "application/json", "authorization": f"Bearer {self._authorize()}"}
        if content is not None:
            headers["content-type"] = "application/json"
        if left_s := remaining_s():
            headers["x-deadline-ms"] = str(max(1, int(left_s * 1000)))
        context = get_contextvars()
        if request_id := context.get("request_id"):
            headers["x-request-id"] = str(request_id)
        if booking_id := context.get("booking_id"):
            headers["baggage"] = f"booking_id={booking_id}"
        tracing.inject(headers)
        return headers


def _read(raw: RawReply) -> Reply:
    if raw.status == HTTPStatus.SERVICE_UNAVAILABLE:
        msg = "status 503"
        raise Busy(msg)
    if raw.status in SERVER_ERRORS or raw.status < 200 or 300 <= raw.status < 400:  # noqa: PLR2004
        msg = f"status {raw.status}"
        raise Unknown(msg)
    if len(raw.body) > REPLY_BYTES_MAX:
        msg = f"an answer of {len(raw.body)} bytes"
        raise Unknown(msg)
    try:
        body = from_json(raw.body)
    except ValueError as error:
        msg = "an answer that is not JSON"
        raise Unknown(msg) from error
    if not isinstance(body, dict):
        msg = "an answer that is not a JSON object"
        raise Unknown(msg)
    return Reply(raw.status, body)
