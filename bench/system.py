"""The system that is measured: its processes, with the settings that production would have."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.system import free_port

from .processes import Processes, answers_200, plain_environment
from .servers import Database, start_database

JWT_SECRET = "a-secret-for-the-bench-that-is-long-enough"  # noqa: S105 - guards nothing
PARTS = ("booking", "flight", "worker", "database", "sandbox")
# What differs from the defaults, and why.
SETTINGS: Mapping[str, object] = {
    "jwt_secret": JWT_SECRET,
    "service_secret": "another-secret-for-the-bench-long-enough",
    "password_pepper": "a-pepper-for-the-bench-that-is-long-enough",
    "access_token_ttl_s": 86_400,  # nobody logs in during a run
    "cookie_secure": False,  # there is no https here
    "audit_period_s": 0,  # once a day; what it costs would count for whatever is measured just then
    "unpaid_bookings_max": 10_000,  # few users book for many
    "unpaid_seats_max": 90_000,
    # Requests are counted as ever, and nobody is refused: all of them come from one address.
    "requests_per_address": "100000000/minute",
    "requests_per_user": "100000000/minute",
}


@dataclass(frozen=True)
class System:
    """A running system: where its services are, and the process id of each part."""

    database: Database
    booking: str
    flight: str
    pids: Mapping[str, int]
    processes: Processes
    environment: Mapping[str, str]


@contextmanager
def running(database: str, folder: Path) -> Iterator[System]:
    """The whole system on a new database of this kind, in this folder."""
    processes = Processes(folder)
    try:
        yield start_system(start_database(database, processes), processes)
    finally:
        processes.close()


def start_system(database: Database, processes: Processes) -> System:
    """Migrate the databases, start the services and wait until all are ready."""
    ports = {part: free_port() for part in ("booking", "flight", "worker", "sandbox")}
    environment = _environment(database, processes.folder, ports)
    for service in ("booking", "flight"):
        skyhold_once(environment, processes.folder, service, "migrate")
    commands = {
        "sandbox": ["sandbox", "serve"],
        "flight": ["flight", "serve"],
        "booking": ["booking", "serve", "--no-jobs"],
        "worker": ["booking", "worker"],
    }
    pids = {"database": database.pid} if database.pid else {}
    for part, command in commands.items():
        whole = [skyhold(), *command, "--port", str(ports[part])]
        pids[part] = processes.start(part, whole, environment=environment)
        url = f"http://127.0.0.1:{ports[part]}/readyz"
        processes.wait_until(part, lambda url=url: answers_200(url))
    return System(
        database=database,
        booking=f"http://127.0.0.1:{ports['booking']}",
        flight=f"http://127.0.0.1:{ports['flight']}",
        pids=pids,
        processes=processes,
        environment=environment,
    )


def skyhold() -> Path:
    """The program under test."""
    return Path(sys.executable).with_name("skyhold")


def skyhold_once(environment: Mapping[str, str], folder: Path, *command: str) -> None:
    """Run `skyhold` with this command to its end. Raises SystemExit when it fails."""
    done = subprocess.run(
        [skyhold(), *command],
        env=plain_environment() | dict(environment),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"skyhold {' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def _environment(database: Database, folder: Path, ports: Mapping[str, int]) -> dict[str, str]:
    settings = {
        **SETTINGS,
        "data_dir": folder / "data",
        "database_url": database.booking_url,
        "flight_database_url": database.flight_url,
        "flight_service": f"http://127.0.0.1:{ports['flight']}",
        "booking_service": f"http://127.0.0.1:{ports['booking']}",
        "sandbox_url": f"http://127.0.0.1:{ports['sandbox']}",
    }
    return {name.upper(): str(value) for name, value in settings.items()}
