"""The database as a Galera cluster: three nodes, each of them a part, with a wire before each.

Services write on all three: whose first node is which stands in `FIRST`, and the others are there
for when that one cannot be used. Or all of them go by HAProxy, which chooses for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from support import haproxy
from support.cut import Cut
from support.galera import Cluster, Node

FIRST = {
    "booking-1": 1,
    "flight-1": 1,
    "worker-1": 1,
    "booking-2": 2,
    "flight-2": 2,
    "worker-2": 3,
}
NODES = ("database-1", "database-2", "database-3")
# Whoever is behind HAProxy is asked by this account whether it can be used; it may do nothing.
ACCOUNT = "CREATE USER haproxy@'127.0.0.%' IDENTIFIED VIA mysql_native_password USING ''"
ISOLATE = "SET GLOBAL wsrep_provider_options = 'gmcast.isolate={}'"
ASK_MAX_S = 3.0
WHOLE_MAX_S = 240.0
LOOK_EVERY_S = 0.3


class Nodes:
    """Where they are, and what can be asked of them."""

    def __init__(self, folder: Path) -> None:
        self.cluster = Cluster(folder)
        self.by_name = dict(zip(NODES, self.cluster.nodes, strict=True))
        self.haproxy_port: int | None = None

    def url(self, database: str) -> str:
        """All of them, straight."""
        return _url([node.port for node in self.cluster.nodes], database)

    def url_for(self, who: str, database: str, cuts: Mapping[str, Cut]) -> str:
        """As this part reaches them: by the wires, its own node first."""
        if self.haproxy_port is not None:
            return _url([self.haproxy_port], database)
        first = FIRST.get(who, 1) - 1
        in_order = [*NODES[first:], *NODES[:first]]
        return _url([cuts[name].port for name in in_order], database)

    def configure_haproxy(self, folder: Path, port: int, cuts: Mapping[str, Cut]) -> list[str]:
        """Let the services go by it; what runs it."""
        self.haproxy_port = port
        ports = [cuts[name].port for name in NODES]
        path = haproxy.lay_out(folder, "galera", ports, port)
        return [haproxy.program() or "haproxy", "-db", "-f", str(path)]

    async def isolate(self, name: str) -> None:
        """It hears nothing of the other nodes, and they nothing of it; clients reach it."""
        await self._ask(self.by_name[name], ISOLATE.format(1))

    async def reunite(self) -> None:
        """All of them hear each other."""
        await asyncio.gather(*(self._ask(node, ISOLATE.format(0)) for node in self.cluster.nodes))

    async def not_ready(self) -> int:
        """How many of them cannot be used."""
        ready = await asyncio.gather(*(node.is_ready() for node in self.cluster.nodes))
        return ready.count(False)

    async def whole(self) -> None:
        """Wait until all of them are one group."""
        async with asyncio.timeout(WHOLE_MAX_S):
            while await self.not_ready():
                await self.reunite()
                await asyncio.sleep(LOOK_EVERY_S)

    async def _ask(self, node: Node, statement: str) -> None:
        with suppress(Exception):  # it is down, and starts again with what it is configured to
            async with asyncio.timeout(ASK_MAX_S):
                await node.ask(statement)


def _url(ports: list[int], database: str) -> str:
    return f"mysql://root@{','.join(f'127.0.0.1:{port}' for port in ports)}/{database}"
