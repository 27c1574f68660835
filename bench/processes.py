"""Processes that a run starts; none of them outlives it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
START_MAX_S = 60.0
LOOK_EVERY_S = 0.05


class Processes:
    """Starts them with their output in files of one folder, and kills them on leaving."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
    ) -> int:
        """Start it; answers its process id. To be called from the main thread.

        However this process ends, the kernel ends that one too: pdeathsig.
        """
        whole = ["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)]
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                whole,
                env=plain_environment() | dict(environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        return self._running[name].pid

    def wait_until(self, name: str, ready: Callable[[], bool]) -> None:
        """Until it is ready. Raises SystemExit with the end of its log when that does not come."""
        give_up_at = time.monotonic() + START_MAX_S
        while not ready():
            if self._running[name].poll() is not None or time.monotonic() > give_up_at:
                said = (self.folder / f"{name}.log").read_text(errors="replace")[-2_000:]
                raise SystemExit(f"{name} does not get ready:\n{said}")
            time.sleep(LOOK_EVERY_S)

    def stop(self, name: str) -> None:
        """SIGTERM, and after a while SIGKILL."""
        process = self._running.pop(name)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    def close(self) -> None:
        """End all of them, the last one first; a server's children go with it."""
        for name in reversed(list(self._running)):
            process = self._running.pop(name)
            with suppress(ProcessLookupError):
                # A fast shutdown for postgres; for all others as good as SIGTERM.
                process.send_signal(signal.SIGINT)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def plain_environment() -> dict[str, str]:
    """Ours, without what would be settings of the services."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ}


def bench_module(name: str, *arguments: object) -> list[str | Path]:
    """The command that runs a module of this package, wherever it is started."""
    paths = os.pathsep.join(str(ROOT / it) for it in ("tests", "src", "."))
    python = ["env", f"PYTHONPATH={paths}", sys.executable, "-m"]
    return [*python, f"bench.{name}", *map(str, arguments)]


def answers_200(url: str) -> bool:
    """Whether it does, now."""
    with suppress(httpx.HTTPError):
        return httpx.get(url, timeout=2).status_code == 200  # noqa: PLR2004 - as the name says
    return False


def program(name: str, package: str) -> str:
    """The path of a program. Raises SystemExit, naming Debian's package, when it is not there."""
    found = shutil.which(name)
    if found is None:
        raise SystemExit(f"no {name}: apt-get install {package}")
    return found
