"""Calls about holds that wait travel together, and each is answered as if it had gone alone."""

from __future__ import annotations

import asyncio
import json

import pytest
from holds_stage import SEGMENT
from structlog.contextvars import bound_contextvars

from skyhold.booking.clients.flights import Flights, HoldGone, HoldIsConfirmed
from skyhold.booking.errors import FlightRefusal
from skyhold.contracts.holds import HoldWanted
from skyhold.kernel.breaker import Breaker
from skyhold.kernel.client import Busy, NotTried, RawReply, ServiceClient, Unknown
from skyhold.kernel.ids import new_id

WANTED = HoldWanted.model_validate(
    {"segments": [{"flight_id": "UA1545-2026-12-01-EWR", "count": 1}], "ttl_s": 1020}
)
ONE_SEAT = SEGMENT | {"seats": ["12A"]}
PROBLEM = {"detail": "In words."}


def hold(hold_id, status="held"):
    left_s = 1020 if status == "held" else None
    total = {"amount": "129.00", "currency": "USD"}
    body = {"hold_id": hold_id, "status": status, "expires_in_s": left_s}
    return body | {"segments": [ONE_SEAT], "total": total}


class Desk:
    """A flight service that answers each command by what its id is to be answered.

    The first request waits for `go`, so that those who come meanwhile travel together.
    """

    def __init__(self, answers=None, whole=None):
        self.answers = answers or {}
        self.whole = whole
        self.sent = []
        self.go = asyncio.Event()

    async def send(self, method, path, headers, body):
        self.sent.append((method, path, dict(headers), body and json.loads(body)))
        if len(self.sent) == 1:
            await self.go.wait()
        if path.endswith("/batch"):
            if self.whole is not None:
                return self.whole
            commands = json.loads(body)["commands"]
            answers = [self._answer(command["hold_id"]) for command in commands]
            return _reply(200, {"answers": answers})
        found = self._answer(path.split("/holds/")[1].partition("/")[0].partition("?")[0])
        return _reply(found["status"], found["body"])

    def _answer(self, hold_id):
        return self.answers.get(hold_id, {"status": 201, "body": hold(hold_id)})

    async def close(self):
        pass


def _reply(status, body):
    return RawReply(status, json.dumps(body).encode())


async def at_once(_):
    pass


def flights_at(desk):
    breaker = Breaker("flight", failures_max=1_000, pause_s=60)
    client = ServiceClient(
        desk, party="flight", breaker=breaker, authorize=lambda: "b", deadline_s=5, sleep=at_once
    )
    return Flights(client)


async def together(desk, *calls):
    """Make these calls while the first one is under way; what came of them."""
    flights = flights_at(desk)
    first = asyncio.create_task(flights.hold(new_id(), WANTED))
    while not desk.sent:  # noqa: ASYNC110 - a few turns of the loop
        await asyncio.sleep(0)
    others = [asyncio.create_task(call(flights)) for call in calls]
    await asyncio.sleep(0)
    desk.go.set()
    async with asyncio.timeout(5):
        return (await asyncio.gather(first, *others, return_exceptions=True))[1:]


async def test_those_that_wait_go_in_one_request_with_what_each_of_them_says():
    a, b, c, d = (new_id() for _ in range(4))
    desk = Desk(
        {
            b: {"status": 200, "body": hold(b, "confirmed")},
            c: {"status": 200, "body": hold(c, "released")},
            d: {"status": 200, "body": hold(d, "cancelled")},
        }
    )

    async def asked(flights):
        with bound_contextvars(request_id="somebody.1"):
            return await flights.hold(a, WANTED)

    results = await together(
        desk, asked, lambda f: f.confirm(b), lambda f: f.release(c), lambda f: f.cancel(d)
    )

    assert results[0].hold_id == a
    assert results[1:] == [None, None, None]
    (_, alone, _, _), (method, path, _, body) = desk.sent
    assert alone.startswith("/api/v1/holds/")
    assert (method, path) == ("POST", "/api/v1/holds/batch")
    said = {command["hold_id"]: command for command in body["commands"]}
    assert [command["hold_id"] for command in body["commands"]] == [a, b, c, d]
    assert said[a]["wanted"] == WANTED.model_dump(mode="json")
    assert said[a]["request_id"] == "somebody.1"
    assert (said[b]["do"], said[c]["do"], said[c]["cancel"]) == ("confirm", "release", False)
    assert (said[d]["do"], said[d]["cancel"]) == ("release", True)


