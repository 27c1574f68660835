"""The command line: serve, migrate, import."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TypeVar

import typer
import uvicorn
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy.exc import DBAPIError
from starlette.types import ASGIApp

from skyhold import booking, embedded, flight
from skyhold.booking.app import create_app as create_booking_app
from skyhold.booking.models.user import Role, User
from skyhold.booking.schemas.users import NewUser
from skyhold.booking.settings import BookingSettings
from skyhold.flight.app import create_app as create_flight_app
from skyhold.flight.services import demo, importing, reference
from skyhold.flight.settings import FlightSettings
from skyhold.kernel import logging
from skyhold.kernel.clock import SystemClock
from skyhold.kernel.db import Database
from skyhold.kernel.errors import Problem
from skyhold.kernel.settings import KernelSettings, SettingsError

Out = TypeVar("Out")

app = typer.Typer(help="Skyhold: flights booked once.", no_args_is_help=True)
booking_cli = typer.Typer(help="The booking service.", no_args_is_help=True)
flight_cli = typer.Typer(help="The flight service.", no_args_is_help=True)
app.add_typer(booking_cli, name="booking")
app.add_typer(flight_cli, name="flight")

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on, instead of the setting.")]

console = Console(stderr=True)


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
    with _refusals():
        bookings, flights = BookingSettings(), FlightSettings()
        if bookings.cookie_secure is None:
            bookings.cookie_secure = False  # plain http on this machine
        logging.configure(bookings.log_level)
        if bookings.flight_service is not None:
            console.print(f"FLIGHT_SERVICE is set: flights come from {bookings.flight_service}")
            _serve_booking(bookings, host, port)
            return
        services = embedded.wire(bookings, flights)
        _run(_prepare_booking(bookings))
        _run(_prepare_flight(flights))
        if demo_schedule:
            _run(_import_demo(flights))
        port = port or bookings.port
        console.print(f"Skyhold is on http://localhost:{port} (API documents: /docs)")
        _listen(embedded.create_app(services), host, port, bookings)


@booking_cli.command("serve")
def serve_booking(host: Host = "127.0.0.1", port: Port = None) -> None:
    """Run the booking service; FLIGHT_SERVICE says where the flight service is."""
    with _refusals():
        settings = BookingSettings()
        if settings.cookie_secure is None:
            settings.cookie_secure = True
        logging.configure(settings.log_level)
        _serve_booking(settings, host, port)


@booking_cli.command("migrate")
def migrate_booking() -> None:
    """Bring the booking database to this version's schema."""
    with _refusals():
        settings = BookingSettings()
        logging.configure(settings.log_level)
        _run(_prepare_booking(settings))
        console.print("The booking database is up to date.")


@booking_cli.command("create-staff")
def create_staff(
    email: Annotated[str, typer.Argument(help="What they log in with.")],
    name: Annotated[str, typer.Option(prompt=True)],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True)],
) -> None:
    """Open an account for a member of the staff."""
    with _refusals():
        who = NewUser(name=name, email=email, password=password)
        settings = BookingSettings()
        logging.configure(settings.log_level)
        _run(_prepare_booking(settings))
        user = _run(_register(settings, who, Role.STAFF))
        console.print(f"{user.email} may now log in as staff.")


@flight_cli.command("serve")
def serve_flight(host: Host = "127.0.0.1", port: Port = None) -> None:
    """Run the flight service."""
    with _refusals():
        settings = FlightSettings()
        logging.configure(settings.log_level)
        service = flight.wiring.wire(settings)
        _run(_prepare_flight(settings))
        served = create_flight_app(service, owns_service=True)
        _listen(served, host, port or settings.port, settings)


@flight_cli.command("migrate")
def migrate_flight() -> None:
    """Bring the flight database to this version's schema, with airports, airlines, aircraft."""
    with _refusals():
        settings = FlightSettings()
        logging.configure(settings.log_level)
        _run(_prepare_flight(settings))
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
    with _refusals():
        settings = FlightSettings()
        logging.configure(settings.log_level)
        _run(_prepare_flight(settings))
        if file is None:
            summary = _run(_import_demo(settings))
        else:
            with file.open("rb") as raw:
                summary = _run(_import_file(settings, file, raw))
    console.print(
        f"{summary.rows:,} rows: {summary.added:,} added, {summary.unchanged:,} there already, "
        f"{summary.refused:,} refused."
    )
    raise typer.Exit(1 if summary.refused else 0)


