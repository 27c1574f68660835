"""The pages before the booking service's API: what a browser sees on its port."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import ASGIApp

from skyhold.booking.neighbours import flights_api_of
from skyhold.booking.settings import BookingSettings
from skyhold.booking.wiring import BookingService
from skyhold.kernel.client import Transport
from skyhold.kernel.http.doorkeeper import Edge
from skyhold.web import app as web
from skyhold.web.site import TestToken

SANDBOX = (
    TestToken("tok_visa", "is paid at once"),
    TestToken("tok_declined", "is declined"),
    TestToken("tok_3ds", "has to be approved by you first"),
    TestToken("tok_slow", "takes a few seconds"),
    TestToken("tok_refund_fails", "is paid; a refund fails once, and is repeated"),
)
# https://docs.stripe.com/testing
STRIPE_TEST = (
    TestToken("pm_card_visa", "is paid at once"),
    TestToken("pm_card_visa_chargeDeclined", "is declined"),
    TestToken("pm_card_authenticationRequired", "has to be approved by you first"),
)


def with_pages(api: ASGIApp, service: BookingService, *, flights: Transport | None) -> ASGIApp:
    """The API with the pages before it, unless they are not wanted.

    `flights` leads to the flight service's API, where that is not a part of this one.
    """
    settings = service.settings
    if not settings.pages:
        return api
    edge = Edge.of(settings, forms=True)
    return web.with_pages(api, flights, service.clock, edge, _test_tokens(settings))


def apart(api: ASGIApp, service: BookingService) -> ASGIApp:
    """The same, with a flight service elsewhere."""
    return with_pages(api, service, flights=flights_api_of(service.settings))


def _test_tokens(settings: BookingSettings) -> Sequence[TestToken]:
    if settings.payment_provider == "sandbox":
        return SANDBOX
    return STRIPE_TEST if "_test_" in (settings.stripe_api_key or "") else ()
