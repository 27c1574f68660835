from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from support.databases import databases
from support.system import Servers, start_servers, stop

# Without processes of their own comes last: what is started for a way runs until the next one, and
# would go on beside all the tests that follow.
WAYS = {
    "two processes": "sqlite",
    "two processes on MariaDB": "mariadb",
    "two processes on PostgreSQL": "postgresql",
    "one process": None,
}


@pytest.fixture(scope="session", params=WAYS)
def servers(request, tmp_path_factory, template) -> Iterator[Servers | None]:
    """The two services as processes of their own, for all journeys; None when they are in ours."""
    engine = WAYS[request.param]
    if engine is None:
        yield None
        return
    folder = tmp_path_factory.mktemp("servers")
    with ExitStack() as stack:
        where = stack.enter_context(databases(engine, folder))
        shutil.copytree(template, folder, dirs_exist_ok=True)
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
