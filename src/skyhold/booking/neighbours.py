"""The ways to the flight service and to the mail, as the settings name them."""

from __future__ import annotations

from skyhold.kernel.auth import Badge, Tokens, service_kind
from skyhold.kernel.breaker import Breaker
from skyhold.kernel.client import PyreqwestTransport, ServiceClient, Transport
from skyhold.kernel.clock import Clock

from .clients.flights import Flights
from .clients.mailbox import MailboxMailer
from .clients.mailer import Mailer, SmtpMailer
from .settings import FLIGHT_SERVICE_DEFAULT, BookingSettings


def flights_of(
    settings: BookingSettings, service_key: str, clock: Clock, transport: Transport | None
) -> Flights:
    """The flight service; by `transport`, if that is given, instead of its address."""
    badge = Badge(
        Tokens(service_key, service_kind("flight"), clock), "booking", clock, scope="holds"
    )
    transport = transport or PyreqwestTransport(
        settings.flight_service or FLIGHT_SERVICE_DEFAULT, timeout_s=settings.flight_timeout_s
    )
    breaker = Breaker(
        "flight", failures_max=settings.breaker_failures_max, pause_s=settings.breaker_pause_s
    )
    client = ServiceClient(
        transport,
        party="flight",
        breaker=breaker,
        authorize=badge,
        deadline_s=settings.flight_deadline_s,
    )
    return Flights(client)


def flights_api_of(settings: BookingSettings) -> Transport:
    """The flight service's public API, for the pages."""
    address = settings.flight_service or FLIGHT_SERVICE_DEFAULT
    return PyreqwestTransport(address, timeout_s=settings.flight_deadline_s)


def mailer_of(settings: BookingSettings, clock: Clock) -> Mailer:
    """An SMTP server, or else a mailbox on the disk."""
    if settings.smtp_host is None:
        return MailboxMailer(settings.data_dir / "mail", clock)
    return SmtpMailer(
        settings.smtp_host,
        settings.smtp_port,
        user=settings.smtp_user,
        password=settings.smtp_pass,
        security=settings.smtp_security,
        timeout_s=settings.smtp_timeout_s,
    )
