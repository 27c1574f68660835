"""A process that is about to stop says so with every answer."""

from __future__ import annotations

import pytest

from skyhold.kernel.http.draining import STATE
from skyhold.kernel.http.routes import Routes

router = Routes()


@router.get("/thing")
async def thing() -> str:
    return "a thing"


@router.get("/boom")
async def boom() -> None:
    raise RuntimeError


@pytest.fixture
async def http(serve):
    return await serve(router)


@pytest.fixture
def draining(monkeypatch):
    monkeypatch.setattr(STATE, "on", True)


PATHS = ["/thing", "/nowhere", "/boom", "/livez", "/readyz", "/metrics"]


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_of_a_process_that_stops_closes_its_connection(
    http, draining, path, logged
):
    assert (await http.get(path)).headers.get_list("connection") == ["close"]


@pytest.mark.parametrize("path", PATHS)
async def test_otherwise_connections_are_kept(http, path, logged):
    assert "connection" not in (await http.get(path)).headers


async def test_what_is_asked_meanwhile_is_still_answered(http, draining):
    reply = await http.get("/thing")
    assert (reply.status_code, reply.json()) == (200, "a thing")
