"""What a client may cost before it has sent a request, on real connections."""

from __future__ import annotations

import asyncio
import json
import pickle
from contextlib import suppress

import pytest
from kernel_edge_stage import listening

from skyhold.kernel.http.protocol import bounded
from skyhold.kernel.http.routes import Routes
from skyhold.kernel.settings import KernelSettings

GET = b"GET /thing HTTP/1.1\r\nHost: skyhold.test\r\n\r\n"
POST = b"POST /thing HTTP/1.1\r\nHost: skyhold.test\r\nContent-Type: application/json\r\n"
# Long for a request on this machine, short for a test that waits for it.
SHORT_S = 0.3

router = Routes()
seen = []


@router.get("/thing")
async def read() -> dict[str, bool]:
    return {"here": True}


@router.post("/thing")
async def write(body: dict[str, str]) -> dict[str, str]:
    seen.append(body)
    return body


@pytest.fixture
async def app(serve):
    seen.clear()
    return (await serve(router, body_bytes_max=65_536))._transport.app


@pytest.fixture
async def server(app):
    async with listening(app) as server:
        yield server


@pytest.fixture
async def impatient(app):
    async with listening(app, head_timeout_s=SHORT_S, body_timeout_s=SHORT_S) as server:
        yield server


def problem(answer):
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    body = json.loads(answer.body)
    assert body["status"] == answer.status
    return answer.status, body["code"]


async def trickle(wire, byte, piece_s=0.02):
    """One byte after another, until nobody listens any more."""
    with suppress(ConnectionError):
        while not wire.reader.at_eof():
            await wire.say(byte)
            await asyncio.sleep(piece_s)


# --- heads -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "start", [b"GET /thing HTTP/1.1\r\nX-A: ", b"GET /", b"GET / HTTP/1.1\r\nx"]
)
async def test_a_head_that_does_not_end_is_431_and_not_kept(server, start):
    async with server.wire() as wire:
        await wire.say(start)
        sent = 0
        with suppress(ConnectionError):
            while not wire.reader._buffer and sent < 100_000_000:
                await wire.say(b"x" * 4_096)
                await asyncio.sleep(0)
                sent += 4_096
        assert problem(await wire.answer()) == (431, "header_fields_too_large")
        assert await wire.is_closed()
        assert sent < 10_000_000


async def test_headers_that_do_not_end_are_431(server):
    async with server.wire() as wire:
        await wire.say(b"GET /thing HTTP/1.1\r\n")
        for number in range(2_000):
            await wire.say(b"x-%d: y\r\n" % number * 10)
            if wire.reader._buffer:
                break
            await asyncio.sleep(0)
        assert problem(await wire.answer()) == (431, "header_fields_too_large")


async def test_a_head_that_ends_too_late_is_408(impatient):
    async with impatient.wire() as wire:
        await wire.say(b"GET /thing HTTP/1.1\r\nX-A: ")
        slow = asyncio.create_task(trickle(wire, b"x"))
        assert problem(await wire.answer()) == (408, "request_timeout")
        assert await wire.is_closed()
        await slow


@pytest.mark.parametrize("said", [b"", b"\r\n", GET], ids=["nothing", "an empty line", "once"])
async def test_who_asks_nothing_is_not_kept_waiting_for(impatient, said):
    async with impatient.wire() as wire:
        await wire.say(said)
        if said == GET:
            assert (await wire.answer()).status == 200
            await wire.say(b"\r\n")
        assert await wire.is_closed()


async def test_the_second_request_has_no_more_time_than_the_first(impatient):
    async with impatient.wire() as wire:
        await wire.say(GET)
        assert (await wire.answer()).status == 200
        await wire.say(b"GET /th")
        assert problem(await wire.answer()) == (408, "request_timeout")


async def test_a_head_in_pieces_is_read_when_it_comes_in_time(server):
    async with server.wire() as wire:
        for byte in GET:
            await wire.say(bytes([byte]))
            await asyncio.sleep(0)
        assert (await wire.answer()).status == 200
        await wire.say(GET + GET)
        assert [(await wire.answer()).status for _ in range(2)] == [200, 200]


# --- bodies ----------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [b"Content-Length: 9", b"Transfer-Encoding: chunked"])
async def test_a_body_that_ends_too_late_is_408_and_reaches_nobody(impatient, length):
    async with impatient.wire() as wire:
        await wire.say(POST + length + b"\r\n\r\n")
        assert problem(await wire.answer()) == (408, "request_timeout")
        assert await wire.is_closed()
        assert seen == []


