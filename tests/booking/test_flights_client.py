"""What the flight service may answer, and what of it is believed."""

from __future__ import annotations

import asyncio
import json

import pytest
from holds_stage import SEGMENT

from skyhold.booking.clients.flights import Flights, HoldGone, HoldIsConfirmed
from skyhold.booking.errors import FlightRefusal
from skyhold.contracts.holds import HoldWanted
from skyhold.kernel.breaker import Breaker
from skyhold.kernel.client import RawReply, ServiceClient, Unknown

HOLD_ID = "018f0000-0000-7000-8000-000000000001"
WANTED = HoldWanted.model_validate(
    {"segments": [{"flight_id": "UA1545-2026-12-01-EWR", "count": 2}], "ttl_s": 1020}
)
HELD = {
    "hold_id": HOLD_ID,
    "status": "held",
    "expires_in_s": 1020,
    "segments": [SEGMENT],
    "total": {"amount": "258.00", "currency": "USD"},
}
CONFIRMED = HELD | {"status": "confirmed", "expires_in_s": None}
RELEASED = HELD | {"status": "released", "expires_in_s": None}


def with_segment(**changes):
    return HELD | {"segments": [SEGMENT | changes]}


class Says:
    """A way to the flight service on which it always gives this answer."""

    def __init__(self, status, body):
        self.reply = RawReply(
            status, body if isinstance(body, bytes) else json.dumps(body).encode()
        )
        self.sent = []

    async def send(self, method, path, headers, body):
        self.sent.append((method, path))
        return self.reply

    async def close(self):
        pass


def flights_that(way):
    async def at_once(_):
        pass

    return Flights(client_over(way, deadline_s=5, sleep=at_once))


def client_over(way, **more):
    patient = Breaker("flight", failures_max=1_000, pause_s=60)
    return ServiceClient(way, party="flight", breaker=patient, authorize=lambda: "badge", **more)


async def ask(call, status, body):
    way = Says(status, body)
    flights = flights_that(way)
    calls = {
        "hold": lambda: flights.hold(HOLD_ID, WANTED),
        "confirm": lambda: flights.confirm(HOLD_ID),
        "release": lambda: flights.release(HOLD_ID),
        "cancel": lambda: flights.cancel(HOLD_ID),
    }
    return way, await asyncio.gather(calls[call](), return_exceptions=True)


@pytest.mark.parametrize(
    ("call", "status", "body", "sent"),
    [
        ("hold", 201, HELD, ("PUT", f"/api/v1/holds/{HOLD_ID}")),
        ("hold", 200, HELD, ("PUT", f"/api/v1/holds/{HOLD_ID}")),
        ("confirm", 200, CONFIRMED, ("PUT", f"/api/v1/holds/{HOLD_ID}/confirmation")),
        ("release", 200, RELEASED, ("DELETE", f"/api/v1/holds/{HOLD_ID}")),
        ("cancel", 200, RELEASED, ("DELETE", f"/api/v1/holds/{HOLD_ID}?cancel=true")),
    ],
)
async def test_a_good_answer_is_believed_at_once(call, status, body, sent):
    way, (answer,) = await ask(call, status, body)
    assert not isinstance(answer, Exception)
    assert way.sent == [sent]
    if call == "hold":
        assert answer.segments[0].seats == ["12A", "12B"]


@pytest.mark.parametrize("status", ["released", "expired", "cancelled"])
@pytest.mark.parametrize("call", ["release", "cancel"])
async def test_however_a_hold_ended_its_seats_are_back(call, status):
    _, (answer,) = await ask(call, 200, RELEASED | {"status": status})
    assert answer is None


async def test_a_tombstone_has_neither_seats_nor_a_price():
    _, (answer,) = await ask("cancel", 200, RELEASED | {"segments": [], "total": None})
    assert answer is None


def problem(code):
    return {"code": code, "detail": "In words."}


