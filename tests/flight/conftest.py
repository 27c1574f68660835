from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from support.system import OneProcess, one_process
from support.traveller import Reply

HERE = Path(__file__).parent
_numbers = itertools.count(5000)  # free of those that a test gives itself


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """The tests of a module share one event loop, because they share `inside`."""
    for item in items:
        if HERE in item.path.parents and inspect.iscoroutinefunction(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def inside(template, tmp_path_factory) -> OneProcess:
    """One system for the tests of a module; each of them adds flights of its own.

    No job runs in it: what holds here holds however late the sweeper is.
    """
    folder = tmp_path_factory.mktemp("inside") / "data"
    idle = {"sweep_period_s": 3600, "expiry_period_s": 3600, "relay_period_s": 3600}
    async with one_process(folder, template, **idle) as system:
        yield system


@pytest.fixture
def post_flight(inside):
    """Staff add a flight; an E90 of 100 economy seats unless told otherwise."""

    async def post(**fields) -> Reply:
        body = {
            "airline": "B6",
            "number": next(_numbers),
            "origin": "JFK",
            "destination": "LAX",
            "departing_at": "2090-06-01T08:00",
            "arriving_at": "2090-06-01T11:00",
            "aircraft": "E90",
            "fares": {"economy": {"amount": "129.00", "currency": "USD"}},
        } | fields
        headers = inside.staff()
        return Reply.of(
            await inside.flights_http.post("/api/v1/flights", json=body, headers=headers)
        )

    return post


@pytest.fixture
def patch_flight(inside):
    """Staff change a flight."""

    async def patch(flight_id: str, **change) -> Reply:
        path, headers = f"/api/v1/flights/{flight_id}", inside.staff()
        return Reply.of(await inside.flights_http.patch(path, json=change, headers=headers))

    return patch


@pytest.fixture
def soon(inside):
    """A day in a month's time, so that flights of that day are still to leave."""
    return (inside.now() + timedelta(days=30)).date()
