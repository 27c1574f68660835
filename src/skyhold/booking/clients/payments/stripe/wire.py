"""The way to Stripe: its library over our HTTP client, and what its answers are worth.

A clear answer is returned; a clear refusal is raised as the library raises it (CardError,
InvalidRequestError, IdempotencyError); whatever else happened is Unknown, as for every party that
we call. No message of Stripe's is passed on or logged: it may quote a token or a part of the key.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import TypeVar

import stripe
from pyreqwest.client import Client, ClientBuilder

from skyhold.kernel import tracing
from skyhold.kernel.breaker import Breaker, LeftAlone
from skyhold.kernel.client import CLIENT_ERRORS, NotTried, Unknown
from skyhold.kernel.logging import get_logger
from skyhold.kernel.metrics import Calls

log = get_logger(__name__)

PARTY = "stripe"
REFUSALS = (stripe.CardError, stripe.InvalidRequestError, stripe.IdempotencyError)
T = TypeVar("T")


class Wire(stripe.HTTPClient):
    """Carries the library's requests, each once: repeating them is the driver's business."""

    name = "pyreqwest"

    def __init__(self, *, timeout_s: float, breaker: Breaker, proxies: bool) -> None:
        super().__init__()
        self._timeout_s = timeout_s
        self._breaker = breaker
        self._calls = Calls(PARTY)
        builder = (
            ClientBuilder()
            .timeout(timedelta(seconds=timeout_s))
            .connect_timeout(timedelta(seconds=min(timeout_s, 3.0)))
            .follow_redirects(enable=False)
        )
        self._client: Client = (builder if proxies else builder.no_proxy()).build()

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: str | None = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """One exchange. Unknown without an answer, on a server's error, and when asked to wait."""
        began_at = time.perf_counter()
        outcome = "unknown"
        with tracing.span(f"{method.upper()} {PARTY}", "client"):
            try:
                async with self._breaker.guard():
                    answer = await self._exchange(method, url, headers, post_data)
            except LeftAlone:
                outcome = "open"
                msg = "Stripe is left alone for a while"
                raise NotTried(msg) from None
            else:
                outcome = "refused" if answer[1] in CLIENT_ERRORS else "ok"
                return answer
            finally:
                self._calls.ended(outcome, time.perf_counter() - began_at)

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], post_data: str | None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        request = self._client.request(method.upper(), url).headers(dict(headers))
        if post_data:
            request = request.body_bytes(post_data.encode())
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await request.build().send()
                body = bytes(await reply.bytes())
        except Exception as error:  # the HTTP library's own, of many kinds
            msg = f"no answer from Stripe: {type(error).__name__}"
            raise Unknown(msg) from error
        status = reply.status
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            msg = f"Stripe answers {status} to {reply.get_header('request-id') or 'a request'}"
            raise Unknown(msg)
        return body, status, {name.lower(): value for name, value in reply.headers.items()}

    async def close_async(self) -> None:
        """Close every connection."""
        await self._client.close()


def client(api_key: str, api_base: str | None, wire: Wire) -> stripe.StripeClient:
    """Stripe's library, without its telemetry, its own repeats, and its log of every request."""
    stripe.enable_telemetry = False
    # At DEBUG it writes what is sent and what comes back, tokens and secrets included.
    logging.getLogger("stripe").setLevel(logging.WARNING)
    return stripe.StripeClient(
        api_key,
        http_client=wire,
        max_network_retries=0,
        base_addresses={"api": api_base.rstrip("/")} if api_base else None,
    )


async def heard(call: Awaitable[T]) -> T:
    """What Stripe answers. Raises Unknown, or one of REFUSALS."""
    try:
        return await call
    except REFUSALS:
        raise
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        # Nothing will work until somebody mends it, and nobody has done anything wrong but us.
        log.error("stripe.key_refused", **told(error))  # noqa: TRY400 - what went wrong is said
        msg = "Stripe refuses STRIPE_API_KEY"
        raise Unknown(msg) from None
    except stripe.StripeError as error:
        msg = f"Stripe answers {told(error)}"
        raise Unknown(msg) from None


def told(error: stripe.StripeError) -> dict[str, object]:
    """What may be said of an error: its kind, and where Stripe's own log has the rest."""
    details = {
        "kind": type(error).__name__,
        "status": error.http_status,
        "code": error.code,
        "param": getattr(error, "param", None),
        "request_id": error.request_id,
    }
    return {name: value for name, value in details.items() if value is not None}
