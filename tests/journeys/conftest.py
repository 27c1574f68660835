from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from support.databases import ENGINES, databases
from support.nodes import ServersAtNodes, start_at_nodes
from support.system import Servers, start_servers, stop

# Without processes of their own comes last: what is started for a way runs until the next one, and
# would go on beside all the tests that follow.
WAYS = {
    "two processes": "sqlite",
    "two processes on MariaDB": "mariadb",
    "two processes on PostgreSQL": "postgresql",
    "a process at each node on Galera": "galera",
    "one process": None,
}
WAYS = {way: engine for way, engine in WAYS.items() if (engine or "sqlite") in ENGINES}


@pytest.fixture(scope="session", params=WAYS)
def servers(request, tmp_path_factory, template) -> Iterator[Servers | ServersAtNodes | None]:
    """The two services as processes of their own, for all journeys; None when they are in ours."""
    engine = WAYS[request.param]
    if engine is None:
        yield None
        return
    folder = tmp_path_factory.mktemp("servers")
    with ExitStack() as stack:
        where = stack.enter_context(databases(engine, folder))
        shutil.copytree(template, folder, dirs_exist_ok=True)
        if engine == "galera":
            at_nodes = start_at_nodes(engine, folder, where)
            stack.callback(at_nodes.stop)
            yield at_nodes
            return
        running = start_servers(folder, **where)
        for server in (running.booking, running.flight):
            stack.callback(lambda server=server: server.process.poll() is None and stop(server))
        yield running


@pytest.fixture
async def system(servers, start_system):
    """The whole system, in every way it can be run."""
    if servers is None:
        async with start_system() as running:
            yield running
    else:
        async with servers.system() as running:
            yield running


@pytest.fixture
async def alice(system):
    return await system.traveller("Alice")


@pytest.fixture
async def bob(system):
    return await system.traveller("Bob")
