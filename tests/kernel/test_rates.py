"""So many requests from one address and of one user, and headers that say how many are left."""

from __future__ import annotations

import re

import httpx
import pytest

from skyhold.kernel.auth import Tokens, access_kind, service_kind
from skyhold.kernel.ended_sessions import EndedSessions
from skyhold.kernel.errors import Conflict
from skyhold.kernel.http.identity import FrontDoors, Person
from skyhold.kernel.http.routes import Routes
from skyhold.kernel.people import People

router = Routes()
FIELD = re.compile(r'"(?P<name>\w+)";r=(?P<left>\d+);t=(?P<s>\d+)')


@router.get("/open")
async def open_to_all() -> str:
    return "come in"


@router.get("/mine")
async def mine(person: Person) -> str:
    return person.user_id


@router.get("/no")
async def no() -> str:
    raise Conflict


@pytest.fixture
def doors(clock):
    async def nobody(after):
        return []

    tokens = Tokens("a-key-for-people-that-is-long-enough", access_kind(600), clock)
    return FrontDoors(
        People(tokens, EndedSessions(nobody, ttl_s=600, clock=clock)),
        Tokens("a-key-for-services-long-enough-too!!", service_kind("flight"), clock),
    )


@pytest.fixture
def hall(serve, doors):
    async def start(**limits):
        return await serve(router, doors=doors, **limits)

    return start


def as_(doors, who):
    token = doors.people.tokens.issue(who, sid="s1", role="customer")
    return {"authorization": f"Bearer {token}"}


def left(reply):
    return {
        field["name"]: int(field["left"]) for field in FIELD.finditer(reply.headers["ratelimit"])
    }


async def test_what_is_left_is_said_with_every_answer(hall):
    http = await hall(per_address="5/minute; 100/hour")
    reply = await http.get("/open")
    assert reply.headers["ratelimit-policy"] == '"address";q=5;w=60, "address";q=100;w=3600'
    first, second = FIELD.finditer(reply.headers["ratelimit"])
    assert (first["left"], second["left"]) == ("4", "99")
    assert 0 < int(first["s"]) <= 60
    assert left(await http.get("/no")) == {"address": 98}
    assert (await http.get("/nothing")).headers["ratelimit"].startswith('"address";r=2')


async def test_one_too_many_is_told_how_long_to_wait(hall):
    http = await hall(per_address="3/minute")
    assert [(await http.get("/open")).status_code for _ in range(3)] == [200] * 3
    refused = await http.get("/open")
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert refused.headers["content-type"] == "application/problem+json"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert left(refused) == {"address": 0}
    for path in ("/livez", "/readyz", "/metrics"):
        assert "ratelimit" not in (await http.get(path)).headers


async def test_a_user_is_counted_by_themselves_wherever_they_come_from(hall, doors):
    http = await hall(per_address="100/minute", per_user="2/minute")
    ada, bob = as_(doors, "ada"), as_(doors, "bob")
    replies = [await http.get("/mine", headers=ada) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert [left(reply)["user"] for reply in replies] == [1, 0, 0]
    assert (await http.get("/mine", headers=bob)).status_code == 200
    assert (await http.get("/open", headers=ada)).status_code == 200
    assert left(await http.get("/mine")) == {"address": 94}  # 401: nobody's


async def test_other_addresses_have_their_own(hall):
    http = await hall(per_address="1/minute")
    app = http._transport.app

    async def from_(address):
        transport = httpx.ASGITransport(app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://skyhold.test") as other:
            return (await other.get("/open")).status_code

    assert [await from_("192.0.2.1"), await from_("192.0.2.1"), await from_("192.0.2.2")] == [
        200,
        429,
        200,
    ]
    assert [await from_("2001:db8::1"), await from_("2001:db8::2")] == [200, 429]


async def test_another_service_is_not_counted(hall):
    http = await hall(per_address="1/minute")
    for _ in range(3):
        reply = await http.get("/open", headers={"authorization": "Bearer a service's"})
        assert (reply.status_code, reply.headers.get("ratelimit")) == (200, None)


async def test_without_a_limit_nothing_is_said(hall):
    http = await hall()
    assert "ratelimit" not in (await http.get("/open")).headers
