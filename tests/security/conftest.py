from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import httpx
import pytest
import pytest_asyncio

from skyhold.kernel.db import Database
from support.databases import databases
from support.figures import tell
from support.system import Servers, start_servers, stop

from .inputs import Operation, operations
from .lab import AT_ONCE, Lab, Tally
from .wire import Line

# The database under the services that get the bad input: sqlite, mariadb or postgresql.
ON = os.environ.get("SKYHOLD_TEST_CORPUS_ON", "sqlite")
_tally = Tally()


@pytest.fixture(scope="package")
def _running(tmp_path_factory, template) -> Iterator[tuple[Servers, dict[str, str]]]:
    """Both services, each a process of its own, for all tests here and no longer."""
    folder = tmp_path_factory.mktemp("security")
    with ExitStack() as stack:
        where = stack.enter_context(databases(ON, folder))
        shutil.copytree(template, folder, dirs_exist_ok=True)
        servers = start_servers(
            folder,
            provider_timeout_s=8,
            flight_timeout_s=8,
            flight_deadline_s=10,
            audit_period_s=0,  # it writes down that it ran, just while somebody is refused
            **where,
        )
        for server in (servers.booking, servers.flight):
            stack.callback(lambda server=server: server.process.poll() is None and stop(server))
        urls = {
            "database_url": f"sqlite:///{folder / 'booking.db'}",
            "flight_database_url": f"sqlite:///{folder / 'flight.db'}",
        }
        yield servers, urls | where


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def lab(_running) -> AsyncIterator[Lab]:
    """Two running services, people to ask as, and connections to ask on."""
    servers, urls = _running
    dbs = Database(urls["database_url"]), Database(urls["flight_database_url"])
    async with servers.system() as system:
        people = [await system.traveller(name) for name in ("Alice", "Bob")]
        lab = Lab(servers, system, *dbs, _tally, *people)
        lines = [
            {"booking": Line(servers.booking.url), "flight": Line(servers.flight.url)}
            for _ in range(AT_ONCE)
        ]
        for line in lines:
            lab.lines.put_nowait(line)
        yield lab
        for line in lines:
            for one in line.values():
                await one.close()
    for db in dbs:
        await db.close()


@pytest.fixture(scope="package")
def documents(_running) -> dict[str, list[Operation]]:
    """What the two running services say of themselves."""
    servers, _ = _running
    return {
        server.name: operations(httpx.get(f"{server.url}/openapi.json").json())
        for server in (servers.booking, servers.flight)
    }


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The figures that docs/security.md quotes."""
    if not _tally.statuses:
        return
    inputs = sum(_tally.inputs.values())
    tried = (
        f"{inputs} inputs tried in {len(_tally.inputs)} operations, "
        f"{sum(_tally.statuses.values())} requests counted, {_tally.server_errors} answers of 5xx, "
        f"{_tally.cells} policies checked"
    )
    answers = ", ".join(f"{status}: {n}" for status, n in sorted(_tally.statuses.items()))
    tell(session.config, "bad input", (tried, f"answers by status: {answers}"))
