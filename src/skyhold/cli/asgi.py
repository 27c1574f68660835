"""The services for whoever starts them by name: the children of `serve --workers`.

What a child needs to know it reads from the environment, as every service does; that includes what
the parent was told on its command line.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import typer
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE

from skyhold import front
from skyhold.booking import wiring as booking_wiring
from skyhold.booking.app import create_app as create_booking_app
from skyhold.booking.settings import BookingSettings
from skyhold.flight import wiring as flight_wiring
from skyhold.flight.app import create_app as create_flight_app
from skyhold.flight.settings import FlightSettings
from skyhold.kernel import failpoints, logging, tracing

from .leaving import LameDuck
from .running import refusals

JOBS = "SKYHOLD_JOBS"


def booking() -> ASGIApp:
    """The booking service, from the environment."""
    return _built(_booking)


def flight() -> ASGIApp:
    """The flight service, from the environment."""
    return _built(_flight)


def tell_children(*, jobs: bool, port: int) -> None:
    """Hand on what the command line said."""
    os.environ[JOBS] = str(int(jobs))
    os.environ["PORT"] = str(port)


def _booking() -> ASGIApp:
    settings = BookingSettings()
    logging.configure(settings.log_level)
    tracing.configure("skyhold-booking")
    service = booking_wiring.wire(settings)
    app = front.apart(create_booking_app(service, jobs=_with_jobs()), service)
    return LameDuck(app, wait_s=settings.lame_duck_s)


def _flight() -> ASGIApp:
    settings = FlightSettings()
    logging.configure(settings.log_level)
    tracing.configure("skyhold-flight")
    service = flight_wiring.wire(settings)
    app = create_flight_app(service, owns_service=True, jobs=_with_jobs())
    return LameDuck(app, wait_s=settings.lame_duck_s)


def _with_jobs() -> bool:
    return os.environ.get(JOBS, "1") != "0"


def _built(build: Callable[[], ASGIApp]) -> ASGIApp:
    """The parent has refused what cannot work; if it comes up here all the same, it ends them all.

    STARTUP_FAILURE is the status at which the parent does not try again.
    """
    try:
        with refusals():
            app = build()
            failpoints.arm()
            return app
    except typer.Exit:
        sys.exit(STARTUP_FAILURE)
