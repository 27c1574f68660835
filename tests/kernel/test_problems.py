"""Every error is problem+json: it names what is wrong and never repeats what was sent."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

import pytest
from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, field_validator

from skyhold.kernel.errors import (
    Conflict,
    FieldError,
    NotReady,
    Problem,
    Unauthorized,
    Unavailable,
    Unprocessable,
)
from skyhold.kernel.http.problems import ERRORS_MAX, documented
from skyhold.kernel.http.routes import Routes

JSON = {"content-type": "application/json"}
SENT = "hunter2"

router = Routes()


class Guest(BaseModel):
    name: str = Field(max_length=5)
    age: int = Field(ge=0)


class Party(BaseModel):
    model_config = ConfigDict(extra="forbid")

    guests: list[Guest]
    cabin: Literal["economy", "first"] = "economy"
    id: UUID | None = None

    @field_validator("guests")
    @classmethod
    def _somebody(cls, guests: list[Guest]) -> list[Guest]:
        if not guests:
            msg = "a party needs somebody"
            raise ValueError(msg)
        return guests


@router.post("/parties")
async def create_party(party: Party) -> dict[str, int]:
    return {"guests": len(party.guests)}


@router.get("/parties/{number}")
async def read_party(number: int, limit: Annotated[int, Query(le=9)] = 1) -> dict[str, int]:
    return {"number": number, "limit": limit}


@router.put("/parties/{number}")
async def mend_party(number: int) -> int:
    return number


@router.get("/days/{day}")
async def read_day(day: date) -> date:
    return day


PROBLEMS = {
    "conflict": Conflict("Somebody else was quicker."),
    "unauthorized": Unauthorized(),
    "unavailable": Unavailable(retry_after_s=7),
    "unprocessable": Unprocessable("No.", errors=(FieldError("seats.0", "is taken"),)),
}


@router.get("/problem/{name}")
async def problem(name: str) -> None:
    raise PROBLEMS[name]


@pytest.fixture
async def http(serve):
    async def ready() -> None:
        raise NotReady("The database is on holiday.")

    return await serve(router, ready=ready, body_bytes_max=65_536)


def read(reply):
    """The problem in an answer."""
    assert reply.headers["content-type"] == "application/problem+json"
    body = reply.json()
    assert body["status"] == reply.status_code
    assert body["type"] == f"/problems/{body['code']}"
    assert body["title"]
    assert body["detail"]
    assert body["instance"] == reply.headers["x-request-id"]
    return body


# --- our own and the framework's -------------------------------------------------------------


async def test_a_problem_carries_its_own_answer(http):
    body = read(await http.get("/problem/conflict"))
    assert (body["status"], body["code"], body["title"]) == (409, "conflict", "Conflict")
    assert body["detail"] == "Somebody else was quicker."
    assert "errors" not in body


async def test_without_a_text_of_its_own_a_problem_says_what_its_class_does(http):
    assert read(await http.get("/problem/unauthorized"))["detail"] == "Please log in first."


async def test_a_401_says_how_to_authenticate(http):
    reply = await http.get("/problem/unauthorized")
    assert reply.headers["www-authenticate"] == "Bearer"


async def test_a_503_says_when_to_come_back(http):
    reply = await http.get("/problem/unavailable")
    assert (read(reply)["status"], reply.headers["retry-after"]) == (503, "7")


async def test_a_problem_may_name_fields(http):
    body = read(await http.get("/problem/unprocessable"))
    assert body["errors"] == [{"field": "seats.0", "message": "is taken"}]


@pytest.mark.parametrize("path", ["/nowhere", "/Parties", "/parties/1/2", "/%2e%2e", "/é"])
async def test_an_unknown_path_is_404(http, path):
    assert read(await http.get(path))["code"] == "not_found"


@pytest.mark.parametrize("path", ["/parties/1/", "/problems/", "/docs/", "/livez/"])
async def test_a_trailing_slash_is_404_and_no_redirect(http, path):
    reply = await http.get(path)
    assert (reply.status_code, reply.headers.get("location")) == (404, None)
    assert read(reply)["code"] == "not_found"


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "GET", "BREW"])
async def test_a_wrong_method_is_told_every_right_one_of_its_address(http, method):
    reply = await http.request(method, "/parties/1")
    if method in {"GET", "PUT"}:
        assert reply.status_code == 200
    else:
        assert (reply.status_code, reply.headers["allow"]) == (405, "GET, HEAD, PUT")


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "GET", "BREW"])
async def test_a_wrong_method_is_405_and_says_which_is_right(http, method):
    reply = await http.request(method, "/parties")
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
    assert read(reply)["code"] == "method_not_allowed"


async def test_who_cannot_work_says_why(http):
    assert (await http.get("/livez")).status_code == 200
    body = read(await http.get("/readyz"))
    assert (body["status"], body["code"]) == (503, "not_ready")
    assert body["detail"] == "The database is on holiday."


# --- input -----------------------------------------------------------------------------------

UNREADABLE = {
    "truncated": b'{"guests": [',
    "trailing garbage": b'{"guests": []} x',
    "not JSON": b"guests=1",
    "not UTF-8": b'{"guests": "\xff"}',
    "deep": b"[" * 60_000,
    "a number too long to read": b'{"guests": ' + b"9" * 60_000 + b"}",
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_a_body_that_cannot_be_read_is_400(http, content):
    body = read(await http.post("/parties", content=content, headers=JSON))
    assert (body["status"], body["code"]) == (400, "bad_request")
    assert "errors" not in body


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b'"x"', b"7"])
async def test_a_body_that_is_no_object_is_422(http, content):
    body = read(await http.post("/parties", content=content, headers=JSON))
    assert (body["status"], body["code"]) == (422, "invalid")
    assert [error["field"] for error in body["errors"]] == ["body"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
async def test_a_body_of_another_content_type_is_415(http, kind):
    headers = {} if kind is None else {"content-type": kind}
    content = b'{"guests": [{"name": "Ada", "age": 36}]}'
    body = read(await http.post("/parties", content=content, headers=headers))
    assert (body["status"], body["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "APPLICATION/JSON"])
async def test_json_is_json_however_it_is_spelled(http, kind):
    content = b'{"guests": [{"name": "Ada", "age": 36}]}'
    reply = await http.post("/parties", content=content, headers={"content-type": kind})
    assert reply.json() == {"guests": 1}


WRONG = {
    "guests": {"guests": SENT},
    "guests.0": {"guests": [SENT]},
    "guests.0.name": {"guests": [{"name": SENT, "age": 1}]},
    "guests.1.age": {"guests": [{"name": "Ada", "age": 1}, {"name": "Bob", "age": SENT}]},
    "cabin": {"guests": [{"name": "Ada", "age": 1}], "cabin": SENT},
    "is_admin": {"guests": [{"name": "Ada", "age": 1}], "is_admin": SENT},
}


@pytest.mark.parametrize(("field", "sent"), WRONG.items(), ids=WRONG.keys())
async def test_what_is_wrong_is_named_and_not_repeated(http, field, sent):
    reply = await http.post("/parties", json=sent)
    body = read(reply)
    assert (body["status"], body["code"]) == (422, "invalid")
    assert [error["field"] for error in body["errors"]] == [field]
    assert SENT not in reply.text


async def test_what_is_wrong_in_the_path_and_the_query_is_named_with_its_place(http):
    reply = await http.get(f"/parties/{SENT}?limit=10")
    assert [error["field"] for error in read(reply)["errors"]] == ["path.number", "query.limit"]
    assert SENT not in reply.text


async def test_a_rule_of_ours_speaks_in_its_own_words(http):
    body = read(await http.post("/parties", json={"guests": []}))
    assert body["errors"] == [{"field": "guests", "message": "a party needs somebody"}]


async def test_a_date_that_is_none_is_explained_by_an_example(http):
    body = read(await http.get("/days/tomorrow"))
    assert body["errors"] == [
        {"field": "path.day", "message": "must be a date, such as 2026-12-01"},
    ]


async def test_a_long_list_of_errors_is_cut(http):
    body = read(await http.post("/parties", json={"guests": [7] * 1_000}))
    assert len(body["errors"]) == ERRORS_MAX


# --- documents -------------------------------------------------------------------------------


async def test_problems_are_listed_and_explained(http):
    listed = (await http.get("/problems")).json()["data"]
    codes = [one["code"] for one in listed]
    assert codes == sorted(set(codes))
    assert {"bad_request", "unauthorized", "conflict", "invalid", "not_ready"} <= set(codes)
    for one in listed:
        assert (await http.get(f"/problems/{one['code']}")).json() == one
        assert 400 <= one["status"] < 600
        assert one["detail"]


async def test_the_type_of_every_problem_leads_to_its_explanation(http, logged):
    replies = {
        400: await http.post("/parties", content=b"{", headers=JSON),
        401: await http.get("/problem/unauthorized"),
        404: await http.get("/nowhere"),
        405: await http.delete("/parties"),
        409: await http.get("/problem/conflict"),
        413: await http.post("/parties", content=b"x" * 70_000, headers=JSON),
        415: await http.post("/parties", content=b"{}", headers={"content-type": "text/plain"}),
        422: await http.post("/parties", json={}),
        500: await http.get("/problem/unknown"),
        503: await http.get("/readyz"),
    }
    for status, reply in replies.items():
        body = read(reply)
        explained = (await http.get(body["type"])).json()
        assert (explained["code"], explained["status"]) == (body["code"], status)
    assert read(await http.get("/problems/no_such_code"))["code"] == "unknown_problem"


def test_no_two_problems_share_a_code():
    def kinds(kind):
        for below in kind.__subclasses__():
            yield below
            yield from kinds(below)

    own = [kind.code for kind in kinds(Problem) if "code" in vars(kind)]
    assert sorted(own) == sorted(Problem.catalogue())


def test_the_problems_of_a_route_are_documented_by_status():
    found = documented(Conflict, NotReady, Unavailable)
    assert sorted(found) == [409, 503]
    assert "`not_ready`" in found[503]["description"]
    assert "`unavailable`" in found[503]["description"]
