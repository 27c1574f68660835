"""How long it takes from exec to the first 200 on /readyz, with databases that are migrated."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from typing import Any

import httpx
from rich.console import Console

from support.system import free_port

from .numbers import Spread
from .processes import plain_environment
from .results import RESULTS, about_run, shown, write
from .system import System, skyhold

FILE = RESULTS / "startup.json"
TIMES, LOOK_EVERY_S, START_MAX_S, TARGET_S = 5, 0.01, 30, 2.0
COMMANDS = (("serve",), ("booking", "serve"), ("flight", "serve"), ("booking", "worker"))


def measure_startup(system: System) -> dict[str, Any]:
    """Seconds, for each way to start it; the other processes of the system run beside."""
    took = {" ".join(it): [start_s(system, *it) for _ in range(TIMES)] for it in COMMANDS}
    return {**about_run(), "database": system.database.name, "seconds": took}


def start_s(system: System, *command: str) -> float:
    """Start it, wait until it is ready, and end it."""
    port = free_port()
    environment = plain_environment() | dict(system.environment)
    if command == ("serve",):
        del environment["FLIGHT_SERVICE"]  # it runs inside
    with (system.processes.folder / "startup.log").open("ab") as log:
        began_at = time.perf_counter()
        process = subprocess.Popen(
            [skyhold(), *command, "--port", str(port)],
            env=environment,
            cwd=system.processes.folder,
            stdout=log,
            stderr=log,
        )
    try:
        _wait(process, f"http://127.0.0.1:{port}/readyz")
        return round(time.perf_counter() - began_at, 3)
    finally:
        process.kill()
        process.wait()


def show_startup(console: Console, told: dict[str, Any]) -> None:
    """Print it, and write startup.json."""
    for command, seconds in told["seconds"].items():
        found = Spread.of(seconds)
        verdict = "met" if found.median < TARGET_S else "missed"
        console.print(f"skyhold {command}: ready after {found} s (below {TARGET_S:g} s: {verdict})")
    write(FILE, told)
    console.print(f"written: {shown(FILE)}")


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    give_up_at = time.monotonic() + START_MAX_S
    with httpx.Client(timeout=1) as http:
        while process.poll() is None and time.monotonic() < give_up_at:
            with suppress(httpx.HTTPError):
                if http.get(url).is_success:
                    return
            time.sleep(LOOK_EVERY_S)
    raise SystemExit("it does not get ready")
