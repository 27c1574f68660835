from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path

import pytest
import pytest_asyncio
from audit_stage import a_desk

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """The tests of a module share one event loop, because they share the desk."""
    for item in items:
        if HERE in item.path.parents and inspect.iscoroutinefunction(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def _desk(tmp_path_factory, template):
    async with a_desk(tmp_path_factory.mktemp("audit") / "data", template) as desk:
        yield desk


@pytest.fixture
def desk(_desk):
    """Both services, where nothing happens unless a test does it, and nobody has booked yet."""
    _desk.wipe()
    return _desk
