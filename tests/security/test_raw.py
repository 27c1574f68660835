"""Requests that no library sends: refused or read as they are meant, and never as two things."""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import suppress

import pytest
import pytest_asyncio

from .test_corpus import INSIDE
from .wire import HungUp, Line, request

pytestmark = pytest.mark.asyncio(loop_scope="session")

BODY = json.dumps({"email": "a@example.com", "password": "correct horse"}).encode()
LOGIN = b"POST /api/v1/users/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
ME = b"GET /api/v1/users/me HTTP/1.1\r\nHost: a\r\n"
SMUGGLED = b"GET /api/v1/users/me HTTP/1.1\r\nHost: a\r\nX-Request-ID: smuggled\r\n\r\n"


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


def sized(body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return LOGIN + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body


# What is no request, or one that can be read in two ways. Each has to be refused, 400 to 431, or
# the connection ended; and what comes after it is never served as a request of its own.
MALFORMED = {
    "two lengths": LOGIN + b"Content-Length: 2\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY,
    "two lengths in one line": LOGIN + b"Content-Length: 2, 2\r\n\r\n{}" + SMUGGLED,
    "length and chunks": LOGIN
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + SMUGGLED,
    "chunks and length": LOGIN
    + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"
    + SMUGGLED,
    "chunks twice": LOGIN
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"
    + SMUGGLED,
    "chunks of a kind nobody knows": LOGIN
    + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"
    + SMUGGLED,
    "a length below zero": LOGIN + b"Content-Length: -1\r\n\r\n" + SMUGGLED,
    "a length with a plus": LOGIN + b"Content-Length: +2\r\n\r\n{}" + SMUGGLED,
    "a length in hexadecimal": LOGIN + b"Content-Length: 0x2\r\n\r\n{}" + SMUGGLED,
    "a length that is no number": LOGIN + b"Content-Length: two\r\n\r\n{}" + SMUGGLED,
    "a length beyond 2^64": LOGIN + b"Content-Length: 18446744073709551618\r\n\r\n{}" + SMUGGLED,
    "a blank before the colon": LOGIN + b"Content-Length : 2\r\n\r\n{}" + SMUGGLED,
    "chunk sizes that are none": LOGIN + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + SMUGGLED,
    "a chunk size beyond 2^64": LOGIN
    + b"Transfer-Encoding: chunked\r\n\r\n1ffffffffffffffff\r\n"
    + SMUGGLED,
    "a chunk longer than it says": LOGIN
    + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n"
    + SMUGGLED,
    "a folded header": ME + b"Authorization: Bearer\r\n x\r\n\r\n",
    "NUL in a header": ME + b"X-Request-ID: a\0b\r\n\r\n",
    "NUL in a header's name": ME + b"X\0: a\r\n\r\n",
    "CR in a header": ME + b"X-Request-ID: a\rX-Injected: b\r\n\r\n",
    "a header without a colon": ME + b"X-Request-ID\r\n\r\n",
    "a header without a name": ME + b": a\r\n\r\n",
    "a name with a blank": ME + b"X Request: a\r\n\r\n",
    "a small-letter method": b"get /api/v1/users/me HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method nobody knows": b"STEAL /api/v1/users/me HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method with a brace": b"G{T /api/v1/users/me HTTP/1.1\r\nHost: a\r\n\r\n",
    "no method": b" /api/v1/users/me HTTP/1.1\r\nHost: a\r\n\r\n",
    "no target": b"GET HTTP/1.1\r\nHost: a\r\n\r\n",
    "a blank in the target": b"GET /api/v1/users/me /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "NUL in the target": b"GET /api/v1/users/me\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a version that is none": b"GET /api/v1/users/me HTTP/x\r\nHost: a\r\n\r\n",
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /api/v1/users/me\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64) + b"\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
    "no HTTP at all": b"\x00\xff" * 40 + b"\r\n\r\n",
    "100 KiB of a header": ME + b"X-Long: " + b"a" * 102_400 + b"\r\n\r\n",
    "100 KiB of a target": b"GET /" + b"a" * 102_400 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "5,000 headers": ME + b"".join(b"X-%d: a\r\n" % n for n in range(5_000)) + b"\r\n",
}


@pytest_asyncio.fixture(loop_scope="session")
async def line(lab, service):
    """A connection of one's own, not used for anything else."""
    line = Line(getattr(lab.servers, service).url)
    yield line
    await line.close()


@pytest.fixture(params=["booking", "flight"])
def service(request):
    return request.param


