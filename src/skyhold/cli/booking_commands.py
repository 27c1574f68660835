"""`skyhold booking …`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, cast, get_args

import typer
from rich.console import Console

from skyhold import booking, front
from skyhold.booking.app import create_app, create_worker
from skyhold.booking.settings import BookingSettings
from skyhold.flight.settings import FlightSettings
from skyhold.kernel import logging
from skyhold.kernel.keys import KeyAlgorithm, make_key
from skyhold.kernel.settings import SettingsError

from . import asgi
from .databases import ready_booking
from .leaving import LameDuck
from .options import Host, Jobs, Migrate, Port, Workers, greet, tell_of_worker
from .running import check_free, console, listen, refusals
from .stories import show, story_of
from .workers import listen_together

WIDE = 160

booking_cli = typer.Typer(
    help="The booking service.", no_args_is_help=True, rich_markup_mode="markdown"
)


@booking_cli.command("serve")
def serve_booking(
    host: Host = "127.0.0.1",
    port: Port = None,
    workers: Workers = 1,
    jobs: Jobs = True,
    migrate: Migrate = False,
) -> None:
    """Run the booking service; FLIGHT_SERVICE says where the flight service is.

    This is all of it: beside the requests it runs the jobs, which expire what is not paid, carry
    on what was interrupted and publish events. Any number of servers and workers may run at once;
    what two of them find to do is done once.

    At SIGTERM it finishes the requests in progress. With LAME_DUCK_S it goes on listening for so
    long, while /readyz already answers 503, so that a load balancer sends it nothing any more.
    """
    with refusals():
        settings = BookingSettings()
        logging.configure(settings.log_level)
        serve_service(settings, host, port, workers=workers, jobs=jobs, migrate=migrate)


@booking_cli.command("worker")
def work_booking(host: Host = "127.0.0.1", port: Port = None, migrate: Migrate = False) -> None:
    """Run the jobs of the booking service, and no API: expiry, recovery, events.

    On WORKER_PORT it answers /livez, /readyz and /metrics. Any number may run at once.
    """
    with refusals():
        settings = BookingSettings()
        logging.configure(settings.log_level)
        port = port or settings.worker_port
        check_free(host, port, "WORKER_PORT")
        service = booking.wiring.wire(settings)
        asyncio.run(ready_booking(settings, migrate=migrate))
        tell_of_worker("booking", port, settings)
        listen(create_worker(service), host, port, settings, name="skyhold-booking-worker")


@booking_cli.command("migrate")
def migrate_booking() -> None:
    """Bring the booking database to this version's schema."""
    with refusals():
        settings = BookingSettings()
        logging.configure(settings.log_level)
        asyncio.run(ready_booking(settings, migrate=True))
        console.print("The booking database is up to date.")


@booking_cli.command("show")
def show_booking(
    which: Annotated[
        str, typer.Argument(metavar="ID_OR_LOCATOR", help="Its id, or its record locator.")
    ],
) -> None:
    """Tell a booking's whole story: its state, flights, payments, hold, events and log."""
    with refusals():
        bookings, flights = BookingSettings(), FlightSettings()
        logging.configure("WARNING")
        asyncio.run(ready_booking(bookings, migrate=False))
        told = Console()
        told.width = max(told.width, WIDE)  # an id that is broken cannot be searched for
        show(asyncio.run(story_of(which, bookings, flights)), told)


@booking_cli.command("make-key")
def make_signing_key(
    path: Annotated[Path, typer.Argument(help="Where to write it: JWT_KEYS/NAME.pem.")],
    algorithm: Annotated[str, typer.Option(help="EdDSA (Ed25519) or ES256 (P-256).")] = "EdDSA",
) -> None:
    """Make a key that signs access tokens; JWT_KEYS names its folder.

    To replace a key without logging anybody out: put the new one beside it on every machine and
    restart; name it in JWT_SIGNING_KEY and restart; remove the old one after ACCESS_TOKEN_TTL_S.
    """
    with refusals():
        if path.suffix != ".pem":
            msg = f"{path} should end with .pem."
            raise SettingsError(msg)
        if algorithm not in get_args(KeyAlgorithm):
            msg = f"--algorithm is one of {', '.join(get_args(KeyAlgorithm))}."
            raise SettingsError(msg)
        make_key(path, cast("KeyAlgorithm", algorithm))
        console.print(f"{path} signs with {algorithm}.", highlight=False, soft_wrap=True)


def serve_service(
    settings: BookingSettings,
    host: str,
    port: int | None,
    *,
    workers: int = 1,
    jobs: bool = True,
    migrate: bool,
) -> None:
    """Serve the booking service, from one process or several."""
    port = settings.port = port or settings.port  # which the sandbox's page is on, too
    check_free(host, port, "PORT")
    service = booking.wiring.wire(settings)
    asyncio.run(ready_booking(settings, migrate=migrate))
    greet(port, settings)
    if workers > 1:
        # Each of them wires a service of its own; here it was done to refuse what cannot work.
        asgi.tell_children(jobs=jobs, port=port)
        listen_together("skyhold.cli.asgi:booking", host, port, settings, workers=workers)
        return
    app = front.apart(create_app(service, jobs=jobs), service)
    app = LameDuck(app, wait_s=settings.lame_duck_s)
    listen(app, host, port, settings, name="skyhold-booking")
