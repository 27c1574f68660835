"""The pages of allowed origins may call, with the user's cookie; others are told nothing."""

from __future__ import annotations

import pytest

from skyhold.kernel.http.routes import Routes

SHOP = "https://shop.example"
EVIL = "https://evil.example"
ASKS = {"access-control-request-method": "PATCH", "access-control-request-headers": "content-type"}
router = Routes()


@router.get("/thing")
async def thing() -> dict[str, bool]:
    return {"here": True}


@router.get("/boom")
async def boom() -> None:
    raise RuntimeError


@pytest.fixture
async def http(serve):
    return await serve(router, origins=frozenset({SHOP}))


def allowed(reply):
    return {
        name.removeprefix("access-control-"): value
        for name, value in reply.headers.items()
        if name.startswith("access-control-allow-origin")
    }.get("allow-origin")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/thing", 200),
        ("GET", "/nowhere", 404),
        ("POST", "/thing", 405),
        ("GET", "/boom", 500),
        ("GET", "/thing?a=" + "x" * 9_000, 414),
        ("GET", "/thing?a=%00", 422),
    ],
)
async def test_a_page_of_an_allowed_origin_may_read_every_answer(http, method, path, status):
    reply = await http.request(method, path, headers={"origin": SHOP})
    assert (reply.status_code, allowed(reply)) == (status, SHOP)
    assert reply.headers["access-control-allow-credentials"] == "true"
    assert "Origin" in reply.headers["vary"]
    exposed = set(reply.headers["access-control-expose-headers"].split(", "))
    assert exposed >= {"Location", "Retry-After", "RateLimit", "X-Request-ID"}


@pytest.mark.parametrize("origin", [EVIL, "null", "http://shop.example", f"{SHOP}.evil.example"])
async def test_a_page_of_another_origin_may_read_none(http, origin):
    for path in ("/thing", "/nowhere"):
        reply = await http.get(path, headers={"origin": origin})
        assert allowed(reply) is None
        assert "Origin" in reply.headers["vary"]


async def test_an_allowed_origin_is_told_what_it_may_send(http):
    headers = ASKS | {"origin": SHOP, "access-control-request-headers": "idempotency-key"}
    reply = await http.options("/thing", headers=headers)
    assert (reply.status_code, allowed(reply)) == (200, SHOP)
    assert reply.headers["access-control-allow-credentials"] == "true"
    methods = set(reply.headers["access-control-allow-methods"].split(", "))
    assert methods == {"GET", "POST", "PUT", "PATCH", "DELETE"}
    told = {name.lower() for name in reply.headers["access-control-allow-headers"].split(", ")}
    asked = {"authorization", "content-type", "idempotency-key", "x-request-id", "traceparent"}
    assert asked <= told
    assert "*" not in reply.headers.values()


@pytest.mark.parametrize(
    "change",
    [
        {"origin": EVIL},
        {"access-control-request-method": "TRACE"},
        {"access-control-request-headers": "x-deadline-ms"},
    ],
    ids=repr,
)
async def test_what_may_not_be_sent_is_a_problem(http, change):
    reply = await http.options("/thing", headers={"origin": SHOP} | ASKS | change)
    assert (reply.status_code, reply.json()["code"]) == (400, "bad_request")
    assert reply.headers["content-type"] == "application/problem+json"


async def test_where_no_origin_is_allowed_nothing_is_said(serve):
    http = await serve(router)
    for reply in (
        await http.get("/thing", headers={"origin": SHOP}),
        await http.options("/thing", headers=ASKS | {"origin": SHOP}),
    ):
        assert not [name for name in reply.headers if name.startswith("access-control")]
    assert reply.status_code == 405
