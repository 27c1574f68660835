"""The command line: serve, worker, migrate, import."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from skyhold import booking, embedded, flight
from skyhold.booking.app import create_app as create_booking_app
from skyhold.booking.app import create_worker as create_booking_worker
from skyhold.booking.models.user import Role, User
from skyhold.booking.schemas.users import NewUser
from skyhold.booking.settings import BookingSettings
from skyhold.flight.app import create_app as create_flight_app
from skyhold.flight.app import create_worker as create_flight_worker
from skyhold.flight.settings import FlightSettings
from skyhold.kernel import logging

from . import asgi
from .databases import ready_booking, ready_flight
from .leaving import LameDuck
from .running import check_free, console, listen, refusals
from .schedules import import_demo, import_file
from .stories import show, story_of
from .workers import listen_together

app = typer.Typer(
    help="Skyhold: flights booked once.", no_args_is_help=True, rich_markup_mode="markdown"
)
booking_cli = typer.Typer(
    help="The booking service.", no_args_is_help=True, rich_markup_mode="markdown"
)
flight_cli = typer.Typer(
    help="The flight service.", no_args_is_help=True, rich_markup_mode="markdown"
)
app.add_typer(booking_cli, name="booking")
app.add_typer(flight_cli, name="flight")

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on, instead of the setting.")]
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


@app.command()
def serve(
    host: Host = "127.0.0.1",
    port: Port = None,
    demo_schedule: Annotated[
        bool, typer.Option("--demo", help="Load the demo schedule for the week ahead first.")
    ] = False,
) -> None:
    """Run the whole system in one process: both services, on one port, by default with SQLite.

    The databases are brought to this version's schema first. With FLIGHT_SERVICE set the flight
    service is somewhere else, and only the booking service runs.
    """
    with refusals():
        bookings, flights = BookingSettings(), FlightSettings()
        if "cookie_secure" not in bookings.model_fields_set:
            bookings.cookie_secure = False  # plain http on this machine
        logging.configure(bookings.log_level)
        if bookings.flight_service is not None:
            console.print(f"FLIGHT_SERVICE is set: flights come from {bookings.flight_service}")
            if demo_schedule:
                console.print("--demo is left out: the schedule is not ours to fill.")
            _serve_booking(bookings, host, port, migrate=True)
            return
        port = port or bookings.port
        check_free(host, port, "PORT")
        services = embedded.wire(bookings, flights)
        asyncio.run(ready_booking(bookings, migrate=True))
        asyncio.run(ready_flight(flights, migrate=True))
        if demo_schedule:
            asyncio.run(import_demo(flights))
        _greet(port)
        app = LameDuck(embedded.create_app(services), wait_s=bookings.lame_duck_s)
        listen(app, host, port, bookings, name="skyhold")


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
        _serve_booking(settings, host, port, workers=workers, jobs=jobs, migrate=migrate)


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
        _tell_of_worker("booking", port)
        listen(create_booking_worker(service), host, port, settings, name="skyhold-booking-worker")


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
    """Tell a booking's whole story: its state, flights, payments, hold and events."""
    with refusals():
        bookings, flights = BookingSettings(), FlightSettings()
        logging.configure("WARNING")
        asyncio.run(ready_booking(bookings, migrate=False))
        show(asyncio.run(story_of(which, bookings, flights)), Console())


@booking_cli.command("create-staff")
def create_staff(
    email: Annotated[str, typer.Argument(help="What they log in with.")],
    name: Annotated[str, typer.Option(prompt=True)],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True)],
) -> None:
    """Open an account for a member of the staff."""
    with refusals():
        who = NewUser(name=name, email=email, password=password)
        settings = BookingSettings()
        logging.configure(settings.log_level)
        asyncio.run(ready_booking(settings, migrate=False))
        user = asyncio.run(_register(settings, who, Role.STAFF))
        console.print(f"{user.email} may now log in as staff.")


