from __future__ import annotations

import shutil

import pytest

from support.system import Servers, start_servers, stop


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory, template) -> Servers:
    """The two services as processes of their own, for all journeys of this session."""
    folder = tmp_path_factory.mktemp("servers")
    shutil.copytree(template, folder, dirs_exist_ok=True)
    running = start_servers(folder)
    yield running
    for server in (running.booking, running.flight):
        if server.process.poll() is None:
            stop(server)


@pytest.fixture(params=["one process", "two processes"])
async def system(request, start_system):
    """The whole system, both ways it can be run."""
    if request.param == "one process":
        async with start_system() as running:
            yield running
    else:
        async with request.getfixturevalue("servers").system() as running:
            yield running


@pytest.fixture
async def alice(system):
    return await system.traveller("Alice")


@pytest.fixture
async def bob(system):
    return await system.traveller("Bob")
