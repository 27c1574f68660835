"""`skyhold flight …`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from skyhold import flight
from skyhold.flight.app import create_app, create_worker
from skyhold.flight.settings import FlightSettings
from skyhold.kernel import logging

from . import asgi
from .databases import ready_flight
from .leaving import LameDuck
from .options import Host, Jobs, Migrate, Port, Workers, greet, tell_of_worker
from .running import check_free, console, listen, refusals
from .schedules import import_demo, import_file
from .workers import listen_together

flight_cli = typer.Typer(
    help="The flight service.", no_args_is_help=True, rich_markup_mode="markdown"
)


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
        greet(port, settings)
        if workers > 1:
            asgi.tell_children(jobs=jobs, port=port)
            listen_together("skyhold.cli.asgi:flight", host, port, settings, workers=workers)
            return
        app = create_app(service, owns_service=True, jobs=jobs)
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
        tell_of_worker("flight", port, settings)
        listen(create_worker(service), host, port, settings, name="skyhold-flight-worker")


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
        asyncio.run(ready_flight(settings, migrate=False))
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
