"""HAProxy with the configuration of deploy/, before servers of the test's own."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .servers import missing
from .system import free_port

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "haproxy" / "skyhold.cfg"
STARTS_WITHIN_S = 10


@dataclass(frozen=True)
class Balancer:
    """A running one: where clients connect to, and what it thinks of its servers."""

    port: int
    folder: Path

    def up(self) -> list[str]:
        """The servers that pass their checks, by the names of the configuration."""
        with socket.socket(socket.AF_UNIX) as told:
            told.connect(str(self.folder / "socket"))
            told.sendall(b"show stat\n")
            lines = told.makefile().read().splitlines()
        rows = [line.split(",") for line in lines if line and not line.startswith("#")]
        servers = [row for row in rows if row[1] not in {"FRONTEND", "BACKEND"}]
        return [row[1] for row in servers if row[17].startswith("UP")]

    def has(self, *servers: str) -> Callable[[], Awaitable[bool]]:
        """A check that these are up, and no others."""

        async def check() -> bool:
            return self.up() == list(servers)

        return check


def program() -> str | None:
    """Where it is."""
    return shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def haproxy() -> str:
    """The program; without it the test is skipped."""
    return program() or missing("no haproxy: apt-get install haproxy")


def complaints(configuration: Path) -> str:
    """What it has against a configuration; empty when nothing."""
    done = subprocess.run(
        [haproxy(), "-c", "-q", "-f", configuration], capture_output=True, text=True, check=False
    )
    return (done.stdout + done.stderr).strip() or (
        f"exit {done.returncode}" * bool(done.returncode)
    )


def lay_out(folder: Path, section: str, servers: Sequence[int], port: int) -> Path:
    """The configuration with one of its sections, for servers on ports of this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = re.split(r"(?m)^(?=global|defaults|listen )", CONFIGURATION.read_text())
    common = [part for part in parts if part.startswith(("global", "defaults"))]
    (wanted,) = [part for part in parts if part.startswith(f"listen {section}\n")]
    wanted = re.sub(r"bind \S+", f"bind 127.0.0.1:{port}", wanted)
    lines = re.findall(r"(?m)^ +server .*\n", wanted)
    assert len(lines) >= len(servers), f"{section} has fewer servers"
    for line in lines[len(servers) :]:
        wanted = wanted.replace(line, "")
    for line, at in zip(lines, servers, strict=False):
        wanted = wanted.replace(line, re.sub(r"[0-9.]+:[0-9]+", f"127.0.0.1:{at}", line))
    text = "".join([*common, wanted])
    text = re.sub(r"(?m)^ +(user|group|log /dev/log) .*\n", "", text)
    text = text.replace("global\n", f"global\n    stats socket {folder / 'socket'}\n", 1)
    path = folder / "haproxy.cfg"
    path.write_text(text)
    return path


def _wait_for(path: Path) -> None:
    give_up_at = time.monotonic() + STARTS_WITHIN_S
    while not path.exists():
        assert time.monotonic() < give_up_at, (path.parent / "log").read_text()
        time.sleep(0.02)


@contextmanager
def balancer(folder: Path, section: str, servers: Sequence[int]) -> Iterator[Balancer]:
    """One that runs, until the end of the block."""
    port = free_port()
    configuration = lay_out(folder, section, servers, port)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([haproxy(), "-db", "-f", configuration], stderr=log)
    try:
        _wait_for(folder / "socket")
        yield Balancer(port, folder)
    finally:
        process.terminate()
        process.wait(10)