async def test_a_refusal_in_a_batch_is_its_own_and_nobody_elses():
    a, b, c, d = (new_id() for _ in range(4))
    desk = Desk(
        {
            b: {"status": 409, "body": PROBLEM | {"code": "sold_out"}},
            c: {"status": 410, "body": PROBLEM | {"code": "hold_ended"}},
            d: {"status": 409, "body": PROBLEM | {"code": "hold_confirmed"}},
        }
    )
    ours, sold_out, gone, confirmed = await together(
        desk,
        lambda f: f.hold(a, WANTED),
        lambda f: f.hold(b, WANTED),
        lambda f: f.confirm(c),
        lambda f: f.release(d),
    )
    assert ours.hold_id == a
    assert isinstance(sold_out, FlightRefusal)
    assert sold_out.code == "sold_out"
    assert isinstance(gone, HoldGone)
    assert isinstance(confirmed, HoldIsConfirmed)


async def test_a_trouble_with_one_item_is_unknown_to_that_one_alone():
    a, b, c = (new_id() for _ in range(3))
    desk = Desk(
        {
            a: {"status": 500, "body": PROBLEM | {"code": "internal_error"}},
            b: {"status": 201, "body": hold(c)},  # another's hold
        }
    )
    results = await together(desk, *(lambda f, i=i: f.hold(i, WANTED) for i in (a, b, c)))
    assert isinstance(results[0], Unknown)
    assert isinstance(results[1], Unknown)
    assert results[2].hold_id == c


NONSENSE = {
    "no answers": (200, {}),
    "too few answers": (200, {"answers": []}),
    "no list": (200, {"answers": {"status": 200}}),
    "an answer without a status": (200, {"answers": [{"body": {}}, {"body": {}}]}),
    "no JSON": (200, "what?"),
    "a server's error": (500, {}),
}


@pytest.mark.parametrize("name", NONSENSE)
async def test_what_makes_no_sense_leaves_all_of_them_not_knowing(name):
    desk = Desk(whole=_reply(*NONSENSE[name]))
    results = await together(desk, *(lambda f: f.hold(new_id(), WANTED) for _ in range(2)))
    assert all(isinstance(result, Unknown) for result in results), results
    assert not any(isinstance(result, NotTried) for result in results)


async def test_a_service_that_is_busy_is_not_asked_again_by_each_of_them():
    desk = Desk(whole=_reply(503, PROBLEM | {"code": "overloaded"}))
    results = await together(desk, *(lambda f: f.hold(new_id(), WANTED) for _ in range(3)))
    assert all(isinstance(result, Busy) for result in results)
    assert len(desk.sent) == 2


@pytest.mark.parametrize(
    ("status", "code"), [(404, "not_found"), (405, "method_not_allowed"), (422, "invalid")]
)
async def test_a_service_that_will_not_have_a_batch_is_asked_one_by_one(status, code):
    a, b = new_id(), new_id()
    desk = Desk(whole=_reply(status, PROBLEM | {"code": code}))
    results = await together(desk, lambda f: f.hold(a, WANTED), lambda f: f.hold(b, WANTED))
    assert [result.hold_id for result in results] == [a, b]
    ways = [(method, path) for method, path, _, _ in desk.sent[2:]]
    assert ways == [("PUT", f"/api/v1/holds/{a}"), ("PUT", f"/api/v1/holds/{b}")]


async def test_one_that_goes_alone_says_on_whose_behalf():
    desk, hold_id = Desk(), new_id()
    desk.go.set()
    with bound_contextvars(request_id="somebody.2"):
        await flights_at(desk).hold(hold_id, WANTED)
    ((_, _, headers, _),) = desk.sent
    assert headers["x-request-id"] == "somebody.2"
    assert headers["baggage"] == f"booking_id={hold_id}"
