"""The database as a Galera cluster: three nodes, each of them a part, with a wire before each.

Services write on all three: whose first node is which stands in `FIRST`, and the others are there
for when that one cannot be used. Or all of them go by HAProxy, which chooses for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path

from support import haproxy
from support.cut import Cut
from support.galera import Cluster, Node

from .parts import Part
from .servers import DATABASES, answers

MakePart = Callable[[str, list[str], Path, Callable[[], Awaitable[bool]]], Part]
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
        self._operator: asyncio.Task[None] | None = None

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

    async def start(self, parts: dict[str, Part], cuts: dict[str, Cut], make: MakePart) -> None:
        """One after the other: each copies its data from one that has them."""
        await asyncio.to_thread(self.cluster.lay_out)
        for name, node in self.by_name.items():
            parts[name] = make(name, node.command(), node.folder, node.is_ready)
            await parts[name].start()
            cuts[name] = Cut("127.0.0.1", node.port)
            await cuts[name].start()
        first, *_ = self.cluster.nodes
        await first.ask(ACCOUNT, *(f"CREATE DATABASE {name}" for name in DATABASES))

        async def restart(node: Node) -> None:
            name = next(name for name, it in self.by_name.items() if it is node)
            parts[name].kill(0)

        look_after = self.cluster.look_after(restart)
        self._operator = asyncio.create_task(look_after, name="operator of the cluster")

    async def start_haproxy(
        self,
        folder: Path,
        port: int,
        parts: dict[str, Part],
        cuts: Mapping[str, Cut],
        make: MakePart,
    ) -> None:
        """And let the services go by it."""
        program = haproxy.program()
        if program is None:
            raise SystemExit("no haproxy: apt-get install haproxy")
        path = haproxy.lay_out(folder, "galera", [cuts[name].port for name in NODES], port)
        self.haproxy_port = port
        through = _url([port], "mysql")
        command = [program, "-db", "-f", str(path)]
        parts["haproxy"] = make("haproxy", command, folder, lambda: answers(through))
        await parts["haproxy"].start()

    async def close(self) -> None:
        """Nobody looks after them any more."""
        if self._operator is not None:
            self._operator.cancel()
            await asyncio.gather(self._operator, return_exceptions=True)

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
            while not await self.is_whole():
                await self.reunite()
                await asyncio.sleep(LOOK_EVERY_S)

    async def is_whole(self) -> bool:
        """Whether all of them say that all are there.

        One that was stopped says so at first; the others know better.
        """
        said = await asyncio.gather(*(node.status() for node in self.cluster.nodes))
        wanted = {"ready": "ON", "local_state_comment": "Synced", "cluster_size": str(len(NODES))}
        return all(wanted.items() <= status.items() for status in said)

    async def _ask(self, node: Node, statement: str) -> None:
        with suppress(Exception):  # it is down, and starts again with what it is configured to
            async with asyncio.timeout(ASK_MAX_S):
                await node.ask(statement)


def _url(ports: list[int], database: str) -> str:
    return f"mysql://root@{','.join(f'127.0.0.1:{port}' for port in ports)}/{database}"
