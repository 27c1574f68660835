"""A process of each service at each node of a database: each request meets another of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx

from .databases import SERVERS, at_node
from .system import Server, Servers, TwoProcesses, start_servers, stop

IDLE_MAX_S = 2


@dataclass(frozen=True)
class ServersAtNodes:
    """Two running services for each node, which share the clock and the provider."""

    pairs: Sequence[Servers]

    @property
    def everybody(self) -> list[Server]:
        """Every process."""
        return [server for pair in self.pairs for server in (pair.booking, pair.flight)]

    @asynccontextmanager
    async def system(self):
        """Clients whose requests go to the processes in turn."""
        async with (
            _in_turn([pair.booking.url for pair in self.pairs]) as bookings,
            _in_turn([pair.flight.url for pair in self.pairs]) as flights,
        ):
            clock_file = self.pairs[0].clock_file
            system = TwoProcesses(bookings, flights, clock_file)
            with suppress(OSError):
                system._ahead = timedelta(seconds=float(clock_file.read_text() or 0))
            yield system

    def stop(self) -> None:
        """SIGTERM for whoever is there."""
        for server in self.everybody:
            if server.process.poll() is None:
                stop(server)


def start_at_nodes(engine: str, folder: Path, where: dict[str, str]) -> ServersAtNodes:
    """A booking and a flight process at each of the engine's nodes; each pair talks to itself."""
    nodes = range(len(SERVERS[engine].nodes))
    return ServersAtNodes([start_servers(folder, **at_node(engine, n, where)) for n in nodes])


def _in_turn(urls: list[str]) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=urls[0], timeout=60, transport=_InTurn(urls))


class _InTurn(httpx.AsyncBaseTransport):
    """Each request goes to the next of these servers."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._turns = itertools.cycle(httpx.URL(url) for url in urls)
        limits = httpx.Limits(max_connections=100, keepalive_expiry=IDLE_MAX_S)
        self._http = httpx.AsyncHTTPTransport(limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        at = next(self._turns)
        request.url = request.url.copy_with(host=at.host, port=at.port)
        return await self._http.handle_async_request(request)

    async def aclose(self) -> None:
        await self._http.aclose()
