"""The command line: serve, migrate, import."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from skyhold import booking, embedded, flight
from skyhold.booking.app import create_app as create_booking_app
from skyhold.booking.models.user import Role, User
from skyhold.booking.schemas.users import NewUser
from skyhold.booking.settings import BookingSettings
from skyhold.flight.app import create_app as create_flight_app
from skyhold.flight.services import reference
from skyhold.flight.settings import FlightSettings
from skyhold.kernel import logging

from .running import check_free, console, listen, refusals
from .schedules import import_demo, import_file, opened

app = typer.Typer(help="Skyhold: flights booked once.", no_args_is_help=True)
booking_cli = typer.Typer(help="The booking service.", no_args_is_help=True)
flight_cli = typer.Typer(help="The flight service.", no_args_is_help=True)
app.add_typer(booking_cli, name="booking")
app.add_typer(flight_cli, name="flight")

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on, instead of the setting.")]


@app.command()
def serve(
    host: Host = "127.0.0.1",
    port: Port = None,
    demo_schedule: Annotated[
        bool, typer.Option("--demo", help="Load the demo schedule for the week ahead first.")
    ] = False,
) -> None:
    """Run the whole system in one process: both services, on one port, with SQLite.

    With FLIGHT_SERVICE set the flight service is somewhere else, and only the booking service runs.
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
            _serve_booking(bookings, host, port)
            return
        port = port or bookings.port
        check_free(host, port, "PORT")
        services = embedded.wire(bookings, flights)
        asyncio.run(_prepare_booking(bookings))
        asyncio.run(_prepare_flight(flights))
        if demo_schedule:
            asyncio.run(import_demo(flights))
        listen(embedded.create_app(services), host, port, bookings)


@booking_cli.command("serve")
def serve_booking(host: Host = "127.0.0.1", port: Port = None) -> None:
    """Run the booking service; FLIGHT_SERVICE says where the flight service is."""
    with refusals():
        settings = BookingSettings()
        logging.configure(settings.log_level)
        _serve_booking(settings, host, port)


@booking_cli.command("migrate")
def migrate_booking() -> None:
    """Bring the booking database to this version's schema."""
    with refusals():
        settings = BookingSettings()
        logging.configure(settings.log_level)
        asyncio.run(_prepare_booking(settings))
        console.print("The booking database is up to date.")


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
        asyncio.run(_prepare_booking(settings))
        user = asyncio.run(_register(settings, who, Role.STAFF))
        console.print(f"{user.email} may now log in as staff.")


@flight_cli.command("serve")
def serve_flight(host: Host = "127.0.0.1", port: Port = None) -> None:
    """Run the flight service."""
    with refusals():
        settings = FlightSettings()
        logging.configure(settings.log_level)
        port = port or settings.port
        check_free(host, port, "FLIGHT_PORT")
        service = flight.wiring.wire(settings)
        asyncio.run(_prepare_flight(settings))
        listen(create_flight_app(service, owns_service=True), host, port, settings)


@flight_cli.command("migrate")
def migrate_flight() -> None:
    """Bring the flight database to this version's schema, with airports, airlines, aircraft."""
    with refusals():
        settings = FlightSettings()
        logging.configure(settings.log_level)
        asyncio.run(_prepare_flight(settings))
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
        asyncio.run(_prepare_flight(settings))
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


def _serve_booking(settings: BookingSettings, host: str, port: int | None) -> None:
    port = port or settings.port
    check_free(host, port, "PORT")
    service = booking.wiring.wire(settings)
    asyncio.run(_prepare_booking(settings))
    listen(create_booking_app(service), host, port, settings)


async def _register(settings: BookingSettings, who: NewUser, role: Role) -> User:
    service = booking.wiring.wire(settings)
    try:
        return await service.users.register(who.name, who.email, who.password, role=role)
    finally:
        await service.close()


async def _prepare_booking(settings: BookingSettings) -> None:
    async with opened(booking.wiring.open_database(settings)) as db:
        await booking.wiring.HISTORY.upgrade(db)


async def _prepare_flight(settings: FlightSettings) -> None:
    async with opened(flight.wiring.open_database(settings)) as db:
        await flight.wiring.HISTORY.upgrade(db)
        await reference.load(db)
