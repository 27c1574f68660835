"""Lines and headers that are too long or say two things, and addresses that only look like ours."""

from __future__ import annotations

import httpx
import pytest
from fastapi import Request
from kernel_edge_stage import asgi

from skyhold.kernel.errors import Unauthorized
from skyhold.kernel.http.heads import HEADERS_MAX, ONCE, TARGET_BYTES_MAX
from skyhold.kernel.http.routes import Routes

router = Routes()
reached = []


@router.get("/desk/{number}")
async def read_desk(number: str, request: Request, a: str = "") -> dict[str, str]:
    reached.append(request.scope["method"])
    if "authorization" not in request.headers:
        raise Unauthorized
    return {"number": number}


@router.post("/desk/{number}")
async def write_desk(number: str) -> dict[str, str]:
    reached.append("POST")
    return {"number": number}


@router.delete("/desk")
async def close_desk() -> None:
    reached.append("DELETE")


@pytest.fixture
async def http(serve):
    reached.clear()
    return await serve(router)


def problem(reply):
    assert reply.headers["content-type"] == "application/problem+json"
    return reply.status_code, reply.json()["code"]


# --- how long --------------------------------------------------------------------------------

AUTH = {"authorization": "Bearer x"}


async def test_an_address_that_is_too_long_is_414(http):
    path = "/desk/7?a="
    fits = path + "x" * (TARGET_BYTES_MAX - len(path))
    assert (await http.get(fits, headers=AUTH)).status_code == 200
    assert problem(await http.get(fits + "x")) == (414, "uri_too_long")
    assert problem(await http.get("/desk/" + "%41" * 2_800)) == (414, "uri_too_long")


def size_of(request):
    return sum(len(name) + len(value) + 4 for name, value in request.headers.raw)


async def test_headers_that_are_too_many_bytes_are_431(http):
    bare = http.build_request("GET", "/desk/7", headers=AUTH | {"x-a": ""})
    room = 16_384 - size_of(bare)
    for value, status in (("x" * room, 200), ("x" * (room + 1), 431)):
        reply = await http.get("/desk/7", headers=AUTH | {"x-a": value})
        assert reply.status_code == status
    assert problem(reply) == (431, "header_fields_too_large")


async def test_headers_that_are_too_many_are_431(http):
    already = len(http.build_request("GET", "/desk/7", headers=AUTH).headers.raw)
    many = {f"x-{number}": "" for number in range(HEADERS_MAX - already)}
    assert (await http.get("/desk/7", headers=AUTH | many)).status_code == 200
    assert problem(await http.get("/desk/7", headers=AUTH | many | {"x-y": ""}))[0] == 431


# --- said twice ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(ONCE - {b"host", b"content-length"}))
@pytest.mark.parametrize("other", [b"a", b"b"], ids=["the same", "another"])
async def test_what_must_be_said_once_is_400_when_it_is_said_twice(http, name, other):
    headers = [(name, b"a"), (b"x-between", b""), (name.upper(), other)]
    reply = await http.get("/desk/7", headers=headers)
    assert problem(reply) == (400, "bad_request")
    assert name.decode().title() in reply.json()["detail"]
    assert reached == []


async def test_other_headers_may_come_twice(http):
    headers = [(b"accept", b"a/b"), (b"accept", b"c/d"), (b"authorization", b"Bearer x")]
    assert (await http.get("/desk/7", headers=headers)).status_code == 200


# --- NUL -------------------------------------------------------------------------------------


async def test_an_address_with_a_nul_is_nowhere(http):
    assert problem(await http.get("/desk/7%00")) == (404, "not_found")
    assert problem(await http.get("/desk/7?a=b%00c")) == (422, "invalid")
    assert reached == []


# --- addresses that look alike ---------------------------------------------------------------

VARIANTS = [
    "/desk/7/",
    "//desk/7",
    "/desk//7",
    "/Desk/7",
    "/DESK/7",
    "/desk/7//",
    "/./desk/7",
    "/x/../desk/7",
    "/x/%2e%2e/desk/7",
    "/desk/%2e%2e/desk/7",
    "/desk%2f7",
    "/desk%2F7",
    "/%2fdesk/7",
    "/desk;a=b/7",
    "/desk/;/7",
    "/desk/7;a=b",
    "/d%65sk/7",
    "/%64%65%73%6b/7",
    "/desk%20/7",
    "/desk/7%20",
    "/desk%09/7",
    "/desk\\7",
    "/desk/7%0d%0aX: y",
    "/desk/7%23",
    "/desk/7%3f",
    "/%ef%bc%8fdesk/7",
]


@pytest.mark.parametrize("target", VARIANTS)
async def test_no_spelling_of_an_address_gets_past_its_door(serve, target):
    """Either it is another address, which is nowhere, or the same one with the same door."""
    app = (await serve(router))._transport.app
    for method in ("GET", "HEAD"):
        status, headers, body = await asgi(app, method, target)
        assert status in {401, 404, 405}
        assert b"location" not in headers
        assert headers[b"content-type"] == b"application/problem+json"
        assert b"number" not in body


# --- methods ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"])
async def test_another_method_is_405_and_told_all_that_there_are(http, method):
    reply = await http.send(httpx.Request(method, "http://skyhold.test/desk/7"))
    assert problem(reply) == (405, "method_not_allowed")
    assert reply.headers["allow"] == "GET, HEAD, POST"


async def test_what_cannot_be_read_does_not_answer_to_head(http):
    reply = await http.head("/desk")
    assert (reply.status_code, reply.headers["allow"]) == (405, "DELETE")
    assert (await http.post("/livez")).headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/desk/7", "/nowhere", "/livez", "/docs", "/openapi.json"])
async def test_head_is_answered_as_get_without_the_body(http, path):
    got, told = await http.get(path, headers=AUTH), await http.head(path, headers=AUTH)
    assert told.status_code == got.status_code
    assert told.content == b""
    changing = {"x-request-id"}
    if got.status_code == 404:
        changing.add("content-length")  # the problem names the request
    for name in set(got.headers) - changing:
        assert told.headers[name] == got.headers[name]


async def test_head_is_logged_as_what_it_is(http, logged):
    await http.head("/desk/7", headers=AUTH)
    assert [(line["method"], line["status"]) for line in logged] == [("HEAD", 200)]
