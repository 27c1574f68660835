"""A call to another service ends in a clear answer or in Unknown, and in time."""

from __future__ import annotations

import asyncio
import json
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from structlog.contextvars import bound_contextvars

from skyhold.kernel.breaker import Breaker
from skyhold.kernel.client import (
    ATTEMPTS_MAX,
    REPLY_BYTES_MAX,
    Busy,
    NotTried,
    PyreqwestTransport,
    RawReply,
    Reply,
    ServiceClient,
    Unknown,
)
from skyhold.kernel.deadline import within
from support.system import free_port

OK = RawReply(200, b'{"status": "held"}')


@dataclass
class ScriptedTransport:
    """Answers as the script says, its last line again and again; an exception is raised."""

    script: list[Any]
    sent: list[tuple[str, str, dict[str, str], bytes | None]] = field(default_factory=list)
    closed: bool = False

    async def send(self, method, path, headers, body):
        self.sent.append((method, path, dict(headers), body))
        line = self.script[min(len(self.sent), len(self.script)) - 1]
        if isinstance(line, Exception):
            raise line
        return line

    async def close(self):
        self.closed = True


class SilentTransport(ScriptedTransport):
    """Never answers."""

    async def send(self, method, path, headers, body):
        await super().send(method, path, headers, body)
        await asyncio.Event().wait()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def calling(pauses):
    """A client of a transport, which does not really pause between attempts."""
    numbers = count(1)

    async def pause(seconds):
        pauses.append(seconds)

    def client(transport, *, deadline_s=5.0, sleep=pause, breaker=None):
        return ServiceClient(
            transport,
            party="another",
            breaker=breaker or Breaker("another", failures_max=1_000, pause_s=60),
            authorize=lambda: f"token-{next(numbers)}",
            deadline_s=deadline_s,
            sleep=sleep,
        )

    return client


async def test_an_answer_is_its_status_and_its_json_object(calling):
    transport = ScriptedTransport([RawReply(201, b'{"status": "held", "seats": ["1A"]}')])
    reply = await calling(transport).call("PUT", "/api/v1/holds/1", {"party": 2})
    assert reply == Reply(201, {"status": "held", "seats": ["1A"]})
    [(method, path, headers, body)] = transport.sent
    assert (method, path, json.loads(body)) == ("PUT", "/api/v1/holds/1", {"party": 2})
    assert 4_000 < int(headers.pop("x-deadline-ms")) <= 5_000
    assert headers == {
        "accept": "application/json",
        "content-type": "application/json",
        "authorization": "Bearer token-1",
    }


async def test_a_call_without_a_body_sends_none(calling):
    transport = ScriptedTransport([OK])
    await calling(transport).call("DELETE", "/api/v1/holds/1")
    [(_, _, headers, body)] = transport.sent
    assert body is None
    assert "content-type" not in headers


async def test_the_request_id_of_the_log_context_goes_along(calling):
    transport = ScriptedTransport([OK])
    with bound_contextvars(request_id="req-7"):
        await calling(transport).call("GET", "/")
    await calling(transport).call("GET", "/")
    assert [headers.get("x-request-id") for _, _, headers, _ in transport.sent] == ["req-7", None]


async def test_a_lost_answer_costs_a_repeat_with_a_fresh_authorization(calling, pauses):
    transport = ScriptedTransport([Unknown("lost"), RawReply(502, b"{}"), OK])
    reply = await calling(transport).call("PUT", "/holds/1", {"a": 1})
    assert reply == Reply(200, {"status": "held"})
    assert [headers["authorization"] for _, _, headers, _ in transport.sent] == [
        "Bearer token-1",
        "Bearer token-2",
        "Bearer token-3",
    ]
    assert {(method, path, body) for method, path, _, body in transport.sent} == {
        ("PUT", "/holds/1", b'{"a":1}')
    }
    assert len(pauses) == 2
    assert all(0 < pause < 0.5 for pause in pauses)


async def test_after_attempts_max_it_is_unknown(calling):
    transport = ScriptedTransport([Unknown("lost")])
    with pytest.raises(Unknown, match="lost"):
        await calling(transport).call("GET", "/")
    assert len(transport.sent) == ATTEMPTS_MAX


async def test_who_asks_for_patience_is_not_asked_again_at_once(calling):
    transport = ScriptedTransport([RawReply(503, b'{"status": "held"}')])
    with pytest.raises(Busy) as answer:
        await calling(transport).call("GET", "/")
    assert isinstance(answer.value, Unknown)  # it changes no state either
    assert len(transport.sent) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 429])
async def test_a_refusal_is_a_clear_answer_and_not_repeated(calling, status):
    transport = ScriptedTransport([RawReply(status, b'{"code": "no"}')])
    assert await calling(transport).call("GET", "/") == Reply(status, {"code": "no"})
    assert len(transport.sent) == 1


