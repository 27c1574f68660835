"""The parts of the system: each a process (and its children) that dies and comes back."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from support.processes import descendants, dies_with_us

from .clocks import forget
from .run import Journal

LOOK_EVERY_S = 0.1
START_MAX_S = 180.0
PAUSE_S = 0.3


class Part:
    """One of them. As any supervisor would, it starts again whatever ended, however it ended."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        folder: Path,
        logs: Path,
        faults: Journal,
        is_ready: Callable[[], Awaitable[bool]],
    ) -> None:
        self.name = name
        self.recoveries_s: list[float] = []
        self._command = [*dies_with_us(), *map(str, command)]
        self._environment = dict(environment)
        self._folder = folder
        self._log = logs / f"{name}.log"
        self._faults = faults
        self._is_ready = is_ready
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stays_down_until = 0.0
        self._down_since: float | None = None
        self._ready = asyncio.Event()

    async def start(self) -> None:
        """Start it, and wait until it is ready; from now on it is kept running."""
        self._keeper = asyncio.create_task(self._keep(), name=f"keeper of {self.name}")
        await self.wait_ready()

    async def wait_ready(self) -> None:
        """Until it is there and says that it is ready."""
        try:
            async with asyncio.timeout(START_MAX_S):
                await self._ready.wait()
        except TimeoutError:
            said = self._log.read_text(errors="replace")[-2_000:]
            raise TimeoutError(f"{self.name} is not ready after {START_MAX_S} s:\n{said}") from None

    @property
    def is_up(self) -> bool:
        """Whether it is there, and got ready since it started."""
        return self._ready.is_set()

    def kill(self, down_s: float) -> None:
        """SIGKILL; it comes back after a while."""
        self._down_since = time.monotonic()
        self._stays_down_until = self._down_since + down_s
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """SIGSTOP: it hears and says nothing, and keeps all it holds."""
        self._down_since = None  # kept from coming back, if it was about to
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT, for all of it that may have been stopped."""
        self._signal(signal.SIGCONT)

    async def close(self) -> None:
        """End it for good."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        self._signal(signal.SIGKILL)
        if self._process is not None:
            await asyncio.to_thread(self._process.wait, 30)
            forget(self._process.pid)

    def _signal(self, which: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        for pid in (*descendants(self._process.pid), self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, which)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(max(0.0, self._stays_down_until - time.monotonic()))
            process = self._spawn()
            if await self._comes_up(process):
                self._note_recovery()
                self._ready.set()
                await _ends(process)
                self._ready.clear()
            forget(process.pid)
            await asyncio.sleep(PAUSE_S)

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,  # Ctrl-C is ours to hear, not theirs
            )
        return self._process

    async def _comes_up(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether it got ready; False when it ended before."""
        while process.poll() is None:
            if await self._is_ready():
                return True
            await asyncio.sleep(LOOK_EVERY_S)
        return False

    def _note_recovery(self) -> None:
        if self._down_since is None:
            return
        took_s = time.monotonic() - self._down_since
        self._down_since = None
        self.recoveries_s.append(took_s)
        self._faults.write(
            {
                "at": time.time(),
                "kind": "recovered",
                "where": self.name,
                "detail": {"after_s": round(took_s, 3)},
            }
        )


async def _ends(process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:  # noqa: ASYNC110 - nobody tells of its end
        await asyncio.sleep(LOOK_EVERY_S)