@pytest.mark.parametrize(
    ("call", "status", "code", "means"),
    [
        ("hold", 410, "hold_ended", HoldGone),
        ("confirm", 410, "hold_ended", HoldGone),
        ("confirm", 404, "hold_not_found", HoldGone),
        ("release", 409, "hold_confirmed", HoldIsConfirmed),
    ],
)
async def test_what_its_refusals_mean(call, status, code, means):
    _, (answer,) = await ask(call, status, problem(code))
    assert isinstance(answer, means)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, "flight_not_found"),
        (409, "seat_unavailable"),
        (409, "sold_out"),
        (409, "price_changed"),
        (422, "unknown_seat"),
    ],
)
async def test_other_refusals_are_passed_on_with_their_code(status, code):
    _, (answer,) = await ask("hold", status, problem(code))
    assert isinstance(answer, FlightRefusal)
    assert (answer.status, answer.code, answer.detail) == (status, code, "In words.")


NONSENSE = {
    "500": (500, problem("internal_error")),
    "503": (503, problem("overloaded")),
    "HTML": (200, b"<html>Bad gateway</html>"),
    "empty": (200, b""),
    "204": (204, b""),
    "100": (100, b""),
    "a redirect": (302, HELD),
    "null": (200, b"null"),
    "a list": (200, [HELD]),
    "truncated": (200, json.dumps(HELD).encode()[:-5]),
    "not UTF-8": (200, b'{"hold_id": "\xff"}'),
    "deep": (200, b'{"a":' * 50_000),
    "huge": (200, b'{"hold_id": "' + b"0" * 1_100_000 + b'"}'),
    "401": (401, problem("unauthorized")),
    "403": (403, problem("services_only")),
    "429": (429, problem("slow_down")),
    "418": (418, problem("teapot")),
    "404 of a proxy": (404, {"message": "no route"}),
    "409 of a proxy": (409, {}),
    "410 of a proxy": (410, {"detail": "gone"}),
    "code that is no text": (409, {"code": 7, "detail": "In words."}),
    "another hold": (200, HELD | {"hold_id": HOLD_ID[:-1] + "2"}),
    "no id": (200, {k: v for k, v in HELD.items() if k != "hold_id"}),
    "unknown state": (200, HELD | {"status": "frozen"}),
    "no state": (200, HELD | {"status": None}),
    "a price below zero": (200, HELD | {"total": {"amount": "-1.00", "currency": "USD"}}),
    "a price that is a number": (200, HELD | {"total": 258}),
    "an unheard-of currency": (200, HELD | {"total": {"amount": "1.00", "currency": "XXZ"}}),
    "a fare below zero": (200, with_segment(fare={"amount": "-1.00", "currency": "USD"})),
    "a seat that is none": (200, with_segment(seats=["12A", "'; DROP TABLE"])),
    "a time that is none": (200, with_segment(departing_at="tomorrow")),
}


@pytest.mark.parametrize("call", ["hold", "confirm", "release", "cancel"])
async def test_what_makes_no_sense_is_no_answer(call):
    for name, (status, body) in NONSENSE.items():
        _, (answer,) = await ask(call, status, body)
        assert isinstance(answer, Unknown), f"{name}: {answer!r}"


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("hold", CONFIRMED),
        ("hold", RELEASED),
        ("hold", HELD | {"expires_in_s": None}),
        ("hold", HELD | {"expires_in_s": "soon"}),
        ("hold", HELD | {"total": None}),
        ("hold", HELD | {"segments": []}),
        ("hold", HELD | {"segments": [SEGMENT, SEGMENT]}),
        ("hold", with_segment(seats=["12A"])),
        ("hold", with_segment(seats=[])),
        ("hold", with_segment(cabin="first")),
        ("hold", with_segment(flight_id="UA1545-2026-12-02-EWR")),
        ("confirm", HELD),
        ("confirm", RELEASED),
        ("release", HELD),
        ("release", CONFIRMED),
        ("cancel", CONFIRMED),
        ("cancel", HELD),
    ],
)
async def test_an_answer_to_another_question_is_no_answer(call, body):
    _, (answer,) = await ask(call, 200, body)
    assert isinstance(answer, Unknown)


async def test_a_clear_no_is_not_asked_again_and_an_unclear_answer_is():
    way, _ = await ask("hold", 409, problem("sold_out"))
    assert len(way.sent) == 1
    way, _ = await ask("hold", 500, b"")
    assert len(way.sent) == 3


async def test_silence_is_waited_for_only_so_long():
    class Silence(Says):
        async def send(self, method, path, headers, body):
            await asyncio.Event().wait()

    client = client_over(Silence(200, b""), deadline_s=0.05)
    with pytest.raises(Unknown):
        await Flights(client).confirm(HOLD_ID)
