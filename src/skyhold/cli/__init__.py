"""The command line: serve, worker, migrate, import, show, staff, audit."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from skyhold import embedded
from skyhold.booking.settings import BookingSettings
from skyhold.flight.settings import FlightSettings
from skyhold.kernel import logging

from .audit_commands import audit
from .booking_commands import booking_cli, serve_service
from .databases import ready_booking, ready_flight
from .flight_commands import flight_cli
from .leaving import LameDuck
from .options import Host, Port, greet
from .running import check_free, console, listen, refusals
from .sandbox_commands import sandbox_cli
from .schedules import import_demo
from .staff_commands import create_staff, revoke_staff

app = typer.Typer(
    help="Skyhold: flights booked once.", no_args_is_help=True, rich_markup_mode="markdown"
)
app.add_typer(booking_cli, name="booking")
app.add_typer(flight_cli, name="flight")
app.add_typer(sandbox_cli, name="sandbox")
booking_cli.command("create-staff")(create_staff)
booking_cli.command("revoke-staff")(revoke_staff)
app.command("audit")(audit)
booking_cli.command("audit")(audit)  # where it is looked for: it is run as the booking service is


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
            serve_service(bookings, host, port, migrate=True)
            return
        port = bookings.port = port or bookings.port  # which the sandbox's page is on, too
        check_free(host, port, "PORT")
        services = embedded.wire(bookings, flights)
        asyncio.run(ready_booking(bookings, migrate=True))
        asyncio.run(ready_flight(flights, migrate=True))
        if demo_schedule:
            asyncio.run(import_demo(flights))
        greet(port, bookings, flights)
        app = LameDuck(embedded.create_app(services), wait_s=bookings.lame_duck_s)
        listen(app, host, port, bookings, name="skyhold")
