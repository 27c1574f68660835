"""What the commands of both services have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated

import typer

from skyhold.booking.settings import BookingSettings
from skyhold.flight.settings import FlightSettings
from skyhold.kernel.engines import shown
from skyhold.kernel.messaging.addresses import hosts

from .running import console

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[
    int | None,
    typer.Option(min=1, max=65_535, help="Port to listen on, instead of the setting."),
]
Workers = Annotated[
    int, typer.Option(min=1, max=64, help="Processes that serve; they share the port.")
]
Jobs = Annotated[
    bool, typer.Option(help="Run the jobs here too; without them, run at least one `worker`.")
]
Migrate = Annotated[
    bool,
    typer.Option(
        "--migrate",
        help="Bring the database to this version's schema first. With SQLite that happens by "
        "itself; a database server of another schema is refused without it.",
    ),
]


def greet(port: int, *settings: BookingSettings | FlightSettings) -> None:
    """Say where it is, and what it runs on: a setting that was forgotten is seen here."""
    _tell(f"Skyhold is on http://localhost:{port} (API documents: /docs)", settings)


def tell_of_worker(service: str, port: int, settings: BookingSettings | FlightSettings) -> None:
    """Say that it works, where it answers, and what it runs on."""
    _tell(f"The {service} jobs run; see http://localhost:{port}/readyz and /metrics", (settings,))


def _tell(greeting: str, several: Sequence[BookingSettings | FlightSettings]) -> None:
    lines = [greeting]
    for settings in several:
        lines.extend(f"  {what}: {where}" for what, where in _runs_on(settings))
    lines.extend(_warnings(several))
    console.print(*dict.fromkeys(lines), sep="\n", markup=False, highlight=False, soft_wrap=True)


def _runs_on(settings: BookingSettings | FlightSettings) -> Iterator[tuple[str, str]]:
    if isinstance(settings, BookingSettings):
        yield "booking database", shown(settings.database())
        yield "payments", _payments(settings)
        yield "e-mails", settings.smtp_host or f"{settings.data_dir / 'mail'} (no SMTP_HOST)"
    else:
        yield "flight database", shown(settings.database())
    broker = settings.amqp_url and hosts(settings.amqp_url)
    yield "events", f"RabbitMQ at {broker}" if broker else "stay in the process (no AMQP_URL)"


def _payments(settings: BookingSettings) -> str:
    if settings.payment_provider == "stripe":
        is_live = "_live_" in (settings.stripe_api_key or "")
        return "stripe, for real money" if is_live else "stripe, in test mode: no money moves"
    where = settings.sandbox_url or f"inside, its ledger {shown(settings.sandbox())}"
    return f"sandbox, {where}"


def _warnings(several: Iterable[BookingSettings | FlightSettings]) -> Iterator[str]:
    """A database server says that this is meant seriously, and then nobody expects a sandbox."""
    for settings in several:
        if not isinstance(settings, BookingSettings) or settings.payment_provider != "sandbox":
            continue
        if not settings.database().startswith("sqlite"):
            yield "WARNING: the payment provider is the sandbox, so no money moves"
            yield "  (PAYMENT_PROVIDER chooses another one)."