async def everything(line: Line, content: bytes, *, within_s: float = 0.3):
    """All answers to these bytes; a server that waits for more of them gives none."""
    answers = []
    with suppress(HungUp, ConnectionError, TimeoutError):
        answers.append(await line.ask(content))
        async with asyncio.timeout(within_s):
            while not answers[-1].closes:
                answers.append(await line.more())
    await line.close()
    return answers


@pytest.mark.parametrize("name", MALFORMED)
async def test_what_can_be_read_in_two_ways_is_read_in_none(lab, line, service, name):
    before = await lab.written()
    answers = await everything(line, MALFORMED[name])
    lab.tally.inputs[f"{service} over a raw socket"] += 1
    for answer in answers:
        lab.tally.statuses[answer.status] += 1
        assert 400 <= answer.status < 500, (answer.status, answer.body)
        assert not INSIDE.search(answer.body.decode()), answer.body
        assert answer.header("x-request-id") != "smuggled", "the bytes after it were served"
        assert answer.header("x-injected") is None
    assert await lab.written() == before
    assert (await line.ask(request("GET", "/livez"))).status == 200


# What is a request after all, or close enough: the statuses that it may get.
UNUSUAL = {
    "bare line feeds": (ME.replace(b"\r\n", b"\n") + b"\n", {400, 401}),
    "empty lines before it": (b"\r\n\r\n" + ME + b"\r\n", {400, 401}),
    "HTTP/1.0 without Host": (b"GET /api/v1/users/me HTTP/1.0\r\n\r\n", {400, 401}),
    "HTTP/1.1 without Host": (b"GET /api/v1/users/me HTTP/1.1\r\n\r\n", {400, 401}),
    "two Hosts": (ME + b"Host: b\r\n\r\n", {400, 401}),
    "another Host": (ME.replace(b"Host: a", b"Host: evil.example") + b"\r\n", {400, 401}),
    "the absolute form": (
        b"GET http://evil.example/api/v1/users/me HTTP/1.1\r\nHost: a\r\n\r\n",
        {400, 401, 404},
    ),
    "the authority form": (b"GET evil.example:80 HTTP/1.1\r\nHost: a\r\n\r\n", {400, 404}),
    "CONNECT": (
        b"CONNECT evil.example:80 HTTP/1.1\r\nHost: evil.example:80\r\n\r\n",
        {400, 404, 405},
    ),
    "the asterisk form": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", {400, 404, 405}),
    "TRACE": (b"TRACE /api/v1/users/me HTTP/1.1\r\nHost: a\r\n\r\n", {404, 405}),
    "a fragment": (b"GET /api/v1/users/me#x HTTP/1.1\r\nHost: a\r\n\r\n", {400, 401, 404}),
    "an upgrade": (
        ME + b"Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        {400, 401, 403, 404, 426},
    ),
    "an upgrade to HTTP/2": (ME + b"Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n", {400, 401, 404}),
    "an extra header in the value": (
        ME + b"X-Request-ID: a%0d%0aX-Injected:%20b\r\n\r\n",
        {400, 401, 404},
    ),
    "a cookie of junk": (ME + b"Cookie: skyhold_access=\xff;;==;$Version=1\r\n\r\n", {400, 401}),
    "gzip that unpacks to 100 MB": (
        sized(gzip.compress(bytes(30_000_000)), b"Content-Encoding: gzip"),
        {400, 413, 415, 422},
    ),
    "gzip of a good body": (
        sized(gzip.compress(BODY), b"Content-Encoding: gzip"),
        {400, 404, 415, 422},
    ),
    "64 KiB + 1": (sized(BODY.ljust(65_537)), {404, 413}),
    "64 KiB + 1 in chunks": (
        LOGIN + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(*[b" " * 4_096] * 16, b" "),
        {404, 413},
    ),
    "depth 10^5": (sized(b"[" * 100_000), {404, 413}),
    "every byte a chunk": (
        LOGIN
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + chunked(*(bytes([byte]) for byte in b'{"email": 1}')),
        {404, 422},
    ),
    "chunks with extensions": (
        LOGIN + b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\n\r\n",
        {400, 404, 422},
    ),
    "trailers": (
        LOGIN
        + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nAuthorization: Bearer x\r\n\r\n",
        {400, 404, 422},
    ),
    "a body where none belongs": (
        ME + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY,
        {400, 401, 404},
    ),
    "Expect: 100-continue": (sized(b"{}", b"Expect: 100-continue"), {100, 404, 422}),
}


