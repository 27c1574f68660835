"""Many calls about holds in one request: each is decided as if it had come alone."""

from __future__ import annotations

import pytest

from skyhold.contracts.holds import BATCH_MAX
from skyhold.kernel.ids import new_id


@pytest.fixture
async def flight(inside):
    return await inside.a_flight()


def put(hold_id, flight, *seats, **more):
    segment = {"flight_id": flight, "seats": list(seats)}
    wanted = {"segments": [segment], "ttl_s": 600} | more
    return {"do": "hold", "hold_id": hold_id, "wanted": wanted}


def move(what, hold_id, **more):
    return {"do": what, "hold_id": hold_id} | more


async def send(inside, commands, service="booking"):
    return await inside.flights_http.post(
        "/api/v1/holds/batch", json={"commands": commands}, headers=inside.service(service)
    )


async def answers(inside, *commands):
    reply = await send(inside, list(commands))
    assert reply.status_code == 200, reply.text
    return [(one["status"], one["body"]) for one in reply.json()["answers"]]


async def alone(inside, method, path, body=None):
    url = f"/api/v1/holds/{path}"
    return await inside.flights_http.request(
        method, url, json=body, headers=inside.service("booking")
    )


async def test_each_command_has_the_answer_that_it_would_have_alone(inside, flight):
    a, b, c, d = (new_id() for _ in range(4))
    told = await answers(
        inside,
        put(a, flight, "1A"),
        put(a, flight, "1A"),  # again
        put(b, flight, "1A"),  # too late
        put(c, flight, "1C"),
        move("confirm", c),
        move("release", c),
        move("release", c, cancel=True),
        move("release", d),  # nobody's: a tombstone
        put(d, flight, "1D"),
        move("confirm", new_id()),
    )

    assert [status for status, _ in told] == [201, 200, 409, 201, 200, 409, 200, 200, 410, 404]
    codes = [body.get("code") for _, body in told]
    assert codes[2] == "seat_unavailable"
    assert codes[5] == "hold_confirmed"
    assert codes[8:] == ["hold_ended", "hold_not_found"]
    assert [told[i][1]["status"] for i in (0, 3, 4, 6, 7)] == [
        "held",
        "held",
        "confirmed",
        "cancelled",
        "released",
    ]
    same = (await alone(inside, "GET", a)).json()
    assert same | {"expires_in_s": 0} == told[0][1] | {"expires_in_s": 0}
    assert await inside.seat_states(flight) | {"1A": "held", "1C": "available"} == (
        await inside.seat_states(flight)
    )


async def test_a_problem_in_a_batch_reads_like_the_one_that_comes_alone(inside, flight):
    wanted = put(new_id(), flight, "99A")
    ((status, body),) = await answers(inside, wanted)
    reply = await alone(inside, "PUT", wanted["hold_id"], wanted["wanted"])
    single = reply.json()
    del single["instance"]
    assert (status, body) == (reply.status_code, single)


async def test_a_price_that_has_changed_refuses_its_own_hold_only(inside, flight):
    dear = {"amount": "1.00", "currency": "USD"}
    told = await answers(
        inside,
        put(new_id(), flight, "1A", expected_total=dear),
        put(new_id(), flight, "1A"),
    )
    assert [status for status, _ in told] == [409, 201]
    assert told[0][1]["code"] == "price_changed"


async def test_what_cannot_be_read_is_refused_as_a_whole_and_nothing_is_held(inside, flight):
    good = put(new_id(), flight, "1A")
    for bad in (
        [],
        [good] * (BATCH_MAX + 1),
        [good, {"do": "dance", "hold_id": new_id()}],
        [good, {"hold_id": new_id()}],
        [good, move("confirm", "not-an-id")],
        [good, move("release", new_id(), cancel="yes")],
        [good, good | {"request_id": "a b"}],
    ):
        reply = await send(inside, bad)
        assert reply.status_code == 422, bad
    assert (await inside.seat_states(flight))["1A"] == "available"


async def test_another_services_hold_does_not_exist(inside, flight):
    hold_id = new_id()
    await answers(inside, put(hold_id, flight, "1A"))
    reply = await send(inside, [move("confirm", hold_id), move("release", hold_id)], "other")
    assert [one["status"] for one in reply.json()["answers"]] == [404, 404]
    assert (await inside.seat_states(flight))["1A"] == "held"
