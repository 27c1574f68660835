from __future__ import annotations

import pytest
import pytest_asyncio
from web_stage import Reader

from support.system import one_process


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory, template):
    """Both services with their pages, in this process."""
    async with one_process(tmp_path_factory.mktemp("web") / "data", template) as system:
        yield system


@pytest_asyncio.fixture(loop_scope="module")
async def flight(system):
    return await system.a_flight()


@pytest.fixture
def reader(system):
    """A browser without JavaScript, nobody signed in."""
    return Reader(system)