@pytest.mark.parametrize("name", UNUSUAL)
async def test_what_is_unusual_is_answered_once_and_opens_nothing(lab, line, service, name):
    content, statuses = UNUSUAL[name]
    before = await lab.written()
    answers = await everything(line, content)
    lab.tally.inputs[f"{service} over a raw socket"] += 1
    last = [answer for answer in answers if answer.status >= 200]
    for answer in answers:
        lab.tally.statuses[answer.status] += 1
        # The flight service has no users, so what asks for them is not found there.
        assert answer.status in statuses | {404}, (answer.status, answer.body)
        assert not INSIDE.search(answer.body.decode()), answer.body
        assert answer.header("x-injected") is None
    assert len(last) == 1, answers
    assert await lab.written() == before


async def test_requests_in_one_go_are_answered_in_their_order(line, service):
    ids = [f"nr-{n}" for n in range(20)]
    content = b"".join(request("GET", "/api/v1/nothing", {"X-Request-ID": id}) for id in ids)
    answers = await everything(line, content)
    assert [answer.header("x-request-id") for answer in answers] == ids
    assert {answer.status for answer in answers} == {404}


@pytest.mark.parametrize("left", [1, len(BODY) // 2, len(BODY) - 1])
async def test_a_request_cut_off_does_nothing(lab, line, service, left):
    """All of it but the end, and then the caller is gone."""
    before = await lab.written()
    body = json.dumps({"name": "A", "email": "cut@example.com", "password": "correct horse"})
    content = request(
        "POST",
        "/api/v1/users/register",
        {"Content-Type": "application/json"},
        body.encode(),
    )
    _, writer = await line._open()
    writer.write(content[: -min(left, len(body))])
    await writer.drain()
    await line.says_no_more()
    answers = []
    with suppress(HungUp):
        answers.append(await line.more())
    await line.close()
    assert all(400 <= answer.status < 500 for answer in answers)
    assert await lab.written() == before


# Ways to write the address of something that is not for everybody.
SPELLINGS = [
    "/api/v1/users/me/",
    "//api/v1/users/me",
    "/api//v1/users/me",
    "/api/v1/users//me",
    "/API/v1/users/me",
    "/api/v1/Users/me",
    "/api/v1/users/ME",
    "/./api/v1/users/me",
    "/api/v1/./users/me",
    "/api/v1/bookings/../users/me",
    "/api/v1/users/x/../me",
    "/api/v1/users/me/..",
    "/livez/../api/v1/users/me",
    "/docs/../api/v1/users/me",
    "/api/v1/users/%6de",
    "/api/v1/users%2fme",
    "/api/v1/users/%2e%2e/users/me",
    "/api/v1/users/..%2fme",
    "/api/v1/users/%252e%252e/me",
    "/api/v1/users/me%20",
    "/api/v1/users/me%00",
    "/api/v1/users/me%0a",
    "/api/v1/users/me;x=y",
    "/api/v1/users/me;jsessionid=1",
    "/api/v1/users/me.json",
    "/api/v1/users/me%3f",
    "/api/v1\\users\\me",
    "/api/v1/users/m%C3%A9",
    "/api/v1/users/%EF%BD%8De",
    "/api/v1/users/me?x=y",
    "/api/v1/users/me?access_token=x",
    "/api/v1/users/me#",
]


@pytest.mark.parametrize("service", ["booking"])
@pytest.mark.parametrize("target", SPELLINGS)
async def test_no_spelling_of_an_address_goes_around_its_guard(lab, line, service, target):
    """Without a token each is 401 or nothing; with one, each is the person or nothing."""
    stranger = await line.ask(request("GET", target))
    # 422: a query that the route does not know is refused before anybody is looked at.
    assert stranger.status in {400, 401, 404, 405, 422}, stranger.body
    known = await line.ask(request("GET", target, {"Authorization": f"Bearer {lab.alice.token}"}))
    assert known.status in {200, 400, 404, 405, 422}, known.body
    if known.status == 200:
        assert stranger.status == 401
    lab.tally.inputs["spellings of a path"] += 2


HEADERS = ["X-User-Id", "X-Forwarded-User", "X-Original-URL", "X-Rewrite-URL", "Remote-User"]


@pytest.mark.parametrize("service", ["booking"])
@pytest.mark.parametrize("name", HEADERS)
async def test_no_header_says_who_one_is_or_what_is_asked_for(lab, line, service, name):
    values = [lab.alice.email, "admin", "1", "/livez", "/api/v1/airports"]
    for value in values:
        assert (await line.ask(request("GET", "/api/v1/users/me", {name: value}))).status == 401
        lab.tally.inputs["headers that claim to be somebody"] += 1
    override = {"X-HTTP-Method-Override": "DELETE", "X-HTTP-Method": "DELETE"}
    mine = {"Authorization": f"Bearer {lab.alice.token}"}
    booking = await lab.booking()
    target = f"/api/v1/bookings/{booking['id']}"
    assert (await line.ask(request("GET", target, mine | override))).json()["status"] == "held"
