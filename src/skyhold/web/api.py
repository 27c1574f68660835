"""The public API, asked as the visitor who looks at a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

from pydantic_core import from_json, to_json
from pyreqwest.request import Request
from starlette.types import ASGIApp
from structlog.contextvars import get_contextvars

from skyhold.kernel.client import PyreqwestTransport, RawReply, Transport, Unknown

# Flights and airports are the flight service's; everything else is the booking service's.
OF_FLIGHTS = ("/api/v1/flights", "/api/v1/airports")
CLIENT_ERRORS = range(400, 500)
_address: ContextVar[str | None] = ContextVar("address", default=None)


class Away(Exception):
    """No clear answer: whoever was asked is away, too busy, or makes no sense."""


@dataclass(eq=False)
class Refused(Exception):
    """The API said no. `errors` name the fields of what was sent: {"field", "message"}."""

    status: int
    code: str
    detail: str
    errors: Sequence[Mapping[str, str]] = ()
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class File:
    """A file that the API hands out: what it is, and under which name to keep it."""

    content: bytes
    media_type: str
    disposition: str


class Ways(Protocol):
    """How to reach both services."""

    @property
    def bookings(self) -> Transport:
        """The booking service's API."""
        ...

    @property
    def flights(self) -> Transport:
        """The flight service's API."""
        ...


@dataclass(frozen=True, slots=True)
class Api:
    """Calls as one visitor: with their token if there is one, from where they are.

    `browser` is what theirs calls itself: people tell their sessions apart by it.
    """

    ways: Ways
    token: str | None = None
    address: str | None = None
    browser: str | None = None

    async def get(self, path: str, **query: object) -> Any:  # noqa: ANN401 - JSON
        """The JSON at this address. What is None in `query` is left out. Raises Refused, Away."""
        return _json(await self.send("GET", _with_query(path, query)))

    async def file(self, path: str) -> File:
        """The file at this address. Raises Refused, Away."""
        reply = await self.send("GET", path)
        try:
            said = reply.headers["content-type"], reply.headers["content-disposition"]
        except KeyError as error:
            msg = "an answer that is no file"
            raise Away(msg) from error
        return File(reply.body, *said)

    async def post(self, path: str, body: object = None, *, key: str | None = None) -> Any:  # noqa: ANN401 - JSON
        """Send something new; under an Idempotency-Key if there is one. Raises Refused, Away."""
        return _json(await self.send("POST", path, body, key=key))

    async def put(self, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        """Put something into its place. Raises Refused, Away."""
        return _json(await self.send("PUT", path, body))

    async def patch(self, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        """Change something. Raises Refused, Away."""
        return _json(await self.send("PATCH", path, body))

    async def delete(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """End something. Raises Refused, Away."""
        return _json(await self.send("DELETE", path))

    async def send(
        self, method: str, path: str, body: object = None, *, key: str | None = None
    ) -> RawReply:
        """One call, and its answer as it came. Raises Refused, Away."""
        content = None if body is None else to_json(body)
        way = self.ways.flights if path.startswith(OF_FLIGHTS) else self.ways.bookings
        place = _address.set(self.address)
        try:
            reply = await way.send(method, path, self._headers(content, key), content)
        except Unknown as error:
            raise Away(str(error)) from error
        finally:
            _address.reset(place)
        if reply.status in CLIENT_ERRORS:
            raise _refusal(reply)
        if not 200 <= reply.status < 300:  # noqa: PLR2004
            msg = f"{method} {path}: status {reply.status}"
            raise Away(msg)
        return reply

    def _headers(self, content: bytes | None, key: str | None) -> dict[str, str]:
        headers = {}
        if self.token is not None:
            headers["authorization"] = f"Bearer {self.token}"
        if content is not None:
            headers["content-type"] = "application/json"
        if key is not None:
            headers["idempotency-key"] = key
        if self.browser is not None:
            headers["user-agent"] = self.browser
        if self.address is not None:
            headers["x-forwarded-for"] = self.address
        if request_id := get_contextvars().get("request_id"):
            headers["x-request-id"] = str(request_id)
        return headers


def inside(app: ASGIApp, *, timeout_s: float) -> Transport:
    """The way to an API in this process. It sees the visitor's address, as if they had called."""
    return PyreqwestTransport(
        "http://skyhold.internal", timeout_s=timeout_s, app=app, scope_update=_from_there
    )


async def _from_there(scope: dict[str, Any], _: Request) -> None:
    address = _address.get()
    scope["client"] = None if address is None else (address, 0)


def _with_query(path: str, query: Mapping[str, object]) -> str:
    given = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def _json(reply: RawReply) -> Any:  # noqa: ANN401 - JSON
    if not reply.body:
        return None
    try:
        return from_json(reply.body)
    except ValueError as error:
        msg = "an answer that is not JSON"
        raise Away(msg) from error


def _refusal(reply: RawReply) -> Exception:
    problem = _json(reply)
    if not isinstance(problem, dict) or "code" not in problem:
        return Away(f"status {reply.status} without a problem")
    return Refused(
        reply.status,
        problem["code"],
        problem.get("detail", ""),
        problem.get("errors") or (),
        reply.headers.get("retry-after"),
    )
