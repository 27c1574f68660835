"""Every answer tells a browser to load, run, frame, keep and guess nothing."""

from __future__ import annotations

import re

import pytest
from fastapi import Response

from skyhold.kernel.http.routes import Routes

router = Routes()


@router.get("/thing")
async def thing() -> dict[str, bool]:
    return {"here": True}


@router.get("/page")
async def page() -> Response:
    return Response(headers={"Content-Security-Policy": "sandbox", "Cache-Control": "max-age=60"})


@router.get("/boom")
async def boom() -> None:
    raise RuntimeError


@pytest.fixture
async def http(serve):
    return await serve(router)


EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/thing", 200),
        ("GET", "/nowhere", 404),
        ("DELETE", "/thing", 405),
        ("GET", "/boom", 500),
        ("GET", "/thing?" + "x" * 9_000, 414),
        ("GET", "/livez", 200),
        ("GET", "/readyz", 200),
        ("GET", "/metrics", 200),
        ("GET", "/openapi.json", 200),
    ],
)
async def test_every_answer_has_them_once(http, method, path, status):
    reply = await http.request(method, path)
    assert reply.status_code == status
    names = [name.lower() for name, _ in reply.headers.raw]
    assert len(names) == len(set(names))
    assert {name: reply.headers[name] for name in EVERYWHERE} == EVERYWHERE
    assert reply.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert reply.headers["cache-control"] == "no-store"
    assert "camera=()" in reply.headers["permissions-policy"]
    assert "strict-transport-security" not in reply.headers


async def test_what_a_handler_says_itself_stands(http):
    reply = await http.get("/page")
    assert reply.headers.get_list("content-security-policy") == ["sandbox"]
    assert reply.headers.get_list("cache-control") == ["max-age=60"]
    assert reply.headers["x-frame-options"] == "DENY"


async def test_where_cookies_are_secure_browsers_come_back_over_https(serve):
    http = await serve(router, secure=True)
    for path in ("/thing", "/nowhere"):
        reply = await http.get(path)
        assert reply.headers["strict-transport-security"] == "max-age=31536000"


async def test_the_documents_run_nothing_but_their_own_files(http):
    reply = await http.get("/docs")
    policy = dict(
        part.strip().split(" ", 1) for part in reply.headers["content-security-policy"].split(";")
    )
    assert (policy["default-src"], policy["script-src"]) == ("'none'", "'self'")
    assert policy["frame-ancestors"] == "'none'"
    assert re.findall(r"<script([^>]*)>(.*?)</script>", reply.text, re.DOTALL)
    assert not re.search(r"<script[^>]*>[^<]|\son\w+=|<style|style=", reply.text)


async def test_the_documents_are_served_from_here(http):
    page = await http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    links = re.findall(r'(?:src|href|data-document)="([^"]+)"', page.text)
    assert len(links) == 5
    for link in links:
        assert link.startswith("/")
        loaded = await http.get(link)
        assert (loaded.status_code, loaded.headers["x-content-type-options"]) == (200, "nosniff")
        assert loaded.content
    assert (await http.get("/openapi.json")).json()["paths"].keys() >= {"/thing", "/problems"}