def _serve_booking(settings: BookingSettings, host: str, port: int | None) -> None:
    service = booking.wiring.wire(settings)
    _run(_prepare_booking(settings))
    _listen(create_booking_app(service), host, port or settings.port, settings)


async def _register(settings: BookingSettings, who: NewUser, role: Role) -> User:
    service = booking.wiring.wire(settings)
    try:
        return await service.users.register(who.name, who.email, who.password, role=role)
    finally:
        await service.close()


async def _prepare_booking(settings: BookingSettings) -> None:
    async with _opened(booking.wiring.open_database(settings)) as db:
        await booking.wiring.HISTORY.upgrade(db)


async def _prepare_flight(settings: FlightSettings) -> None:
    async with _opened(flight.wiring.open_database(settings)) as db:
        await flight.wiring.HISTORY.upgrade(db)
        await reference.load(db)


async def _import_demo(settings: FlightSettings) -> importing.Summary:
    tomorrow = SystemClock().now().astimezone().date() + timedelta(days=1)
    async with _opened(flight.wiring.open_database(settings)) as db:
        with _progress("Demo schedule", demo.demo_size()) as progress:
            return await _importer(db, progress.rows).run(demo.demo_rows(tomorrow))


async def _import_file(settings: FlightSettings, file: Path, raw: BinaryIO) -> importing.Summary:
    async with _opened(flight.wiring.open_database(settings)) as db:
        # Progress is told by how much of the file has been read, packed or not.
        with _progress(file.name, os.fstat(raw.fileno()).st_size) as progress:
            text = _text(raw, file)  # kept: when it goes away it closes the file beneath it
            importer = _importer(db, lambda _: progress.to(raw.tell()))
            return await importer.run(importing.read_csv(text))


def _importer(db: Database, progress: Any) -> importing.Importer:  # noqa: ANN401
    def refuse(line: int, reason: str) -> None:
        console.print(f"line {line}: {reason}", markup=False, highlight=False)

    return importing.Importer(db, refuse=refuse, progress=progress)


def _text(raw: BinaryIO, file: Path) -> io.TextIOBase:
    unpacked = gzip.GzipFile(fileobj=raw) if file.suffix == ".gz" else raw
    # Bytes that are no UTF-8 become characters that no row may hold, so they cost one row each.
    return io.TextIOWrapper(
        unpacked,
        encoding="utf-8-sig",
        errors="surrogateescape",
        newline="",
    )


class _Bar:
    def __init__(self, progress: Progress, title: str, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=total)

    def to(self, done: int) -> None:
        self._progress.update(self._task, completed=done)

    rows = to


@contextmanager
def _progress(title: str, total: int) -> Iterator[_Bar]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield _Bar(progress, title, total)


@asynccontextmanager
async def _opened(db: Database) -> AsyncIterator[Database]:
    try:
        yield db
    finally:
        await db.close()


@contextmanager
def _refusals() -> Iterator[None]:
    """What cannot work is said in a sentence, not in a stack trace."""
    try:
        yield
    except ValidationError as error:
        for item in error.errors():
            name = ".".join(map(str, item["loc"])) or "settings"
            _refuse(f"{name}: {item['msg'].removeprefix('Value error, ')}")
        raise typer.Exit(2) from error
    except (SettingsError, importing.NotASchedule, Problem) as error:
        _refuse(str(error))
        raise typer.Exit(2) from error
    except DBAPIError as error:
        _refuse(f"The database refuses: {error.orig}")
        raise typer.Exit(2) from error
    except OSError as error:
        _refuse(str(error))
        raise typer.Exit(2) from error


def _refuse(sentence: str) -> None:
    sys.stderr.write(f"skyhold: {sentence}\n")


def _run(work: Coroutine[Any, Any, Out]) -> Out:
    return asyncio.run(work)


def _listen(served: ASGIApp, host: str, port: int, settings: KernelSettings) -> None:
    """Serve until SIGTERM or SIGINT; then requests in progress are finished first."""
    uvicorn.run(
        served,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.drain_s,
    )
