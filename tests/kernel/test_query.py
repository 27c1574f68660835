"""A query string says only what the route asks for, and each thing once."""

from __future__ import annotations

from typing import Annotated

import pytest
from fastapi import Query

from skyhold.kernel.http.routes import Routes

router = Routes()


@router.get("/sums")
async def add(
    number: int = 0, more: Annotated[list[int] | None, Query(alias="n")] = None
) -> dict[str, int]:
    return {"sum": number + sum(more or ())}


@pytest.fixture
async def http(serve):
    return await serve(router)


async def test_what_is_asked_for_is_read(http):
    assert (await http.get("/sums?number=1&n=2&n=3")).json() == {"sum": 6}
    assert (await http.get("/sums")).json() == {"sum": 0}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("number=1&number=2", "query.number"),
        ("number=1&number=1", "query.number"),
        ("numbre=1", "query.numbre"),
        ("Number=1", "query.Number"),
        ("more=1", "query.more"),
        ("n[]=1", "query.n[]"),
    ],
)
async def test_the_unknown_and_the_contradictory_are_refused(http, query, field):
    reply = await http.get(f"/sums?{query}")
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid")
    assert [error["field"] for error in reply.json()["errors"]] == [field]


@pytest.mark.parametrize("query", ["number=%ff", "%C3=1", "number=%ED%A0%80"])
async def test_what_is_no_text_cannot_be_read(http, query):
    reply = await http.get(f"/sums?{query}")
    assert (reply.status_code, reply.json()["code"]) == (400, "bad_request")


async def test_a_supervisor_may_add_what_it_likes(http):
    assert (await http.get("/livez?nocache=1")).status_code == 200
