"""What is in a route for the API's document alone does not run, and everything else does."""

from __future__ import annotations

from typing import Annotated

import pytest
from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from skyhold.kernel.http.routes import Routes

ran: list[str] = []


class Scheme(HTTPBearer):
    async def __call__(self, request: Request):
        ran.append(self.scheme_name)
        return await super().__call__(request)


async def a_look(request: Request) -> None:
    ran.append(f"look at {request.url.path}")


shown, taken = (Scheme(scheme_name=name, auto_error=False) for name in ("shown", "taken"))
strict = Scheme(scheme_name="strict")
router = Routes()


@router.get("/shown", dependencies=[Depends(shown), Depends(a_look)])
async def show() -> None:
    pass


@router.get("/taken")
async def take(_: Annotated[object, Depends(taken)]) -> None:
    pass


@router.get("/strict", dependencies=[Depends(strict)])
async def guard() -> None:
    pass


@pytest.fixture
async def http(serve):
    ran.clear()
    return await serve(router)


async def test_a_scheme_that_is_only_shown_does_not_run_and_what_stands_beside_it_does(http):
    assert (await http.get("/shown")).status_code == 200
    assert ran == ["look at /shown"]


async def test_a_scheme_whose_value_is_taken_runs(http):
    assert (await http.get("/taken")).status_code == 200
    assert ran == ["taken"]


async def test_a_scheme_that_refuses_runs(http):
    assert (await http.get("/strict")).status_code >= 400
    assert ran == ["strict"]


async def test_all_of_them_are_in_the_document(http):
    document = (await http.get("/openapi.json")).json()
    schemes = {path: on["get"].get("security") for path, on in document["paths"].items()}
    assert [schemes[f"/{name}"] for name in ("shown", "taken", "strict")] == [
        [{"shown": []}],
        [{"taken": []}],
        [{"strict": []}],
    ]