async def test_a_body_that_is_announced_too_long_is_413_and_not_asked_for(server):
    async with server.wire() as wire:
        await wire.say(POST + b"Expect: 100-continue\r\nContent-Length: 65537\r\n\r\n")
        assert problem(await wire.answer()) == (413, "body_too_large")


async def test_after_a_body_that_was_too_long_the_connection_can_be_used(server):
    async with server.wire() as wire:
        await wire.say(POST + b"Content-Length: 65537\r\n\r\n", b"x" * 65_537, GET)
        assert problem(await wire.answer()) == (413, "body_too_large")
        assert (await wire.answer()).status == 200


async def test_chunks_that_become_too_long_are_413(server):
    async with server.wire() as wire:
        await wire.say(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(17):
            await wire.say(b"1000\r\n" + b" " * 4_096 + b"\r\n")
        await wire.say(b"0\r\n\r\n", GET)
        assert problem(await wire.answer()) == (413, "body_too_large")
        assert (await wire.answer()).status == 200


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 1_000),
        (b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Trailer: y\r\n" * 400),
        (b"Content-Length: 10000000000\r\n\r\n", b"x" * 6_000),
    ],
    ids=["chunks", "trailers", "one piece"],
)
async def test_a_body_that_does_not_end_is_cut_off(server, start, piece):
    async with server.wire() as wire:
        await wire.say(POST + start)
        sent = 0
        with suppress(ConnectionError):
            while not wire.reader.at_eof() and sent < 100_000_000:
                await wire.say(piece)
                await asyncio.sleep(0)
                sent += len(piece)
        assert sent < 20_000_000
        assert seen == []


async def test_what_comes_after_the_body_is_no_header(server):
    async with server.wire() as wire:
        await wire.say(
            POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
            b"0\r\nContent-Type: text/plain\r\nAuthorization: Bearer x\r\n\r\n",
            GET,
        )
        assert [(await wire.answer()).status for _ in range(2)] == [200, 200]


# --- what cannot be read ---------------------------------------------------------------------

UNREADABLE = {
    "noise": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "no method of HTTP": b"BREW /thing HTTP/1.1\r\n\r\n",
    "a method in lower case": b"get /thing HTTP/1.1\r\n\r\n",
    "a blank before the colon": b"GET /thing HTTP/1.1\r\nHost : a\r\n\r\n",
    "NUL in a header": b"GET /thing HTTP/1.1\r\nHost: a\x00b\r\n\r\n",
    "a bare line feed in a header": b"GET /thing HTTP/1.1\r\nHost: a\rb\r\n\r\n",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a length and chunks": POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "a length that is no number": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "a length beyond all numbers": POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n",
    "chunks of another size": POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "chunks that are not the last coding": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n",
    "no address": b"GET no-slash HTTP/1.1\r\nHost: a\r\n\r\n",
    "an address that is not ASCII": b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT": b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("raw", UNREADABLE.values(), ids=UNREADABLE)
async def test_what_cannot_be_read_is_a_problem_like_any_other(server, raw):
    async with server.wire() as wire:
        await wire.say(raw)
        assert problem(await wire.answer()) == (400, "bad_request")
        assert await wire.is_closed()
        assert seen == []


async def test_what_was_asked_before_is_answered_first(server):
    async with server.wire() as wire:
        await wire.say(GET + b"BREW / HTTP/1.1\r\n\r\n")
        assert (await wire.answer()).status == 200
        assert await wire.is_closed()


@pytest.mark.parametrize("twice", [b"Host: a", b"Content-Type: application/json", b"Cookie: a=b"])
async def test_a_header_that_comes_twice_is_400(server, twice):
    async with server.wire() as wire:
        await wire.say(POST + twice + b"\r\n" + twice + b"\r\nContent-Length: 2\r\n\r\n{}", GET)
        assert problem(await wire.answer()) == (400, "bad_request")
        assert (await wire.answer()).status == 200
        assert seen == []


async def test_nobody_is_given_a_websocket(server):
    async with server.wire() as wire:
        await wire.say(
            b"GET /thing HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert (await wire.answer()).status == 200


async def test_trace_and_head(server):
    async with server.wire() as wire:
        await wire.say(GET.replace(b"GET", b"TRACE"))
        assert problem(await wire.answer()) == (405, "method_not_allowed")
        await wire.say(GET.replace(b"GET", b"HEAD"))
        head = await wire.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        await wire.say(GET)  # its answer begins where that of HEAD has ended
        assert (await wire.answer()).status == 200


def test_the_processes_of_one_server_are_told_the_bounds():
    told = pickle.loads(pickle.dumps(bounded(KernelSettings(_env_file=None, head_timeout_s=7))))  # noqa: S301 - our own
    assert told.keywords["bounds"].head_timeout_s == 7
