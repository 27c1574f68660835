from __future__ import annotations

import shutil

import pytest
import pytest_asyncio

from .chromium import chromium
from .stage import Visitors, clients, serving

FOLDER = "tests/pages/"
ENDED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests here run in one event loop, because the browser they share lives in one."""
    for item in items:
        if item.nodeid.startswith(FOLDER):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        item.stash[ENDED] = report.passed
    return report


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser():
    async with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def house(browser, template, tmp_path_factory):
    """One running system for all tests here: they follow one another, and time only goes forward.

    It takes seconds to start, and each test makes its own flights. Without a browser none is
    started.
    """
    folder = tmp_path_factory.mktemp("house")
    shutil.copytree(template, folder, dirs_exist_ok=True)
    with serving(folder) as house:
        yield house


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def system(house):
    async with clients(house) as system:
        yield system


@pytest_asyncio.fixture(loop_scope="session")
async def visitors(browser, house, request):
    """Whoever comes; nobody's browser may complain: no error, nothing that the policy forbids."""
    visitors = Visitors(browser, house.url)
    yield visitors
    went_well = request.node.stash.get(ENDED, False)
    complaints = await visitors.leave(pictured_as=None if went_well else request.node.name)
    assert not complaints, "\n".join(complaints)


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(visitors):
    return await visitors.comes()
