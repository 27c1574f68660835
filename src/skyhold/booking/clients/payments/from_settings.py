"""Stripe, where the settings name it."""

from __future__ import annotations

from functools import partial

from skyhold.booking.settings import BookingSettings
from skyhold.kernel.breaker import Breaker
from skyhold.kernel.clock import Clock

from .notices import Reader
from .port import PaymentProvider

# ruff: noqa: PLC0415 - Stripe's library is 200 modules, 7 MB and up to 0.3 s: for those who use it


def stripe_provider(settings: BookingSettings, clock: Clock) -> PaymentProvider | None:
    """Stripe, if the settings name it."""
    if settings.stripe_api_key is None:
        return None
    from .stripe.provider import StripeProvider
    from .stripe.wire import PARTY, Wire

    breaker = Breaker(
        PARTY, failures_max=settings.breaker_failures_max, pause_s=settings.breaker_pause_s
    )
    wire = Wire(
        timeout_s=settings.provider_timeout_s,
        breaker=breaker,
        proxies=settings.stripe_api_base is None,  # a stand-in for Stripe is near
    )
    return StripeProvider(
        settings.stripe_api_key,
        wire,
        clock,
        api_base=settings.stripe_api_base,
        return_url=settings.payment_return_url,
    )


def stripe_notices(settings: BookingSettings) -> Reader | None:
    """How Stripe's webhooks are read, if the settings name Stripe."""
    if settings.stripe_webhook_secret is None:
        return None
    from .stripe.notices import read_notice

    return partial(read_notice, secret=settings.stripe_webhook_secret)
