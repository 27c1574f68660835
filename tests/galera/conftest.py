"""A cluster of its own for each of these tests. They take long, and are run by `make galera`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support.databases import ENGINES
from support.galera import Cluster

collect_ignore_glob = [] if "galera" in ENGINES else ["test_*.py"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not one of pytest's: into those the server's user may not look."""
    folder = Path(tempfile.mkdtemp(prefix="skyhold-galera-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
async def cluster(folder) -> AsyncIterator[Cluster]:
    cluster = Cluster(folder)
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.close()
