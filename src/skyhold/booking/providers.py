"""The payment provider that the settings name, with the routes that come with it."""

from __future__ import annotations

from skyhold.kernel.breaker import Breaker
from skyhold.kernel.client import PyreqwestTransport, ServiceClient
from skyhold.kernel.clock import Clock
from skyhold.kernel.db import Database
from skyhold.kernel.http.routes import Routes
from skyhold.sandbox.challenges import challenges
from skyhold.sandbox.ledger import Ledger

from .clients.payments.from_settings import stripe_provider
from .clients.payments.port import PaymentProvider
from .clients.payments.sandbox import RemoteBooks, SandboxProvider
from .settings import BookingSettings


def provider_of(
    settings: BookingSettings, clock: Clock
) -> tuple[PaymentProvider, tuple[Routes, ...]]:
    """The payment provider of the settings, and the routes that come with it."""
    if (stripe := stripe_provider(settings, clock)) is not None:
        return stripe, ()
    if settings.sandbox_url is not None:
        return SandboxProvider(RemoteBooks(_way_to_sandbox(settings, settings.sandbox_url))), ()
    ledger = Ledger(
        Database(settings.sandbox(), name="sandbox"),
        clock,
        slow_s=settings.sandbox_slow_s,
        page_url=settings.page_url,
    )
    return SandboxProvider(ledger), (challenges(ledger),)


def _way_to_sandbox(settings: BookingSettings, url: str) -> ServiceClient:
    return ServiceClient(
        PyreqwestTransport(url, timeout_s=settings.provider_timeout_s),
        party="sandbox",
        breaker=Breaker(
            "sandbox",
            failures_max=settings.breaker_failures_max,
            pause_s=settings.breaker_pause_s,
        ),
        authorize=lambda: "sandbox",  # it takes no money, and lets everybody in
        deadline_s=settings.provider_timeout_s,
    )
