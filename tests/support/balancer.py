"""A small load balancer, such as stands in front of several processes of a service.

It asks each of its backends for /readyz, and spreads connections, in turn, over those that said
yes. Of HTTP it knows nothing else, and nothing is tried twice: what fails behind it fails in front.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

PROBE = b"GET /readyz HTTP/1.1\r\nHost: balancer\r\nConnection: close\r\n\r\n"
# Like those that people run it takes a while to notice. One that noticed at once would forgive a
# server that stops listening without a warning.
PROBE_PERIOD_S = 0.2
PROBE_MAX_S = 2.0


class Balancer:
    """What a test may ask of it; `balancer` runs one."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.ready: dict[int, bool] = {}
        self.connections: Counter[int] = Counter()
        self.failures: list[str] = []
        self._turn = itertools.count()
        self._changed = asyncio.Condition()

    async def wait_for(self, port: int, *, ready: bool, within_s: float = 30) -> None:
        """Until this backend is known to be ready, or known not to be."""
        async with asyncio.timeout(within_s), self._changed:
            await self._changed.wait_for(lambda: self.ready[port] is ready)

    async def _watch(self, port: int) -> None:
        while True:
            try:
                async with asyncio.timeout(PROBE_MAX_S):
                    said = await _is_ready(port)
            except TimeoutError:
                said = self.ready[port]  # slow is no answer
            if said is not self.ready[port]:
                async with self._changed:
                    self.ready[port] = said
                    self._changed.notify_all()
            await asyncio.sleep(PROBE_PERIOD_S)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            ready = [port for port, yes in self.ready.items() if yes]
            if not ready:
                self.failures.append("nobody is ready")
                return
            port = ready[next(self._turn) % len(ready)]
            self.connections[port] += 1
            try:
                backend = await asyncio.open_connection("127.0.0.1", port)
            except OSError as error:
                self.failures.append(f"{port}: {error}")
                return
            try:
                await _until_one_ends(_pipe(reader, backend[1]), _pipe(backend[0], writer))
            finally:
                backend[1].close()
        finally:
            writer.close()


@asynccontextmanager
async def balancer(*backends: int, port: int = 0) -> AsyncIterator[Balancer]:
    """One that listens on `port` for connections to the backends, which are ports too."""
    carried: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(running._carry(reader, writer))
        carried.add(task)
        task.add_done_callback(carried.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    running = Balancer(server.sockets[0].getsockname()[1])
    running.ready = dict.fromkeys(backends, False)
    watchers = [asyncio.create_task(running._watch(port)) for port in backends]
    try:
        yield running
    finally:
        server.close()
        for task in (*watchers, *carried):
            task.cancel()
        await asyncio.gather(*watchers, *carried, return_exceptions=True)


async def _is_ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(PROBE)
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # the other end is gone, which is for those who talk to each other to notice


async def _until_one_ends(*ways) -> None:
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
