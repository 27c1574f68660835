"""The outermost layer: request ids, the body limit, the access log, the last resort."""

from __future__ import annotations

from uuid import UUID

import pytest
from fastapi import Request
from structlog.contextvars import get_contextvars

from skyhold.kernel.http.doorkeeper import Edge
from skyhold.kernel.http.gateway import Gateway
from skyhold.kernel.http.routes import Routes

PROBLEM = "application/problem+json"
JSON = {"content-type": "application/json"}
BODY_BYTES_MAX = 1_024

router = Routes()


@router.get("/context")
async def context() -> dict[str, str]:
    """What every log line of this request carries."""
    return dict(get_contextvars())


@router.post("/echo")
async def echo(body: dict[str, str]) -> dict[str, str]:
    return body


@router.post("/raw")
async def raw(request: Request) -> dict[str, int]:
    return {"bytes": len(await request.body())}


@router.get("/boom")
async def boom() -> None:
    raise RuntimeError("the password is hunter2")


@pytest.fixture
async def http(serve):
    return await serve(router, body_bytes_max=BODY_BYTES_MAX)


@pytest.fixture
async def bare():
    """An application without a framework, behind a gateway; answers what it sends."""

    async def ask(app, *messages):
        incoming, sent = iter(messages), []

        async def receive():
            return next(incoming)

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        await Gateway(app, service="bare", edge=Edge(BODY_BYTES_MAX))(scope, receive, send)
        return sent

    return ask


# --- request ids -----------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["req-7", "A", "a.b_c-9", "f" * 64])
async def test_a_request_id_is_accepted_echoed_and_in_every_log_line(http, given):
    reply = await http.get("/context", headers={"X-Request-ID": given})
    assert reply.headers.get_list("x-request-id") == [given]
    assert reply.json() == {"request_id": given, "service": "a-service"}


@pytest.mark.parametrize(
    "given", ["", "f" * 65, "a b", "a\tb", "a/b", "${jndi}", "é".encode("latin-1"), "a,b"], ids=repr
)
async def test_a_request_id_that_could_do_harm_in_a_log_is_replaced(http, given):
    reply = await http.get("/context", headers={"X-Request-ID": given})
    assert UUID(reply.headers["x-request-id"]).version == 7
    assert reply.json()["request_id"] == reply.headers["x-request-id"]


async def test_every_request_without_an_id_is_given_its_own(http):
    ids = {(await http.get("/context")).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


async def test_a_problem_names_the_request(http):
    reply = await http.get("/nowhere", headers={"X-Request-ID": "req-7"})
    assert reply.json()["instance"] == reply.headers["x-request-id"] == "req-7"


async def test_nothing_of_a_request_stays_in_the_log_context(http):
    await http.get("/context")
    assert get_contextvars() == {}


async def test_no_answer_is_to_be_guessed_at(http):
    for path in ("/context", "/nowhere", "/docs"):
        assert (await http.get(path)).headers["x-content-type-options"] == "nosniff"


# --- what else the log is told ---------------------------------------------------------------

BOOKING = "018f4b6e-3d3a-7c51-9f0a-2f1f4c1f9a77"


@pytest.mark.parametrize(
    "baggage",
    [
        f"booking_id={BOOKING}",
        f"user=7,booking_id={BOOKING}",
        f"booking_id = {BOOKING} ; shown=no ,user=7",
    ],
)
async def test_the_booking_id_in_the_baggage_is_in_every_log_line(http, baggage, logged):
    reply = await http.get("/context", headers={"baggage": baggage, "X-Request-ID": "req-7"})
    assert reply.json() == {"request_id": "req-7", "service": "a-service", "booking_id": BOOKING}
    assert get_contextvars() == {}


@pytest.mark.parametrize(
    "baggage",
    [
        "",
        "booking_id",
        "booking_id=",
        "booking_id=7",
        f"booking_id={BOOKING.upper()}",
        f"booking_id={BOOKING}x",
        f"booking_id=%0a{BOOKING}",
        f"Booking_id={BOOKING}",
        f"other_booking_id={BOOKING}",
        f"user=booking_id={BOOKING}",
        f"user=7;booking_id={BOOKING}",
    ],
)
async def test_baggage_that_is_none_of_our_ids_is_in_no_log_line(http, baggage):
    reply = await http.get("/context", headers={"baggage": baggage})
    assert set(reply.json()) == {"request_id", "service"}


# --- the body limit --------------------------------------------------------------------------


def body_of(size):
    return b'{"a":"' + b"x" * (size - 8) + b'"}'


async def in_chunks(body, size=100):
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.mark.parametrize("cut", [bytes, in_chunks], ids=["content-length", "chunks"])
@pytest.mark.parametrize("path", ["/echo", "/raw"])
async def test_a_body_over_the_limit_is_413(http, path, cut):
    fits = await http.post(path, content=cut(body_of(BODY_BYTES_MAX)), headers=JSON)
    assert fits.status_code == 200
    too_large = await http.post(path, content=cut(body_of(BODY_BYTES_MAX + 1)), headers=JSON)
    assert too_large.status_code == 413
    assert too_large.headers["content-type"] == PROBLEM
    assert too_large.json()["code"] == "body_too_large"
    assert "x" * 8 not in too_large.text


async def test_of_a_large_body_no_more_than_the_limit_is_read(http):
    chunks = []

    async def large():
        for number in range(10_000):
            chunks.append(number)
            yield b"x" * 100

    assert (await http.post("/raw", content=large(), headers=JSON)).status_code == 413
    assert len(chunks) == BODY_BYTES_MAX // 100 + 1


# --- the access log --------------------------------------------------------------------------


async def test_every_request_is_one_log_line_without_its_query(http, logged):
    await http.get("/context?token=secret")
    await http.get("/nowhere")
    lines = [(line["event"], line["method"], line["path"], line["status"]) for line in logged]
    assert lines == [
        ("http.request", "GET", "/context", 422),
        ("http.request", "GET", "/nowhere", 404),
    ]
    assert "secret" not in repr(logged)


async def test_the_questions_of_a_supervisor_are_not_logged(http, logged):
    for path in ("/livez", "/readyz"):
        assert (await http.get(path)).json() == {"status": "ok"}
    assert logged == []


# --- the last resort -------------------------------------------------------------------------


async def test_what_goes_wrong_inside_is_a_problem_and_its_cause_stays_inside(http, logged):
    reply = await http.get("/boom", headers={"X-Request-ID": "req-7"})
    assert (reply.status_code, reply.headers["content-type"]) == (500, PROBLEM)
    assert (reply.json()["code"], reply.json()["instance"]) == ("internal_error", "req-7")
    for told in ("hunter2", "RuntimeError", "Traceback", ".py"):
        assert told not in reply.text
    failed, access = logged
    assert (failed["event"], failed["path"], failed["exc_info"]) == ("http.failed", "/boom", True)
    assert (access["event"], access["status"]) == ("http.request", 500)


async def test_an_answer_that_has_begun_is_not_begun_again(bare, logged):
    async def breaking_off(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("the password is hunter2")

    [start] = await bare(breaking_off)
    assert start["status"] == 200
    assert [line["event"] for line in logged] == ["http.failed", "http.request"]
    assert logged[1]["status"] == 200


async def test_what_is_not_http_passes_untouched(bare):
    seen = []

    async def app(scope, _receive, _send):
        seen.append(scope["type"])

    await Gateway(app, service="bare", edge=Edge(1))({"type": "lifespan"}, None, None)
    assert seen == ["lifespan"]
