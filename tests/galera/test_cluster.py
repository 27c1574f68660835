"""The cluster of the tests: nodes die and come back, and what was acknowledged is there."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from asyncmy.errors import OperationalError
from sqlalchemy import text

from skyhold.kernel.db import Database, OutcomeUnknown
from support.galera import Cluster, Node

WRITE = "INSERT INTO words.acknowledged VALUES ({})"
READ = ("SET SESSION wsrep_sync_wait = 3", "SELECT word FROM words.acknowledged ORDER BY word")


@pytest.fixture
async def first(cluster) -> Node:
    await cluster.nodes[0].ask(
        "CREATE DATABASE words", "CREATE TABLE words.acknowledged (word INT PRIMARY KEY)"
    )
    await cluster.nodes[0].ask(WRITE.format(1))
    return cluster.nodes[0]


async def test_a_node_that_was_killed_is_told_what_it_missed(cluster, first):
    second = cluster.nodes[1]
    second.kill()
    await _left(first, 2)
    await first.ask(WRITE.format(2))
    await second.start()
    assert await second.ask(*READ) == [(1,), (2,)]
    # All was copied when it joined, and only then: afterwards it knew how far it had come.
    assert second.said().count("rsync SST completed on joiner") == 1
    assert second.said().count("rsync IST completed on joiner") == 1


async def test_a_node_without_the_others_answers_nothing(cluster, first):
    for node in cluster.nodes[1:]:
        node.kill()
    await _without_a_group(first)
    for statement in (WRITE.format(2), READ[1]):
        with pytest.raises(OperationalError, match="1047"):
            await first.ask(statement)


async def test_a_commit_that_loses_the_others_is_unknown_and_not_refused(cluster, first):
    """They may have it: a run that said "not done" would be believed."""
    db = Database(first.url("words"), wait_s=5, statement_s=20)
    written = text(WRITE.format(2))

    async def work(tx):
        await tx.run(written)
        for node in cluster.nodes[1:]:
            if node.is_running:
                node.kill()

    with pytest.raises(OutcomeUnknown):
        await db.transact(work)
    await db.close()


async def test_all_come_back_when_all_were_killed_and_one_was_behind(cluster, first):
    cluster.nodes[2].kill()
    await _left(first, 2)
    await first.ask(WRITE.format(2))
    for node in cluster.nodes:
        node.kill()
    operator = asyncio.create_task(cluster.look_after(_restart))
    try:
        await cluster.start_again()
    finally:
        operator.cancel()
    for node in cluster.nodes:
        assert await node.ask(*READ) == [(1,), (2,)]


async def test_nobody_is_made_the_first_while_another_may_be_ahead(cluster: Cluster, first):
    hangs, dead = cluster.nodes[1:]
    for node in (hangs, dead):
        node.kill()
        await node.start()  # so that each has said once how far it had come
    await cluster.ready()
    hangs.pause()
    dead.kill()
    await _without_a_group(first)
    assert await first.position() is not None
    assert await hangs.position() is None
    assert await dead.position() is None
    with suppress(TimeoutError):
        async with asyncio.timeout(12):
            await cluster.look_after(_never)


async def _restart(node: Node) -> None:
    node.kill()
    node.begin()


async def _never(node: Node) -> None:
    pytest.fail(f"{node.name} would be a group of its own")


async def _left(node: Node, size: int) -> None:
    await _until(node, "cluster_size", str(size))


async def _without_a_group(node: Node) -> None:
    await _until(node, "cluster_status", "non-Primary")


async def _until(node: Node, name: str, value: str) -> None:
    async with asyncio.timeout(30):
        while (await node.status()).get(name) != value:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
