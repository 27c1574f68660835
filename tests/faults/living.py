"""The witnesses' way to a cluster: by any node that is in the group, and nothing old is seen.

Said once more than in the services, so that a mistake there cannot hide itself here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import asyncmy

CONNECT_MAX_S = 2.0
IS_READY = "SHOW GLOBAL STATUS LIKE 'wsrep_ready'"
# What others have been told was committed is there before anything is read.
SEES_ALL = "SET SESSION wsrep_sync_wait = 3"


def one_of(url: str) -> tuple[str, list[tuple[str, int]]]:
    """The address of the first node alone, and where all of them are; one that has one is one."""
    parts = urlsplit(url)
    account, at, listed = parts.netloc.rpartition("@")
    hosts = listed.split(",")
    if len(hosts) == 1:
        return url, []
    nodes = [(host, int(port)) for host, _, port in (each.partition(":") for each in hosts)]
    return parts._replace(netloc=f"{account}{at}{hosts[0]}").geturl(), nodes


def by_a_living_one(nodes: list[tuple[str, int]]) -> Callable[..., Awaitable[Any]]:
    """What connects to the first of them that is in the group."""

    async def connect(**how: Any) -> Any:
        for host, port in nodes:
            try:
                async with asyncio.timeout(CONNECT_MAX_S):
                    return await _connect(how | {"host": host, "port": port})
            except Exception:  # noqa: BLE001, S112 - then the next one
                continue
        raise ConnectionError("no node is in a group")

    return connect


async def _connect(how: dict[str, Any]) -> Any:
    connection = await asyncmy.connect(**how)
    try:
        async with connection.cursor() as cursor:
            await cursor.execute(IS_READY)
            assert (await cursor.fetchone())[1] == "ON", "it is in no group"
            await cursor.execute(SEES_ALL)
    except BaseException:
        connection.close()
        raise
    return connection
