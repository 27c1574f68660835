"""`skyhold serve` in a process of its own, without its two seconds of imports."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

STARTS_WITHIN_S = 60
ENDS_WITHIN_S = 20


class Nursery:
    """Where they are forked, see nursery.py."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("nursery.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def serve(self, folder: Path, port: int, environment: Mapping[str, str]) -> Serving:
        """Start `skyhold serve` with this environment, and nothing of ours."""
        log = folder / "log"
        pid = self.order(
            serve={
                "folder": str(folder),
                "port": port,
                "environment": dict(environment),
                "log": str(log),
            }
        )
        return Serving(self, pid, port, log)

    def order(self, **order: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(order)}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@dataclass
class Serving:
    """One life of the system."""

    nursery: Nursery
    pid: int
    port: int
    log: Path
    status: int | None = field(default=None, init=False)

    def is_alive(self) -> bool:
        if self.status is None:
            self.status = self.nursery.order(status=self.pid)
        return self.status is None

    async def listens(self) -> None:
        async with asyncio.timeout(STARTS_WITHIN_S):
            while not _accepts(self.port):
                assert self.is_alive(), self.log.read_text()
                await asyncio.sleep(0.01)

    async def ended(self) -> int | None:
        """Its exit status, the negative number of the signal it died of; None if it does not."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDS_WITHIN_S):
                while self.is_alive():  # noqa: ASYNC110 - the nursery tells when it is asked
                    await asyncio.sleep(0.01)
        return self.status

    async def kill(self) -> None:
        if self.is_alive():
            os.kill(self.pid, signal.SIGKILL)
            await self.ended()


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
