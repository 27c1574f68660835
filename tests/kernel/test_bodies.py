"""No route reads a body that is not plain JSON, whatever the route does with it."""

from __future__ import annotations

import gzip

import pytest
from fastapi import Request

from skyhold.kernel.http.routes import Routes

router = Routes()
reached = []


@router.post("/parsed")
async def parsed(body: dict[str, int]) -> dict[str, int]:
    reached.append(body)
    return body


@router.post("/raw")
async def raw(request: Request) -> dict[str, int]:
    reached.append(await request.body())
    return {"bytes": len(reached[-1])}


@router.post("/none")
async def none() -> None:
    reached.append(None)


@pytest.fixture
async def http(serve):
    reached.clear()
    return await serve(router, body_bytes_max=1_024)


async def in_pieces(content):
    for start in range(0, len(content), 3):
        yield content[start : start + 3]


both = pytest.mark.parametrize("path", ["/parsed", "/raw"])
cut = pytest.mark.parametrize("cut", [bytes, in_pieces], ids=["whole", "in pieces"])


@both
@cut
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"a": 1, "a": 2}', "The body is not valid JSON: an object has a key twice."),
        (b'{"a": 1e400}', "The body is not valid JSON: a number is too large."),
        (b'{"a": 1', "The body is not valid JSON: Expecting ',' delimiter at line 1, column 8."),
    ],
)
async def test_what_is_not_json_is_400_and_says_why(http, path, cut, content, says):
    reply = await http.post(
        path, content=cut(content), headers={"content-type": "application/json"}
    )
    body = reply.json()
    assert (reply.status_code, body["code"], body["detail"]) == (400, "bad_request", says)
    assert reply.headers["content-type"] == "application/problem+json"
    assert reached == []


@both
@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json ;charset="UTF-8"',
    ],
)
async def test_json_is_json_however_it_is_spelled(http, path, kind):
    reply = await http.post(path, content=b'{"a": 1}', headers={"content-type": kind})
    assert reply.status_code == 200


@both
@pytest.mark.parametrize(
    "kind",
    [
        None,
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "application/merge-patch+json",
        "application/json, text/plain",
        "application/json; charset=utf-16",
        "application/json; charset=utf-8; charset=latin-1",
        "application/json;boundary=x",
        "xapplication/json",
    ],
)
async def test_a_body_of_another_kind_is_415(http, path, kind):
    headers = {} if kind is None else {"content-type": kind}
    reply = await http.post(path, content=b'{"a": 1}', headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (415, "unsupported_media_type")
    assert reached == []


@both
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, identity", "x"])
async def test_what_is_packed_is_not_unpacked(http, path, encoding):
    headers = {"content-type": "application/json", "content-encoding": encoding}
    content = gzip.compress(b'{"a": 1}'.ljust(10_000))
    reply = await http.post(path, content=content, headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (415, "unsupported_media_type")
    assert "Content-Encoding" in reply.json()["detail"]
    assert reached == []


async def test_identity_is_no_encoding(http):
    headers = {"content-type": "application/json", "content-encoding": "Identity"}
    assert (await http.post("/raw", content=b"{}", headers=headers)).status_code == 200


async def test_a_body_that_nobody_reads_is_nobodys_business(http):
    reply = await http.post("/none", content=b"a=1", headers={"content-type": "text/plain"})
    assert reply.status_code == 200


async def test_no_body_is_no_json_and_no_other_kind(http):
    assert (await http.post("/raw")).json() == {"bytes": 0}


@both
async def test_a_body_that_says_it_is_too_long_is_refused_before_it_is_read(http, path):
    sent = []

    async def never():
        sent.append(1)
        yield b"{}"

    headers = {"content-type": "application/json", "content-length": "1025"}
    reply = await http.post(path, content=never(), headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (413, "body_too_large")
    assert reached == []


@both
async def test_a_body_that_lies_about_its_length_is_cut_where_it_is_too_long(http, path):
    headers = {"content-type": "application/json", "content-length": "2"}
    reply = await http.post(path, content=in_pieces(b" " * 2_000), headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (413, "body_too_large")
    assert reached == []