NONSENSE = {
    "500": RawReply(500, b'{"status": "held"}'),
    "502": RawReply(502, b'{"status": "held"}'),
    "599": RawReply(599, b'{"status": "held"}'),
    "informational": RawReply(101, b'{"status": "held"}'),
    "redirect": RawReply(302, b'{"status": "held"}'),
    "not modified": RawReply(304, b'{"status": "held"}'),
    "HTML": RawReply(200, b"<html>Welcome to the hotel's wifi</html>"),
    "HTML refusal": RawReply(404, b"<html>nginx</html>"),
    "empty": RawReply(200, b""),
    "array": RawReply(200, b'[{"status": "held"}]'),
    "null": RawReply(200, b"null"),
    "text": RawReply(200, b'"held"'),
    "cut off": RawReply(200, b'{"status": "he'),
    "two answers": RawReply(200, b'{"status": "held"}{"status": "gone"}'),
    "not UTF-8": RawReply(200, b'{"status": "\xff\xfe"}'),
    "deep": RawReply(200, b'{"status":' + b"[" * 100_000),
    "huge": RawReply(200, b'{"status": "' + b"x" * REPLY_BYTES_MAX + b'"}'),
}


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE.keys())
async def test_what_makes_no_sense_is_unknown(calling, nonsense):
    transport = ScriptedTransport([nonsense])
    with pytest.raises(Unknown):
        await calling(transport).call("GET", "/")
    assert len(transport.sent) == ATTEMPTS_MAX


async def test_the_largest_answer_is_still_one(calling):
    body = b'{"a": "' + b"x" * (REPLY_BYTES_MAX - 9) + b'"}'
    assert len(body) == REPLY_BYTES_MAX
    assert (await calling(ScriptedTransport([RawReply(200, body)])).call("GET", "/")).status == 200


async def test_silence_is_unknown_at_the_deadline(calling):
    transport = SilentTransport([OK])
    async with asyncio.timeout(2):
        with pytest.raises(Unknown, match=r"no answer within 0\.05 s"):
            await calling(transport, deadline_s=0.05).call("GET", "/")
    assert len(transport.sent) == 1


async def test_the_deadline_bounds_all_attempts_and_pauses_together(calling):
    async def for_ever(_):
        await asyncio.Event().wait()

    transport = ScriptedTransport([Unknown("lost")])
    async with asyncio.timeout(2):
        with pytest.raises(Unknown, match="no answer within"):
            await calling(transport, deadline_s=0.05, sleep=for_ever).call("GET", "/")
    assert len(transport.sent) == 1


async def test_to_close_the_client_closes_its_transport(calling):
    transport = ScriptedTransport([OK])
    await calling(transport).close()
    assert transport.closed


# --- the real transport ----------------------------------------------------------------------


@pytest.fixture
async def transport_to():
    opened = []

    def open_one(url="http://flight.internal", *, timeout_s=2.0, app=None):
        opened.append(PyreqwestTransport(url, timeout_s=timeout_s, app=app))
        return opened[-1]

    yield open_one
    for transport in opened:
        await transport.close()


