"""Nodes die, hang and lose each other, and who writes meanwhile waits and is not refused."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest
from sqlalchemy import text

from skyhold.kernel.db import Database, NoConnection
from support import haproxy
from support.galera import Cluster
from support.system import eventually

HAPROXY = "CREATE USER haproxy@'127.0.0.%' IDENTIFIED VIA mysql_native_password USING ''"
INSERT = text("INSERT INTO said VALUES (:id)")
# A statement by a node that hangs is given up within the wait; what a group needs to go on without
# one of its nodes comes on top, and it may be the second wait that ends in time.
LONGEST_S = 15.0


@pytest.fixture
async def ways(cluster: Cluster, folder):
    """The same database by the list of its nodes, and by HAProxy."""
    first, *_ = cluster.nodes
    await first.ask(
        HAPROXY, "CREATE DATABASE words", "CREATE TABLE words.said (id INT PRIMARY KEY)"
    )
    ports = [node.port for node in cluster.nodes]
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    with haproxy.balancer(folder / "haproxy", "galera", ports) as by:
        by_list, by_proxy = (Database(f"mysql://root@{at}/words") for at in (hosts, _at(by)))
        yield by, by_list, by_proxy
        await by_list.close()
        await by_proxy.close()


def _at(by):
    return f"127.0.0.1:{by.port}"


class Load:
    """Writes all the time, by several at once."""

    def __init__(self, *ways: Database):
        self._ways = ways
        self._ids = itertools.count(1)
        self.written: list[int] = []
        self.longest_s = 0.0

    async def run(self, seconds: float) -> None:
        """For so long. Raises what a writer is told."""
        end = time.monotonic() + seconds
        await asyncio.gather(*(self._write(db, end) for db in self._ways for _ in range(2)))

    async def _write(self, db: Database, end: float) -> None:
        while time.monotonic() < end:
            id, begun = next(self._ids), time.monotonic()
            await db.transact(lambda tx, id=id: tx.run(INSERT, values={"id": id}))
            self.longest_s = max(self.longest_s, time.monotonic() - begun)
            self.written.append(id)
            await asyncio.sleep(0.02)


async def test_a_node_that_dies_or_hangs_costs_time_and_no_error(cluster, ways):
    by, *both = ways
    one, two, three = cluster.nodes
    load = Load(*both)

    async def after(seconds, blow):
        await asyncio.sleep(seconds)
        blow()

    await eventually(by.has("node-1", "node-2", "node-3"), within_s=30)
    await asyncio.gather(load.run(8), after(1, one.kill))
    await eventually(by.has("node-2", "node-3"))
    await one.start()
    await eventually(by.has("node-1", "node-2", "node-3"))
    # Where the connections are now: they stayed when the first one came back.
    await asyncio.gather(load.run(10), after(1, two.pause))
    assert by.up() == ["node-1", "node-3"]
    two.go_on()
    rows = await three.ask("SET SESSION wsrep_sync_wait = 3", "SELECT id FROM words.said")
    assert {id for (id,) in rows} >= set(load.written)
    assert load.longest_s < LONGEST_S


async def test_a_node_that_is_alone_is_used_by_nobody(cluster, ways):
    by, by_list, by_proxy = ways
    await Load(by_list, by_proxy).run(0.5)
    for node in cluster.nodes[1:]:
        node.kill()
    await eventually(by.has(), within_s=30)
    for db in (by_list, by_proxy):
        with pytest.raises(NoConnection):
            await Load(db).run(1)
    with pytest.raises(OSError, match="not ready"):
        await by_list.run_sync(lambda _: None)
