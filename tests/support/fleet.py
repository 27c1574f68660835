"""Processes of one deployment: any number of servers and workers with the same environment."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from .system import SETTINGS, Server, wait_until_ready


class Fleet:
    """Starts processes with one environment; on leaving, none of them is left."""

    def __init__(self, folder: Path, **environment: object) -> None:
        self.folder = folder
        self.environment: Mapping[str, str] = {
            name.upper(): str(value)
            for name, value in (SETTINGS | {"data_dir": folder} | environment).items()
        }
        self._servers: list[Server] = []

    def start(self, *command: str, port: int) -> Server:
        """`skyhold` with this command, on this port; a second one of the name writes on in its log.

        The process leads a group of its own, with the children it may start.
        """
        name = f"{'-'.join(command[:2])}-{port}"
        log = self.folder / f"{name}.log"
        with log.open("ab") as file:
            process = subprocess.Popen(
                [Path(sys.executable).with_name("skyhold"), *command, "--port", str(port)],
                env=os.environ | self.environment,
                stdout=file,
                stderr=file,
                cwd=self.folder,
                start_new_session=True,
            )
        server = Server(name, f"http://127.0.0.1:{port}", process, log)
        self._servers.append(server)
        return server

    async def ready(self, *servers: Server) -> None:
        """Until all of these are."""
        for server in servers:
            await asyncio.to_thread(wait_until_ready, server)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            if server.process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(server.process.pid, signal.SIGKILL)
                server.process.wait(10)


async def stopped(server: Server, *, within_s: float = 30) -> int:
    """SIGTERM, and the exit status."""
    server.process.terminate()
    return await ended(server, within_s=within_s)


async def ended(server: Server, *, within_s: float = 30) -> int:
    """The exit status, once there is one."""
    return await asyncio.to_thread(server.process.wait, within_s)