async def echo(scope, receive, send):
    """An application that tells what it was asked."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    asked = {
        "method": scope["method"],
        "path": scope["path"],
        "query": scope["query_string"].decode(),
        "request_id": dict(scope["headers"]).get(b"x-request-id", b"").decode(),
        "body": body.decode(),
    }
    await answer(send, 200, json.dumps(asked).encode())


async def answer(send, status, body, *headers):
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    half = len(body) // 2
    await send({"type": "http.response.body", "body": body[:half], "more_body": True})
    await send({"type": "http.response.body", "body": body[half:], "more_body": False})


async def silent(_scope, _receive, _send):
    await asyncio.Event().wait()


async def cut_off(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b'{"status"', "more_body": True})


async def test_it_reaches_an_application_of_this_process(transport_to):
    reply = await transport_to(app=echo).send(
        "PUT", "/api/v1/holds/1?cancel=true", {"x-request-id": "req-7"}, b'{"a":1}'
    )
    assert reply.status == 200
    assert json.loads(reply.body) == {
        "method": "PUT",
        "path": "/api/v1/holds/1",
        "query": "cancel=true",
        "request_id": "req-7",
        "body": '{"a":1}',
    }


@pytest.mark.parametrize("app", [silent, cut_off])
async def test_an_application_that_does_not_finish_its_answer_is_unknown(transport_to, app):
    with pytest.raises(Unknown):
        await transport_to(timeout_s=0.05, app=app).send("GET", "/", {}, None)


async def test_a_port_where_nobody_listens_is_unknown(transport_to, calling):
    transport = transport_to(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unknown, match="refused"):
        await transport.send("GET", "/", {}, None)
    with pytest.raises(Unknown):
        await calling(transport).call("GET", "/")


@pytest.fixture
async def server():
    """A server on a real socket that answers every request with these bytes and hangs up."""
    servers = []

    async def start(reply: bytes) -> str:
        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(reply)
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        servers.append(await asyncio.start_server(serve, "127.0.0.1", 0))
        return f"http://127.0.0.1:{servers[-1].sockets[0].getsockname()[1]}"

    yield start
    for running in servers:
        running.close()
        await running.wait_closed()


async def test_it_reaches_a_server_over_tcp(transport_to, server):
    url = await server(b"HTTP/1.1 409 Conflict\r\ncontent-length: 2\r\n\r\n{}")
    assert await transport_to(url).send("GET", "/", {}, None) == RawReply(409, b"{}")


async def test_a_redirect_is_not_followed(transport_to, server, calling):
    elsewhere = await server(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
    redirect = f"HTTP/1.1 307 Moved\r\nlocation: {elsewhere}/\r\ncontent-length: 2\r\n\r\n{{}}"
    transport = transport_to(await server(redirect.encode()))
    assert (await transport.send("GET", "/", {}, None)).status == 307
    with pytest.raises(Unknown, match="307"):
        await calling(transport).call("GET", "/")


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{",
        b"SSH-2.0-OpenSSH\r\n\r\n",
    ],
    ids=["hung up", "cut off", "a chunk cut off", "not HTTP"],
)
async def test_an_answer_that_breaks_off_is_unknown(transport_to, server, reply):
    url = await server(reply)
    with pytest.raises(Unknown):
        await transport_to(url).send("GET", "/", {}, None)


# --- the breaker, the deadline, what goes along ----------------------------------------------


async def test_who_has_failed_again_and_again_is_not_even_asked(calling):
    transport = ScriptedTransport([Unknown("down")])
    client = calling(transport, breaker=Breaker("another", failures_max=2, pause_s=60))
    for _ in range(2):
        with pytest.raises(Unknown):
            await client.call("GET", "/x")
    sent = len(transport.sent)
    with pytest.raises(NotTried):
        await client.call("GET", "/x")
    assert len(transport.sent) == sent == 2 * ATTEMPTS_MAX


async def test_a_refusal_is_an_answer_and_no_failure(calling):
    transport = ScriptedTransport([RawReply(409, b'{"code": "sold_out"}')])
    client = calling(transport, breaker=Breaker("another", failures_max=1, pause_s=60))
    for _ in range(3):
        assert (await client.call("GET", "/x")).status == 409


async def test_no_call_lasts_longer_than_the_caller_waits(calling):
    with within(0.05), pytest.raises(Unknown, match=r"within 0\.0"):
        await calling(SilentTransport([OK]), deadline_s=2).call("GET", "/x")


async def test_what_is_left_of_the_time_goes_along(calling):
    transport = ScriptedTransport([OK])
    with within(1.5):
        await calling(transport, deadline_s=60).call("GET", "/x")
    assert 1_000 < int(transport.sent[0][2]["x-deadline-ms"]) <= 1_500


async def test_the_booking_that_it_is_about_goes_along(calling):
    transport = ScriptedTransport([OK])
    with bound_contextvars(booking_id="018f4b6e-3d3a-7c51-9f0a-2f1f4c1f9a77"):
        await calling(transport).call("GET", "/x")
    assert transport.sent[0][2]["baggage"] == "booking_id=018f4b6e-3d3a-7c51-9f0a-2f1f4c1f9a77"


@pytest.mark.parametrize("how", ["as it is", "packed", "in chunks"])
async def test_an_answer_without_end_is_not_heard_out(transport_to, calling, how):
    """One that sends on and on, or whose little answer unpacks to hundreds of megabytes."""
    serving = []

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        head = {
            "packed": "content-encoding: gzip\r\n",
            "in chunks": "transfer-encoding: chunked\r\n",
        }
        writer.write(f"HTTP/1.1 200 OK\r\nconnection: close\r\n{head.get(how, '')}\r\n".encode())
        part = b"10000\r\n" + bytes(65_536) + b"\r\n" if how == "in chunks" else bytes(65_536)
        packer = zlib.compressobj(wbits=31)
        serving.append((asyncio.current_task(), writer))
        with suppress(ConnectionError):
            for _ in range(20 * REPLY_BYTES_MAX // len(part)):  # far beyond what is read of it
                writer.write(packer.compress(part) if how == "packed" else part)
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        transport = transport_to(url, timeout_s=20)
        reply = await transport.send("GET", "/", {}, None)
        assert len(reply.body) == REPLY_BYTES_MAX + 1
        with pytest.raises(Unknown, match="an answer of"):
            await calling(transport, deadline_s=60).call("GET", "/")
        await cut_off(serving)


async def cut_off(serving):
    """Nobody goes on answering when the test is over."""
    for task, writer in serving:
        writer.transport.abort()
        task.cancel()
    await asyncio.gather(*(task for task, _ in serving), return_exceptions=True)


async def test_an_answer_byte_by_byte_is_waited_for_only_so_long(transport_to):
    """Each byte is in time, and all of them are not."""
    serving = []

    async def serve(reader, writer):
        serving.append((asyncio.current_task(), writer))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        transport = transport_to(url, timeout_s=0.3)
        async with asyncio.timeout(20):
            with pytest.raises(Unknown):
                await transport.send("GET", "/", {}, None)
        await cut_off(serving)
