"""Who says how long it waits is answered in that time, and what nobody waits for is cut off."""

from __future__ import annotations

import asyncio

import pytest
from fastapi.responses import StreamingResponse

from skyhold.kernel import deadline
from skyhold.kernel.background import Background
from skyhold.kernel.http.doorkeeper import Edge
from skyhold.kernel.http.gateway import Gateway
from skyhold.kernel.http.routes import Routes
from support.prometheus import Since

HEADER = "X-Deadline-Ms"
router = Routes()
happened: list[str] = []


@router.get("/left")
async def left() -> float | None:
    return deadline.remaining_s()


@router.get("/slow/{thing}")
async def slow(thing: str) -> None:
    happened.append(thing)
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 5)
    except asyncio.CancelledError:
        happened.append("cut off")
        raise


@router.get("/late")
async def late() -> None:
    raise TimeoutError("the handler's own")


@router.get("/stubborn")
async def stubborn() -> str:
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 5)
    except asyncio.CancelledError:
        return "all the same"


@router.get("/stream")
async def stream() -> StreamingResponse:
    async def parts():
        yield b"one "
        await asyncio.sleep(0.1)
        yield b"two"

    return StreamingResponse(parts())


@pytest.fixture
async def http(serve):
    happened.clear()
    client = await serve(router)
    client.headers["authorization"] = "Bearer a service's"
    return client


async def test_when_the_time_is_over_the_answer_is_503_and_the_work_is_cut_off(http, logged):
    since = Since()
    async with asyncio.timeout(2):
        reply = await http.get("/slow/a", headers={HEADER: "30", "X-Request-ID": "req-7"})
    assert (reply.status_code, reply.json()["code"]) == (503, "deadline_exceeded")
    assert reply.headers["content-type"] == "application/problem+json"
    assert (reply.headers["retry-after"], reply.headers["x-request-id"]) == ("1", "req-7")
    assert reply.json()["instance"] == "req-7"
    assert happened == ["a", "cut off"]
    assert [(line["event"], line["status"]) for line in logged] == [("http.request", 503)]
    labels = {"service": "a-service", "method": "GET", "route": "/slow/{thing}", "status": 503}
    assert since("skyhold_http_requests_total", **labels) == 1


async def test_what_is_answered_in_time_is_left_alone(http):
    reply = await http.get("/left", headers={HEADER: "60000"})
    assert reply.status_code == 200
    assert 59 < reply.json() <= 60


@pytest.mark.parametrize(
    "given",
    ["0", "-5", "", "soon", "1.5", "1e3", " 30 s", "٣٠", "+30", "0030", "10000000", "9" * 40],
)
async def test_a_deadline_that_makes_no_sense_is_ignored(http, given):
    reply = await http.get("/left", headers={HEADER: given.encode()})
    assert (reply.status_code, reply.json()) == (200, None)


@pytest.mark.parametrize("shown", ["", "Bearer a person's", "Basic a service's", "a service's"])
async def test_only_another_service_may_say_how_long_it_waits(http, shown):
    reply = await http.get("/left", headers={HEADER: "60000", "authorization": shown})
    assert (reply.status_code, reply.json()) == (200, None)


async def test_without_a_deadline_nothing_is_known_of_one(http):
    assert (await http.get("/left")).json() is None
    assert deadline.remaining_s() is None


async def test_a_timeout_of_the_handlers_own_is_no_deadline(http, logged):
    reply = await http.get("/late", headers={HEADER: "60000"})
    assert (reply.status_code, reply.json()["code"]) == (500, "internal_error")
    assert [line["event"] for line in logged] == ["http.failed", "http.request"]


async def test_an_answer_that_has_begun_is_not_cut_off(http):
    reply = await http.get("/stream", headers={HEADER: "50"})
    assert (reply.status_code, reply.text) == (200, "one two")


async def test_there_is_one_answer_even_when_the_handler_goes_on_and_gives_its_own(http):
    reply = await http.get("/stubborn", headers={HEADER: "30"})
    assert (reply.status_code, reply.json()) == (200, "all the same")


async def test_an_application_that_begins_its_answer_while_it_is_cut_off_is_not_answered_for():
    sent = []

    async def app(_scope, _receive, send):
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 5)
        except asyncio.CancelledError:
            await send({"type": "http.response.start", "status": 500, "headers": []})
            raise

    async def send(message):
        sent.append(message)

    headers = [(b"x-deadline-ms", b"30"), (b"authorization", b"Bearer x")]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
    gateway = Gateway(app, service="bare", edge=Edge(1), is_service=lambda _: True)
    await gateway(scope, None, send)
    assert [message.get("status") for message in sent] == [500]


# --- what is left, inside --------------------------------------------------------------------


def test_inside_nobody_waits_longer_than_around_it():
    with deadline.within(10):
        with deadline.within(60):
            assert 9 < deadline.remaining_s() <= 10
        with deadline.within(1):
            assert 0 < deadline.remaining_s() <= 1
        assert 9 < deadline.remaining_s() <= 10
    assert deadline.remaining_s() is None


def test_what_is_over_is_zero_and_not_less():
    with deadline.within(-1):
        assert deadline.remaining_s() == 0


async def test_what_runs_in_the_background_is_waited_for_by_nobody():
    seen, background = [], Background()

    async def work():
        seen.append(deadline.remaining_s())

    with deadline.within(10):
        background.spawn(work(), name="work")
        await background.drain(timeout_s=1)
        assert deadline.remaining_s() is not None
    assert seen == [None]
