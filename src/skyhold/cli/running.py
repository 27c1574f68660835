"""Running things from the command line: refusing in a sentence, listening, stopping."""

from __future__ import annotations

import gc
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer
from pydantic import ValidationError
from rich.console import Console
from sqlalchemy.exc import DBAPIError
from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE

from skyhold.flight.services.csv_file import NotASchedule
from skyhold.kernel import failpoints, tracing
from skyhold.kernel.errors import Problem
from skyhold.kernel.http.protocol import bounded
from skyhold.kernel.settings import KernelSettings, SettingsError

from .leaving import Closing

console = Console(stderr=True)

_SETTINGS = "DATABASE_URL or DB_HOST …, FLIGHT_DATABASE_URL"


@contextmanager
def refusals() -> Iterator[None]:
    """What cannot work is said in a sentence, not in a stack trace."""
    try:
        yield
    except ValidationError as error:
        for item in error.errors():
            name = ".".join(map(str, item["loc"])).upper() or "settings"
            _refuse(f"{name}: {item['msg'].removeprefix('Value error, ')}")
        raise typer.Exit(2) from error
    except (SettingsError, NotASchedule, Problem) as error:
        _refuse(str(error))
        raise typer.Exit(2) from error
    except DBAPIError as error:
        _refuse(f"The database cannot be used: {error.orig} ({_SETTINGS}, DATA_DIR)")
        raise typer.Exit(2) from error
    except OSError as error:
        if error.filename is None:  # a database server's address, not a file
            _refuse(f"The database is not there: {error.strerror or error} ({_SETTINGS})")
        else:
            _refuse(f"{error.strerror}: {error.filename}{_hint(error.filename)}")
        raise typer.Exit(2) from error


def _hint(filename: object) -> str:
    # PostgreSQL's driver looks for certificates under the home folder.
    return "" if ".postgresql" in str(filename) else " (is DATA_DIR right?)"


def _refuse(sentence: str) -> None:
    sys.stderr.write(f"skyhold: {sentence}\n")


def check_free(host: str, port: int, name: str) -> None:
    """Say so before anything else is done when somebody else has the port."""
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except OSError as error:
        msg = f"Cannot listen on {host}:{port}: {error.strerror}. {name} chooses another port."
        raise SettingsError(msg) from error


def _leave_alone_what_stays() -> None:
    """Spare the collector what was made so far: modules, routes, models, half a million objects.

    A request leaves no cycles behind that would be worth looking for as often as by default; with
    that a sixth of a busy server's time went into looking.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def listen(served: ASGIApp, host: str, port: int, settings: KernelSettings, *, name: str) -> None:
    """Serve until SIGTERM or SIGINT; then requests in progress are finished first.

    `name` is what traces call this process.
    """
    tracing.configure(name)
    failpoints.arm()
    _leave_alone_what_stays()
    config = Config(
        served,
        host=host,
        port=port,
        http=bounded(settings),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.drain_s,
    )
    server = Closing(config)
    with suppress(KeyboardInterrupt):  # Ctrl-C has been heard, and heeded
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)
