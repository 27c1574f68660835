"""How many requests one may send, and headers that say how many are left.

`RateLimit-Policy` and `RateLimit` as in draft-ietf-httpapi-ratelimit-headers-10. Counted in this
process alone, which costs microseconds: it keeps one client from taking all of it, not from
anything that would have to be counted exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from limits import RateLimitItem
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from skyhold.kernel.errors import TooManyRequests
from skyhold.kernel.metrics import limit_refused
from skyhold.kernel.quotas import Quota, network_of
from skyhold.kernel.windows import Windows

from . import problems

# In the scope of a request: what was counted for it, and by what more can be counted.
STANDINGS, RATES = "skyhold.standings", "skyhold.rates"
EXEMPT = frozenset({"/livez", "/readyz", "/metrics"})


@dataclass(frozen=True, slots=True)
class Standing:
    """Where somebody stands in a window of a quota."""

    name: str
    window: RateLimitItem
    left: int
    ends_in_s: int

    @property
    def policy(self) -> str:
        """The quota as a structured field (RFC 9651)."""
        return f'"{self.name}";q={self.window.amount};w={self.window.get_expiry()}'

    @property
    def limit(self) -> str:
        """What is left of it."""
        return f'"{self.name}";r={self.left};t={self.ends_in_s}'


class Rates:
    """Counts requests by where they come from, and by who sends them."""

    def __init__(self, per_address: str, per_user: str) -> None:
        self._per_address = Quota.of("address", per_address)
        self._per_user = Quota.of("user", per_user)
        self._windows = Windows()

    def of_address(self, scope: Scope) -> None:
        """Count a request by where it comes from. Raises TooManyRequests."""
        client = scope.get("client")
        self._count(scope, self._per_address, network_of(client[0] if client else None))

    def of_user(self, scope: Scope, user_id: str) -> None:
        """Count it by who sends it. Raises TooManyRequests."""
        self._count(scope, self._per_user, user_id)

    def _count(self, scope: Scope, quota: Quota, who: str) -> None:
        for window in quota.windows:
            length_s = window.get_expiry()
            counted, ends_in = self._windows.count((quota.name, length_s, who), length_s)
            ends_in_s, left = math.ceil(ends_in), max(0, window.amount - counted)
            scope[STANDINGS].append(Standing(quota.name, window, left, ends_in_s))
            if counted > window.amount:
                limit_refused(quota.name)
                raise TooManyRequests(retry_after_s=ends_in_s)


def count_user(scope: Scope, user_id: str) -> None:
    """Count a request by its sender, where requests are counted. Raises TooManyRequests."""
    rates: Rates | None = scope.get(RATES)
    if rates is not None:
        rates.of_user(scope, user_id)


class RateLimited:
    """Wraps an ASGI application; requests of services and of supervisors are not counted."""

    def __init__(
        self, app: ASGIApp, rates: Rates, is_service: Callable[[str], bool] | None
    ) -> None:
        self._app = app
        self._rates = rates
        self._is_service = is_service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or say how long to wait."""
        if scope["type"] != "http" or scope["path"] in EXEMPT or self._is_from_service(scope):
            await self._app(scope, receive, send)
            return
        standings: list[Standing] = []
        scope[STANDINGS], scope[RATES] = standings, self._rates

        async def told(message: Message) -> None:
            if standings and message["type"] == "http.response.start":
                policies = ", ".join(one.policy for one in standings)
                limits = ", ".join(one.limit for one in standings)
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"ratelimit-policy", policies.encode()),
                    (b"ratelimit", limits.encode()),
                ]
            await send(message)

        try:
            self._rates.of_address(scope)
        except TooManyRequests as refusal:
            await problems.answer_for(refusal)(scope, receive, told)
        else:
            await self._app(scope, receive, told)

    def _is_from_service(self, scope: Scope) -> bool:
        if self._is_service is None:
            return False
        for name, value in scope["headers"]:
            if name == b"authorization":
                scheme, _, token = value.decode("latin-1").partition(" ")
                return scheme.lower() == "bearer" and self._is_service(token.strip())
        return False