@flight_cli.command("serve")
def serve_flight(
    host: Host = "127.0.0.1",
    port: Port = None,
    workers: Workers = 1,
    jobs: Jobs = True,
    migrate: Migrate = False,
) -> None:
    """Run the flight service.

    This is all of it: beside the requests it runs the jobs, which end holds whose time is up and
    publish events. Any number of servers and workers may run at once.

    At SIGTERM it finishes the requests in progress. With LAME_DUCK_S it goes on listening for so
    long, while /readyz already answers 503, so that a load balancer sends it nothing any more.
    """
    with refusals():
        settings = FlightSettings()
        logging.configure(settings.log_level)
        port = port or settings.port
        check_free(host, port, "FLIGHT_PORT")
        service = flight.wiring.wire(settings)
        asyncio.run(ready_flight(settings, migrate=migrate))
        _greet(port)
        if workers > 1:
            asgi.tell_children(jobs=jobs)
            listen_together("skyhold.cli.asgi:flight", host, port, settings, workers=workers)
            return
        app = create_flight_app(service, owns_service=True, jobs=jobs)
        app = LameDuck(app, wait_s=settings.lame_duck_s)
        listen(app, host, port, settings, name="skyhold-flight")


@flight_cli.command("worker")
def work_flight(host: Host = "127.0.0.1", port: Port = None, migrate: Migrate = False) -> None:
    """Run the jobs of the flight service, and no API: the end of holds, events.

    On FLIGHT_WORKER_PORT it answers /livez, /readyz and /metrics. Any number may run at once.
    """
    with refusals():
        settings = FlightSettings()
        logging.configure(settings.log_level)
        port = port or settings.worker_port
        check_free(host, port, "FLIGHT_WORKER_PORT")
        service = flight.wiring.wire(settings)
        asyncio.run(ready_flight(settings, migrate=migrate))
        _tell_of_worker("flight", port)
        listen(create_flight_worker(service), host, port, settings, name="skyhold-flight-worker")


@flight_cli.command("migrate")
def migrate_flight() -> None:
    """Bring the flight database to this version's schema, with airports, airlines, aircraft."""
    with refusals():
        settings = FlightSettings()
        logging.configure(settings.log_level)
        asyncio.run(ready_flight(settings, migrate=True))
        console.print("The flight database is up to date.")


@flight_cli.command("import")
def import_flights(
    file: Annotated[
        Path | None,
        typer.Argument(help="A CSV of flights, also .gz.", exists=True, dir_okay=False),
    ] = None,
    demo_schedule: Annotated[
        bool, typer.Option("--demo", help="Load the demo schedule for the week ahead.")
    ] = False,
) -> None:
    """Add flights from a CSV file. Importing the same file again changes nothing."""
    if (file is None) == (not demo_schedule):
        raise typer.BadParameter("give either a file or --demo")
    with refusals():
        settings = FlightSettings()
        logging.configure(settings.log_level)
        asyncio.run(ready_flight(settings, migrate=True))
        if file is None:
            summary = asyncio.run(import_demo(settings))
        else:
            with file.open("rb") as raw:
                summary = asyncio.run(import_file(settings, file, raw))
    console.print(
        f"{summary.rows:,} rows: {summary.added:,} added, {summary.unchanged:,} there already, "
        f"{summary.refused:,} refused."
    )
    raise typer.Exit(1 if summary.refused else 0)


def _serve_booking(
    settings: BookingSettings,
    host: str,
    port: int | None,
    *,
    workers: int = 1,
    jobs: bool = True,
    migrate: bool,
) -> None:
    port = port or settings.port
    check_free(host, port, "PORT")
    service = booking.wiring.wire(settings)
    asyncio.run(ready_booking(settings, migrate=migrate))
    _greet(port)
    if workers > 1:
        # Each of them wires a service of its own; here it was done to refuse what cannot work.
        asgi.tell_children(jobs=jobs)
        listen_together("skyhold.cli.asgi:booking", host, port, settings, workers=workers)
        return
    app = LameDuck(create_booking_app(service, jobs=jobs), wait_s=settings.lame_duck_s)
    listen(app, host, port, settings, name="skyhold-booking")


def _greet(port: int) -> None:
    console.print(f"Skyhold is on http://localhost:{port} (API documents: /docs)")


def _tell_of_worker(service: str, port: int) -> None:
    console.print(f"The {service} jobs run; see http://localhost:{port}/readyz and /metrics")


async def _register(settings: BookingSettings, who: NewUser, role: Role) -> User:
    service = booking.wiring.wire(settings)
    try:
        return await service.users.register(who.name, who.email, who.password, role=role)
    finally:
        await service.close()
